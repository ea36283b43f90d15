package console

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// Login is one browser in which somebody is logged in.
type Login struct {
	ID      uuid.UUID
	Account uuid.UUID
	BeganAt time.Time
	UsedAt  time.Time // to the minute, or closer under a short limit
	Browser string    // as "Firefox on Linux"
	Address string    // network address of the newest use
}

// LoginLimits say how long a login lives.
type LoginLimits struct {
	Idle     time.Duration // without being used
	Lifetime time.Duration // altogether
}

// Logins keeps who is logged in where, shared by all nodes: a login that is ended on one must not live on at another.
//
// Begin makes a login of the current moment, and forgets those that are over.
//
// Use notes that a login is used, from a network address, and returns whose it is: uuid.Nil when it is over. It never makes
// one, so that a request that is under way while a login is ended does not bring it back.
//
// Confirm notes that the password was given again. SinceConfirmed returns how long ago that was.
//
// Renew gives a login another id when the password was given again, and returns it: sessions that name the one before are
// nobody's. Like Use it never makes a login.
//
// Of lists the logins of an account, the newest use first.
//
// End ends one login of an account. EndAll ends all of them but one; uuid.Nil spares none.
type Logins interface {
	Begin(ctx context.Context, login Login) error
	Use(ctx context.Context, id uuid.UUID, address string) (account uuid.UUID, err error)
	Confirm(ctx context.Context, id uuid.UUID) error
	SinceConfirmed(ctx context.Context, id uuid.UUID) (time.Duration, error)
	Renew(ctx context.Context, id uuid.UUID) (renewed uuid.UUID, err error)
	Of(ctx context.Context, account uuid.UUID) ([]Login, error)
	End(ctx context.Context, account, id uuid.UUID) error
	EndAll(ctx context.Context, account, but uuid.UUID) error
}
