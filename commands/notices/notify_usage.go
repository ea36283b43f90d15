package notices

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sort"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// CountedMonth is a month of a subscription, with how many calls a read model knows of.
type CountedMonth struct {
	SubscriptionID uuid.UUID
	Month          domain.Month
	Counted        int64
}

// UsageModel names the months in which something may have to be told. It may be behind: what is told is decided on the log.
type UsageModel interface {
	// Used lists subscriptions that have used at least a share of their plan in a month.
	Used(ctx context.Context, month domain.Month, percent int64) ([]CountedMonth, error)
}

// UsageNotifier tells of thresholds that usage has reached. Any number of nodes may run it: each threshold is decided on the
// month's own stream, at an exact revision.
type UsageNotifier struct {
	commands.Executor
	model UsageModel
	log   *slog.Logger

	looked map[monthKey]int64 // how many calls were counted when a month was last looked at
}

type monthKey struct {
	subscription uuid.UUID
	month        domain.Month
}

// NewUsageNotifier looks for months in a read model.
func NewUsageNotifier(x commands.Executor, model UsageModel, log *slog.Logger) *UsageNotifier {
	return &UsageNotifier{Executor: x, model: model, log: log, looked: map[monthKey]int64{}}
}

// monthEndGrace is how long after a month's end its last calls are still looked for.
const monthEndGrace = time.Hour

// Run works under the lease until ctx ends, a step every so often.
func (n *UsageNotifier) Run(ctx context.Context, lease commands.Lease, every time.Duration) error {
	commands.RunUnderLease(ctx, lease, n.log, "usage notices", func(ctx context.Context) error {
		n.looked = map[monthKey]int64{} // another node has worked meanwhile
		for ctx.Err() == nil {
			if err := n.Step(ctx); err != nil && ctx.Err() == nil {
				n.log.WarnContext(ctx, "usage notices failed and will be tried again", "error", err)
			}
			_ = commands.Sleep(ctx, every)
		}
		return context.Cause(ctx)
	})
	return nil
}

// Step looks at every month that has grown since the last one. What fails for one subscription keeps no other waiting.
func (n *UsageNotifier) Step(ctx context.Context) error {
	month := domain.MonthOf(n.Now())
	months := []domain.Month{month}
	if n.Now().Sub(month.Start()) < monthEndGrace {
		months = append(months, month.Previous())
	}
	var failed error
	for _, month := range months {
		used, err := n.model.Used(ctx, month, domain.LeastWarnPercent)
		if err != nil {
			return errors.Join(failed, err)
		}
		for _, m := range used {
			key := monthKey{m.SubscriptionID, m.Month}
			if n.looked[key] >= m.Counted {
				continue
			}
			if err := n.NotifyUsage(ctx, m.SubscriptionID, m.Month); err != nil {
				failed = errors.Join(failed, fmt.Errorf("tell of the usage of %s in %s: %w", m.SubscriptionID, m.Month, err))
				if commands.ConcernsAll(ctx, err) {
					return failed
				}
				continue
			}
			n.looked[key] = m.Counted
		}
	}
	for key := range n.looked {
		if key.month.End().Add(monthEndGrace).Before(n.Now()) {
			delete(n.looked, key)
		}
	}
	return failed
}

// NotifyUsage tells of the thresholds that a month has reached, as the log says.
func (n *UsageNotifier) NotifyUsage(ctx context.Context, subscription uuid.UUID, month domain.Month) error {
	last, found, err := n.Store.ReadLast(ctx, domain.UsageStream(subscription, month))
	if err != nil || !found {
		return commands.Unavailable(err)
	}
	usage := domain.UsageMonth{Month: month}.Fold(last.Event)
	term, err := commands.Read[domain.PlanTerm](ctx, n.Store, domain.SubscriptionStream(subscription))
	if err != nil {
		return err
	}
	settings, err := commands.Read[domain.NotificationSettings](ctx, n.Store, domain.NotificationSettingsStream(term.CustomerID))
	if err != nil {
		return err
	}
	stream := domain.UsageNoticesStream(subscription, month)
	notices, revision, err := commands.Load[domain.UsageNotices](ctx, n.Store, stream)
	if err != nil {
		return commands.Unavailable(err)
	}
	if len(notices.Reach(term, usage, settings, domain.Armed{}, n.Now())) == 0 {
		return nil // the rule: only a few times a month is there more to read
	}
	armed, err := n.armed(ctx, subscription, usage, term, settings)
	if err != nil {
		return err
	}
	_, err = commands.ExecuteFrom(ctx, n.Executor, commands.NewOrigin(domain.ActorSystem), stream, notices, revision,
		func(notices domain.UsageNotices) ([]domain.Event, error) {
			return notices.Reach(term, usage, settings, armed, n.Now()), nil
		})
	return err
}

// armed finds out how many calls were counted when the thresholds were armed.
func (n *UsageNotifier) armed(
	ctx context.Context, subscription uuid.UUID, usage domain.UsageMonth, term domain.PlanTerm, settings domain.NotificationSettings,
) (domain.Armed, error) {
	var armed domain.Armed
	var err error
	if term.Changes > 0 {
		armed.ByPlan, err = n.countedBefore(ctx, subscription, usage, func(e domain.CheckCompleted) bool {
			return e.SubscriptionRevision >= term.ChangedIn
		})
		if err != nil {
			return armed, err
		}
	}
	if !settings.ChangedAt.IsZero() {
		armed.BySettings, err = n.countedBefore(ctx, subscription, usage, func(e domain.CheckCompleted) bool {
			return !e.CompletedAt.Before(settings.ChangedAt)
		})
	}
	return armed, err
}

// countedBefore returns how many calls of a month were counted before the first one that is later than something. Calls are
// numbered, so it reads a few of them, not all.
func (n *UsageNotifier) countedBefore(
	ctx context.Context, subscription uuid.UUID, usage domain.UsageMonth, later func(domain.CheckCompleted) bool,
) (int64, error) {
	var failure error
	before := sort.Search(int(usage.Counted()), func(i int) bool {
		if failure != nil {
			return true
		}
		page, err := n.Store.Read(ctx, domain.UsageStream(subscription, usage.Month), uint64(i), 1)
		if err != nil || len(page) == 0 {
			failure = fmt.Errorf("read call %d of the month: %w", i+1, err)
			return true
		}
		call, ok := page[0].Event.(domain.CheckCompleted)
		return ok && later(call)
	})
	return int64(before), commands.Unavailable(failure)
}
