package console

import (
	"context"
	"errors"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// SessionGenerations keeps a number per customer, 0 at first: sessions of an older generation are closed. It is shared by
// all nodes, or a session closed on one would live on at another.
//
// Current returns a customer's generation. Raise makes it the next one and returns that.
type SessionGenerations interface {
	Current(ctx context.Context, customer uuid.UUID) (int64, error)
	Raise(ctx context.Context, customer uuid.UUID) (int64, error)
}

// PostgresSessionGenerations keeps the generations in the table console_generations.
type PostgresSessionGenerations struct {
	pool *pgxpool.Pool
}

// NewPostgresSessionGenerations returns the generations kept in the database of pool.
func NewPostgresSessionGenerations(pool *pgxpool.Pool) *PostgresSessionGenerations {
	return &PostgresSessionGenerations{pool: pool}
}

// Current returns the generation of a customer's sessions.
func (g *PostgresSessionGenerations) Current(ctx context.Context, customer uuid.UUID) (int64, error) {
	var generation int64
	err := g.pool.QueryRow(ctx, "select generation from console_generations where customer_id = $1", customer).Scan(&generation)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return generation, wrapQuery("read the generation of sessions", err)
}

// Raise raises the generation of a customer's sessions.
func (g *PostgresSessionGenerations) Raise(ctx context.Context, customer uuid.UUID) (int64, error) {
	var generation int64
	err := g.pool.QueryRow(ctx, `
		insert into console_generations as g (customer_id, generation) values ($1, 1)
		on conflict (customer_id) do update set generation = g.generation + 1 returning generation`, customer).Scan(&generation)
	return generation, wrapQuery("raise the generation of sessions", err)
}
