package console

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// PostgresLogins keeps logins in the table console_logins, by the database's clock: the one clock that all nodes share.
type PostgresLogins struct {
	pool   *pgxpool.Pool
	limits LoginLimits
}

// NewPostgresLogins returns the logins kept in the database of pool.
func NewPostgresLogins(pool *pgxpool.Pool, limits LoginLimits) *PostgresLogins {
	return &PostgresLogins{pool: pool, limits: limits}
}

// Begin makes a login.
func (l *PostgresLogins) Begin(ctx context.Context, login Login) error {
	_, err := l.pool.Exec(ctx, "delete from console_logins where used_at < clock_timestamp() - $1::interval or began_at < clock_timestamp() - $2::interval",
		l.limits.Idle, l.limits.Lifetime)
	if err == nil {
		_, err = l.pool.Exec(ctx, `
			insert into console_logins (id, account_id, began_at, used_at, confirmed_at, browser, address)
			select $1, $2, began.at as began_at, began.at as used_at, began.at as confirmed_at, $3, $4 from (select clock_timestamp() as at) as began`, login.ID, login.Account, login.Browser, login.Address)
	}
	return wrapQuery("begin a login", err)
}

// Use notes that a login is used. To the minute is enough for people, or to a tenth of a short limit, and spares a write with every
// request.
func (l *PostgresLogins) Use(ctx context.Context, id uuid.UUID, address string) (account uuid.UUID, err error) {
	var noted bool
	err = l.pool.QueryRow(ctx, `
		select account_id, used_at > clock_timestamp() - least(interval '1 minute', $2::interval / 10) and address = $4 from console_logins
		where id = $1 and used_at > clock_timestamp() - $2::interval and began_at > clock_timestamp() - $3::interval`,
		id, l.limits.Idle, l.limits.Lifetime, address).Scan(&account, &noted)
	if errors.Is(err, pgx.ErrNoRows) {
		return uuid.Nil, nil
	}
	if err == nil && !noted {
		_, err = l.pool.Exec(ctx, "update console_logins set used_at = clock_timestamp(), address = $2 where id = $1", id, address)
	}
	return account, wrapQuery("use a login", err)
}

// Confirm notes that the password was given again.
func (l *PostgresLogins) Confirm(ctx context.Context, id uuid.UUID) error {
	_, err := l.pool.Exec(ctx, "update console_logins set confirmed_at = clock_timestamp() where id = $1", id)
	return wrapQuery("confirm a login", err)
}

// SinceConfirmed returns how long ago the password was given.
func (l *PostgresLogins) SinceConfirmed(ctx context.Context, id uuid.UUID) (since time.Duration, err error) {
	err = l.pool.QueryRow(ctx, "select clock_timestamp() - confirmed_at from console_logins where id = $1", id).Scan(&since)
	return since, wrapQuery("read when a login was confirmed", err)
}

// Renew gives a login another id.
func (l *PostgresLogins) Renew(ctx context.Context, id uuid.UUID) (renewed uuid.UUID, err error) {
	renewed = uuid.New()
	_, err = l.pool.Exec(ctx, "update console_logins set id = $2, confirmed_at = clock_timestamp() where id = $1", id, renewed)
	return renewed, wrapQuery("renew a login", err)
}

// Of lists the logins of an account.
func (l *PostgresLogins) Of(ctx context.Context, account uuid.UUID) ([]Login, error) {
	rows, _ := l.pool.Query(ctx, `
		select id, account_id, began_at, used_at, browser, address from console_logins
		where account_id = $1 and used_at > clock_timestamp() - $2::interval and began_at > clock_timestamp() - $3::interval
		order by used_at desc, began_at desc`, account, l.limits.Idle, l.limits.Lifetime)
	logins, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Login])
	return logins, wrapQuery("list logins", err)
}

// End ends one login of an account.
func (l *PostgresLogins) End(ctx context.Context, account, id uuid.UUID) error {
	_, err := l.pool.Exec(ctx, "delete from console_logins where id = $2 and account_id = $1", account, id)
	return wrapQuery("end a login", err)
}

// EndAll ends the logins of an account but one.
func (l *PostgresLogins) EndAll(ctx context.Context, account, but uuid.UUID) error {
	_, err := l.pool.Exec(ctx, "delete from console_logins where account_id = $1 and id <> $2", account, but)
	return wrapQuery("end logins", err)
}
