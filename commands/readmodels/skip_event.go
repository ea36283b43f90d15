package readmodels

import (
	"context"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Skip lets a read model go past an event that it cannot apply, by a person's decision. That the read model is stopped
// there is the caller's to know: it is written in the read model's database, not in the log.
type Skip struct {
	By   commands.Origin
	Skip domain.ProjectionSkipped // SkippedAt is filled in
}

// SkipEvent runs the command and returns what the read model goes past from now on. It needs nothing but the log.
func SkipEvent(ctx context.Context, x commands.Executor, cmd Skip) (domain.ProjectionSkips, error) {
	stream := domain.ProjectionStream(cmd.Skip.ReadModel)
	done, err := commands.Execute(ctx, x, cmd.By, stream, func(s domain.ProjectionSkips) ([]domain.Event, error) {
		return s.Skip(cmd.Skip, x.Now())
	})
	return done.State, err
}
