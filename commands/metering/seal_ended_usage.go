package metering

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// SealEndedUsage closes the open hour of every subscription that has ended, so that it is reported at once: AWS takes it
// for an hour only. It returns when the next one may be closed; the zero time when none waits.
func (m *ProcessManager) SealEndedUsage(ctx context.Context) (next time.Time, err error) {
	ended, err := m.Model.Ended(ctx)
	if err != nil {
		return next, err
	}
	var failed error
	for _, subscription := range ended {
		now := m.Now()
		if calm := subscription.RecordedAt.Add(endGrace); now.Before(calm) {
			next = earlier(next, calm)
			continue
		}
		done, err := commands.Execute(ctx, m.Executor, commands.NewOrigin(domain.ActorSystem), domain.UsageEndStream(subscription.ID), func(u domain.UsageEnd) ([]domain.Event, error) {
			// It may have been reinstated since the read model was asked.
			s, err := commands.Read[domain.Subscription](ctx, m.Store, domain.SubscriptionStream(subscription.ID))
			return u.Seal(s, now), err
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("seal the usage of ended subscription %s: %w", subscription.ID, err))
			if commands.ConcernsAll(ctx, err) {
				break
			}
			continue
		}
		m.position = max(m.position, done.Position)
	}
	return next, failed
}
