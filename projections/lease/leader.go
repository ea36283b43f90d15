package lease

import (
	"context"
	"fmt"

	"github.com/pas-ta/liveness/commands"
)

// Leader lets one node at a time do a piece of work, by the same kind of lease that read models have.
type Leader struct {
	session *Session
	name    string
}

var _ commands.Lease = (*Leader)(nil)

// NewLeader returns the turns at the work called name; nodes with the same database take them. Whoever opened the session keeps
// watch over it meanwhile. Works of one process share it: each session costs a server of Postgres.
func NewLeader(session *Session, name string) *Leader {
	return &Leader{session: session, name: name}
}

// Hold implements commands.Lease.
func (l *Leader) Hold(ctx context.Context, work func(ctx context.Context) error) error {
	leased, held, err := l.session.Acquire(ctx, l.name)
	if err != nil {
		return fmt.Errorf("wait for the turn of %s: %w", l.name, err)
	}
	defer held.Release(ctx)
	return work(leased)
}
