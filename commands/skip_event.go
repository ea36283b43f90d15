package commands

import (
	"context"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// SkipEvent lets a read model go past an event that it cannot apply, by a person's decision. That the read model is stopped
// there is the caller's to know: it is written in the read model's database, not in the log.
type SkipEvent struct {
	By   Origin
	Skip domain.ProjectionSkipped // SkippedAt is filled in
}

// SkipProjectionEvent runs the command and returns what the read model goes past from now on. It needs nothing but the log.
func SkipProjectionEvent(ctx context.Context, store EventStore, now func() time.Time, cmd SkipEvent) (domain.ProjectionSkips, error) {
	stream := domain.ProjectionStream(cmd.Skip.ReadModel)
	done, err := Execute(ctx, Executor{Store: store, Now: now}, cmd.By, stream, func(s domain.ProjectionSkips) ([]domain.Event, error) {
		return s.Skip(cmd.Skip, now())
	})
	return done.State, err
}
