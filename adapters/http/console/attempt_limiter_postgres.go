package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PostgresAttempts is an AttemptLimiter in the table console_attempts, by the database's clock: the one clock that all nodes
// share.
type PostgresAttempts struct {
	pool *pgxpool.Pool
}

// NewPostgresAttempts returns a limiter that counts in the database of pool.
func NewPostgresAttempts(pool *pgxpool.Pool) *PostgresAttempts { return &PostgresAttempts{pool: pool} }

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
func (a *PostgresAttempts) Take(ctx context.Context, subject string, limit AttemptLimit) (time.Duration, error) {
	var attempts int
	err := a.pool.QueryRow(ctx, takeSQL, subject, limit.steps(), limit.Window).Scan(&attempts)
	if !errors.Is(err, pgx.ErrNoRows) {
		return 0, wrapQuery("count an attempt", err)
	}
	var wait time.Duration
	err = a.pool.QueryRow(ctx, "select open_at - clock_timestamp() from console_attempts where subject = $1", subject).Scan(&wait)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, nil
	}
	// The wait may have ended between the two statements; the attempt was not counted, so it is not let through either.
	return max(wait, time.Second), wrapQuery("read a waiting time", err)
}

// steps lists the waits after the first, second, … attempt up to the one that no further attempt lengthens.
func (l AttemptLimit) steps() []time.Duration {
	steps := []time.Duration{l.Wait(1)}
	for n := 2; steps[len(steps)-1] < l.Max; n++ {
		steps = append(steps, l.Wait(n))
	}
	return steps
}

// Made counts attempts.
func (a *PostgresAttempts) Made(ctx context.Context, subject string, limit AttemptLimit) (attempts int, err error) {
	err = a.pool.QueryRow(ctx, "select coalesce(sum(attempts), 0) from console_attempts where subject = $1 and counted_at >= clock_timestamp() - $2::interval",
		subject, limit.Window).Scan(&attempts)
	return attempts, wrapQuery("read attempts", err)
}

// Refund uncounts the last attempt.
func (a *PostgresAttempts) Refund(ctx context.Context, subject string) error {
	_, err := a.pool.Exec(ctx, "update console_attempts set attempts = greatest(attempts - 1, 0), open_at = clock_timestamp() where subject = $1", subject)
	return wrapQuery("uncount an attempt", err)
}

// Reset drops what is counted of a subject, and of everybody who has not tried for a day.
func (a *PostgresAttempts) Reset(ctx context.Context, subject string) error {
	_, err := a.pool.Exec(ctx, "delete from console_attempts where subject = $1 or counted_at < now() - interval '1 day'", subject)
	return wrapQuery("reset attempts", err)
}

func wrapQuery(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
