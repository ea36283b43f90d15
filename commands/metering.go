package commands

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// MeteringConfig is what Metering is built from.
type MeteringConfig struct {
	Model  MeteringModel
	Meter  UsageMeter
	Region string // of the meter: AWS knows repetitions per Region
	Legacy bool   // name buyers by customer identifier: a listing from before 2026
	// ZeroHours reports sealed hours without overage too, with quantity 0.
	ZeroHours bool
	// Grace is how long after its end an hour is sealed; 15 s when 0. It only keeps the last calls of an hour from counting
	// for the next when the clocks of store and worker differ.
	Grace time.Duration
	// Reread looks at AWS again for a subscription whose licence AWS does not know as active; may be nil.
	Reread func(ctx context.Context, subscription uuid.UUID)
}

const (
	defaultSealGrace = 15 * time.Second
	// endGrace lets calls that were decided just before the end of a subscription reach the log.
	endGrace = 2 * time.Second
	// meteringParallel is how many streams are read or written at the same time.
	meteringParallel = 8
	// meteringPage is how many hours or records are taken up at a time.
	meteringPage = 1000
)

// Metering reports usage beyond the plans to AWS: it seals hours, prepares their records and sends them. All it decides
// on is in the log, so it may be killed at any moment and run on several nodes. One at a time calls its methods.
type Metering struct {
	MeteringConfig
	app *Application
	log *slog.Logger

	newest   time.Time // the newest sealed hour, as far as known
	position uint64    // of the newest event that the read model must show before it is asked
	line     meteringLine

	wake chan struct{}
}

// NewMetering checks the configuration.
func NewMetering(app *Application, config MeteringConfig) (*Metering, error) {
	if app == nil || config.Model == nil || config.Meter == nil || config.Region == "" {
		return nil, errors.New("metering needs an application, a read model, a meter and a Region")
	}
	if config.Grace == 0 {
		config.Grace = defaultSealGrace
	}
	return &Metering{MeteringConfig: config, app: app, log: app.log, wake: make(chan struct{}, 1)}, nil
}

// Wake makes Run look at once, because a subscription has ended.
func (m *Metering) Wake() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// endingsCheck is how often Run looks for ended subscriptions, whose last hour has to reach AWS within an hour.
const endingsCheck = time.Second

// Run works under the lease until ctx ends: a step at least every so often, when something is due, and when a
// subscription has ended.
func (m *Metering) Run(ctx context.Context, lease Lease, every time.Duration) error {
	for ctx.Err() == nil {
		err := lease.Hold(ctx, func(ctx context.Context) error {
			m.line = meteringLine{} // what this node knew of AWS is old
			return m.work(ctx, every)
		})
		if ctx.Err() != nil {
			break
		}
		m.log.WarnContext(ctx, "metering has lost its turn and waits for the next", "error", err)
		m.rest(ctx, time.Second)
	}
	return nil
}

func (m *Metering) work(ctx context.Context, every time.Duration) error {
	for ctx.Err() == nil {
		next, err := m.Step(ctx)
		if err != nil && ctx.Err() == nil {
			m.log.ErrorContext(ctx, "metering failed and will be tried again", "error", err)
			next = time.Time{}
		}
		wait := every
		if !next.IsZero() {
			wait = min(wait, max(next.Sub(m.app.Now()), 100*time.Millisecond))
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
func (m *Metering) rest(ctx context.Context, wait time.Duration) bool {
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

// Step does everything that can be done now: it seals, prepares and sends. It tells when there is more to do.
func (m *Metering) Step(ctx context.Context) (next time.Time, err error) {
	unsealed, err := m.SealEndedUsage(ctx)
	if err != nil {
		return next, err
	}
	if err := m.SealHours(ctx); err != nil {
		return next, err
	}
	if err := m.PrepareUsageRecords(ctx); err != nil {
		return next, err
	}
	next, err = m.SendUsageRecords(ctx)
	next = earlier(next, unsealed)
	if !m.newest.IsZero() {
		next = earlier(next, m.newest.Add(2*time.Hour+m.Grace))
	}
	return next, err
}

// settleRead waits until the read model shows what was appended here.
func (m *Metering) settleRead(ctx context.Context) error {
	if m.position == 0 {
		return nil
	}
	if err := m.app.barrier.WaitFor(ctx, MeteringReadModel, m.position); err != nil {
		return fmt.Errorf("wait for the read model of metering: %w", err)
	}
	return nil
}

// saw notes an appended event. Calls may overlap.
func (m *Metering) saw(mu *sync.Mutex, position uint64) {
	mu.Lock()
	defer mu.Unlock()
	m.position = max(m.position, position)
}

// phase tells where the agreement of a subscription stands.
func (m *Metering) phase(ctx context.Context, subscription uuid.UUID) (domain.AgreementPhase, error) {
	s, err := m.app.Subscription(ctx, subscription)
	return s.AgreementPhase(), err
}

// alert tells a person. What it says is also in the log as an event, or comes again until it is repaired.
func (m *Metering) alert(ctx context.Context, what string, key domain.UsageRecordKey, args ...any) {
	m.log.ErrorContext(ctx, what, append([]any{
		"subscription", key.SubscriptionID, "hour", domain.UsageHourKey(key.Hour), "dimension", key.Dimension,
	}, args...)...)
}

// earlier gives the earlier of two times, of which the zero time is none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
