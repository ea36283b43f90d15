package metering

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// Config is what a ProcessManager is built from. All of it is required but for what says otherwise.
type Config struct {
	commands.Executor
	Barrier   commands.Barrier
	Catalogue domain.Catalogue
	Log       *slog.Logger

	Model  ReadModel
	Meter  UsageMeter
	Region string // of the meter: AWS knows repetitions per Region
	Legacy bool   // name buyers by customer identifier: a listing from before 2026
	// ZeroHours reports sealed hours without overage too, with quantity 0.
	ZeroHours bool
	// Grace is how long after its end an hour is sealed; 15 s when 0. It only keeps the last calls of an hour from counting
	// for the next when the clocks of store and worker differ.
	Grace time.Duration
	// OtherClock tells the time of another machine, without which nothing that is final is done by a clock that runs ahead; may be nil.
	OtherClock func(ctx context.Context) (time.Time, error)
	// Reread looks at AWS again for a subscription whose licence AWS does not know as active; may be nil.
	Reread func(ctx context.Context, subscription uuid.UUID) error
}

const (
	defaultSealGrace = 15 * time.Second
	// endGrace lets calls that were decided just before the end of a subscription reach the log.
	endGrace = 2 * time.Second
	// aheadAtMost is how far the clock may be ahead of the other one. Calls of so little before the end of an hour count for the next.
	aheadAtMost = time.Minute
	// parallel is how many streams are read or written at the same time.
	parallel = 8
	// pageSize is how many hours or records are taken up at a time.
	pageSize = 1000
)

// ProcessManager reports usage beyond the plans to AWS: it seals hours, prepares their records and sends them. All it
// decides on is in the log, so it may be killed at any moment and run on several nodes. One at a time calls its methods.
type ProcessManager struct {
	Config

	newest   time.Time // the newest sealed hour, as far as known
	position uint64    // of the newest event that the read model must show before it is asked
	breaker  circuitBreaker

	wake chan struct{}
}

// NewProcessManager checks the configuration.
func NewProcessManager(config Config) (*ProcessManager, error) {
	if config.Store == nil || config.Now == nil || config.Barrier == nil || len(config.Catalogue.Plans()) == 0 || config.Log == nil ||
		config.Model == nil || config.Meter == nil || config.Region == "" {
		return nil, errors.New("metering needs a store, a clock, a barrier, a catalogue, a log, a read model, a meter and a Region")
	}
	if config.Grace == 0 {
		config.Grace = defaultSealGrace
	}
	return &ProcessManager{Config: config, wake: make(chan struct{}, 1)}, nil
}

// Wake makes Run look at once, because a subscription has ended.
func (m *ProcessManager) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// endingsCheck is how often Run looks for ended subscriptions, whose last hour has to reach AWS within an hour.
const endingsCheck = time.Second

// Run works under the lease until ctx ends: a step at least every so often, when something is due, and when a
// subscription has ended.
func (m *ProcessManager) Run(ctx context.Context, lease commands.Lease, every time.Duration) error {
	commands.RunUnderLease(ctx, lease, m.Log, "metering", func(ctx context.Context) error {
		m.breaker = circuitBreaker{} // what this node knew of AWS is old
		return m.work(ctx, every)
	})
	return nil
}

func (m *ProcessManager) work(ctx context.Context, every time.Duration) error {
	for ctx.Err() == nil {
		next, err := m.Step(ctx)
		if err != nil && ctx.Err() == nil {
			m.Log.ErrorContext(ctx, "metering failed and will be tried again", "error", err)
			next = time.Time{}
		}
		wait := every
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(m.Now()), 100*time.Millisecond))
		}
		for wait > 0 && ctx.Err() == nil && !m.rest(ctx, min(wait, endingsCheck)) {
			wait -= endingsCheck
			if ended, err := m.Model.Ended(ctx); err == nil && len(ended) > 0 {
				break
			}
		}
	}
	return context.Cause(ctx)
}

// rest waits; it reports true when it was woken.
func (m *ProcessManager) rest(ctx context.Context, wait time.Duration) bool {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-m.wake:
		return true
	case <-ctx.Done():
	}
	return false
}

// Step does everything that can be done now: it seals, prepares and sends. It returns when there is more to do. What fails
// for one subscription keeps no other waiting.
func (m *ProcessManager) Step(ctx context.Context) (next time.Time, err error) {
	if err := m.checkClock(ctx); err != nil {
		return next, err
	}
	unsealed, failed := m.SealEndedUsage(ctx)
	if commands.ConcernsAll(ctx, failed) {
		return next, failed
	}
	if err := m.SealHours(ctx); err != nil {
		return next, errors.Join(failed, err)
	}
	err = m.PrepareUsageRecords(ctx)
	if failed = errors.Join(failed, err); commands.ConcernsAll(ctx, err) {
		return next, failed
	}
	next, err = m.SendUsageRecords(ctx)
	next = earlier(next, unsealed)
	if !m.newest.IsZero() {
		next = earlier(next, m.newest.Add(2*time.Hour+m.Grace))
	}
	return next, errors.Join(failed, err)
}

// each works on several things at the same time, waits for all and returns all that failed.
func each(n int, work func(mu *sync.Mutex, i int) error) error {
	var mu sync.Mutex
	var group errgroup.Group
	group.SetLimit(parallel)
	failed := make([]error, n)
	for i := range n {
		group.Go(func() error {
			failed[i] = work(&mu, i)
			return nil
		})
	}
	_ = group.Wait() // each has its own error
	return errors.Join(failed...)
}

// checkClock refuses to go by a clock that is ahead: hours that are not over would be sealed, and records given up that AWS
// still takes, for good.
func (m *ProcessManager) checkClock(ctx context.Context) error {
	if m.OtherClock == nil {
		return nil
	}
	other, err := m.OtherClock(ctx)
	if err != nil {
		return fmt.Errorf("ask another clock than this machine's: %w", err)
	}
	if ahead := m.Now().Sub(other); ahead > aheadAtMost {
		return fmt.Errorf("the clock of this machine is %s ahead of Postgres' (%s): no usage is reported until they agree; look at their synchronisation",
			ahead.Round(time.Second), other.UTC().Format(time.RFC3339))
	}
	return nil
}

// awaitReadModel waits until the read model shows what was appended here.
func (m *ProcessManager) awaitReadModel(ctx context.Context) error {
	if m.position == 0 {
		return nil
	}
	if err := m.Barrier.WaitFor(ctx, ReadModelName, m.position); err != nil {
		return fmt.Errorf("wait for the read model of metering: %w", err)
	}
	return nil
}

// advance notes an appended event. Calls may overlap.
func (m *ProcessManager) advance(mu *sync.Mutex, position uint64) {
	mu.Lock()
	defer mu.Unlock()
	m.position = max(m.position, position)
}

// status returns where a subscription stands.
func (m *ProcessManager) status(ctx context.Context, subscription uuid.UUID) (domain.SubscriptionStatus, error) {
	s, err := commands.Read[domain.Subscription](ctx, m.Store, domain.SubscriptionStream(subscription))
	return s.Status, err
}

// alert tells a person. What it says is also in the log as an event, or comes again until it is repaired.
func (m *ProcessManager) alert(ctx context.Context, what string, key domain.UsageRecordKey, args ...any) {
	m.Log.ErrorContext(ctx, what, append([]any{
		"subscription", key.SubscriptionID, "hour", domain.UsageHourKey(key.Hour), "dimension", key.Dimension,
	}, args...)...)
}

// earlier returns the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
