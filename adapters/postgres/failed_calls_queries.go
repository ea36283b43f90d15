package postgres

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/counting"
)

// FailedCallQueries tell a customer which calls failed.
type FailedCallQueries struct {
	pool *pgxpool.Pool
}

// NewFailedCallQueries queries through pool.
func NewFailedCallQueries(pool *pgxpool.Pool) *FailedCallQueries {
	return &FailedCallQueries{pool: pool}
}

// Kinds lists how calls failed from one moment up to, not including, another, the most frequent first.
func (q *FailedCallQueries) Kinds(ctx context.Context, customer uuid.UUID, from, to time.Time) ([]counting.FailureKind, error) {
	rows, _ := q.pool.Query(ctx, `
		select status, code, (array_agg(message order by last_at desc))[1], (array_agg(key_slot order by last_at desc))[1], key_prefix,
			sum(calls)::bigint, max(last_at)
		from failed_calls where customer_id = $1 and hour >= $2 and hour < $3
		group by status, code, reason, key_prefix order by 6 desc, 7 desc, 1, 2, 3`, customer, from, to)
	kinds, err := pgx.CollectRows(rows, pgx.RowToStructByPos[counting.FailureKind])
	if err != nil {
		return nil, fmt.Errorf("list how calls failed: %w", err)
	}
	return kinds, nil
}

// Hours lists the hours in which calls failed, from one moment up to, not including, another.
func (q *FailedCallQueries) Hours(ctx context.Context, customer uuid.UUID, from, to time.Time) ([]counting.FailedHour, error) {
	rows, _ := q.pool.Query(ctx, `
		select hour, coalesce(sum(calls) filter (where status < 500), 0)::bigint, coalesce(sum(calls) filter (where status >= 500), 0)::bigint
		from failed_calls where customer_id = $1 and hour >= $2 and hour < $3 group by hour order by hour`, customer, from, to)
	hours, err := pgx.CollectRows(rows, pgx.RowToStructByPos[counting.FailedHour])
	if err != nil {
		return nil, fmt.Errorf("list hours with failed calls: %w", err)
	}
	return hours, nil
}

// Newest lists a customer's newest failed calls, newest first.
func (q *FailedCallQueries) Newest(ctx context.Context, customer uuid.UUID) ([]counting.FailedCall, error) {
	rows, _ := q.pool.Query(ctx, `
		select at, request_id, status, code, message, customer_id, key_slot, key_prefix
		from newest_failed_calls where customer_id = $1 order by at desc, id desc limit $2`, customer, counting.NewestFailedCalls)
	calls, err := pgx.CollectRows(rows, pgx.RowToStructByPos[counting.FailedCall])
	if err != nil {
		return nil, fmt.Errorf("list the newest failed calls: %w", err)
	}
	return calls, nil
}

// Erase deletes a customer's failed calls; none are kept from then on. It waits for batches that are being written.
func (q *FailedCallQueries) Erase(ctx context.Context, customer uuid.UUID) error {
	err := pgx.BeginFunc(ctx, q.pool, func(tx pgx.Tx) error {
		var batch pgx.Batch
		batch.Queue("lock table failed_calls, newest_failed_calls in share row exclusive mode")
		batch.Queue("insert into failed_calls_erased (customer_id) values ($1) on conflict do nothing", customer)
		batch.Queue("delete from failed_calls where customer_id = $1", customer)
		batch.Queue("delete from newest_failed_calls where customer_id = $1", customer)
		return tx.SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		return fmt.Errorf("erase failed calls: %w", err)
	}
	return nil
}
