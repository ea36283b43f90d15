package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// ParkedEvent is an event that a read model went past without applying it. The log still holds it.
type ParkedEvent struct {
	ReadModel string    `json:"readModel"`
	Position  uint64    `json:"position"`
	Stream    string    `json:"stream"`
	Revision  uint64    `json:"revision"`
	Type      string    `json:"type"`
	Error     string    `json:"error"` // why it could not be applied; empty when an operator said that it is not to be
	Why       string    `json:"why"`   // what the operator said
	SkippedBy string    `json:"skippedBy"`
	ParkedAt  time.Time `json:"parkedAt"`
}

// Parked returns at most limit events that a read model could not take, newest first. A rebuild tries them again.
func (e *Engine) Parked(ctx context.Context, readModel string, limit int) ([]ParkedEvent, error) {
	return e.wentPast(ctx, readModel, "why is null", limit)
}

// Skipped returns at most limit events that a read model went past because an operator said so, newest first. A rebuild goes
// past them too.
func (e *Engine) Skipped(ctx context.Context, readModel string, limit int) ([]ParkedEvent, error) {
	return e.wentPast(ctx, readModel, "why is not null", limit)
}

func (e *Engine) wentPast(ctx context.Context, readModel, kind string, limit int) ([]ParkedEvent, error) {
	rows, _ := e.Pool.Query(ctx, `
		select name, position, stream, revision, type, error, coalesce(why, ''), coalesce(skipped_by, ''), parked_at from projection_parked
		where name = $1 and `+kind+` order by position desc limit $2`, readModel, limit)
	events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[ParkedEvent])
	if err != nil {
		return nil, fmt.Errorf("list what %s went past: %w", readModel, err)
	}
	return events, nil
}
