package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PostgresLedger keeps the ledger in Postgres, by the database's clock: the one clock that all nodes share.
// Its tables are console_attempts and console_generations.
type PostgresLedger struct {
	pool *pgxpool.Pool
}

// NewPostgresLedger keeps the ledger in the database of pool.
func NewPostgresLedger(pool *pgxpool.Pool) *PostgresLedger { return &PostgresLedger{pool: pool} }

// takeSQL counts an attempt unless the subject has to wait. One statement, so that of attempts made at once each sees
// the ones before. The clock is read after the row is locked; now() would be the moment before, at which the subject of an
// attempt that has just been counted would seem to be waiting.
const takeSQL = `
	insert into console_attempts as a (subject, attempts, counted_at, open_at)
	values ($1, 1, clock_timestamp(), clock_timestamp() + ($2::interval[])[1])
	on conflict (subject) do update set (attempts, counted_at, open_at) = (
		select n, clock_timestamp(), clock_timestamp() + ($2::interval[])[least(n, cardinality($2::interval[]))]
		from (select case when a.counted_at < clock_timestamp() - $3::interval then 1 else a.attempts + 1 end) as counted (n)
	)
	where a.open_at <= clock_timestamp()
	returning attempts`

// Take counts an attempt.
func (l *PostgresLedger) Take(ctx context.Context, subject string, limit AttemptLimit) (time.Duration, error) {
	var attempts int
	err := l.pool.QueryRow(ctx, takeSQL, subject, limit.steps(), limit.Window).Scan(&attempts)
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, wrapLedger("count an attempt", err)
	}
	var wait time.Duration
	err = l.pool.QueryRow(ctx, "select open_at - clock_timestamp() from console_attempts where subject = $1", subject).Scan(&wait)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	// The wait may have ended between the two statements; the attempt was not counted, so it is not let through either.
	return max(wait, time.Second), wrapLedger("read a waiting time", err)
}

// steps lists the waits after the first, second, … attempt up to the one that no further attempt lengthens.
func (l AttemptLimit) steps() []time.Duration {
	steps := []time.Duration{l.Wait(1)}
	for n := 2; steps[len(steps)-1] < l.Max; n++ {
		steps = append(steps, l.Wait(n))
	}
	return steps
}

// GiveBack takes the last attempt back.
func (l *PostgresLedger) GiveBack(ctx context.Context, subject string) error {
	_, err := l.pool.Exec(ctx, "update console_attempts set attempts = greatest(attempts - 1, 0), open_at = clock_timestamp() where subject = $1", subject)
	return wrapLedger("take an attempt back", err)
}

// Forget drops what is counted of a subject, and of everybody who has not tried for a day.
func (l *PostgresLedger) Forget(ctx context.Context, subject string) error {
	_, err := l.pool.Exec(ctx, "delete from console_attempts where subject = $1 or counted_at < now() - interval '1 day'", subject)
	return wrapLedger("forget attempts", err)
}

// Generation is the generation of a customer's sessions.
func (l *PostgresLedger) Generation(ctx context.Context, customer uuid.UUID) (int64, error) {
	var generation int64
	err := l.pool.QueryRow(ctx, "select generation from console_generations where customer_id = $1", customer).Scan(&generation)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	return generation, wrapLedger("read the generation of sessions", err)
}

// NextGeneration raises the generation of a customer's sessions.
func (l *PostgresLedger) NextGeneration(ctx context.Context, customer uuid.UUID) (int64, error) {
	var generation int64
	err := l.pool.QueryRow(ctx, `
		insert into console_generations as g (customer_id, generation) values ($1, 1)
		on conflict (customer_id) do update set generation = g.generation + 1 returning generation`, customer).Scan(&generation)
	return generation, wrapLedger("raise the generation of sessions", err)
}

func wrapLedger(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
