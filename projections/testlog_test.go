package projections_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// testLog is a log in memory that keeps the contract of projections.Source.
type testLog struct {
	batch int          // most events in a batch
	nacks atomic.Int32 // batches that were given back

	mu     sync.Mutex
	events []domain.Recorded
	last   map[string]uint64 // next revision of each stream
	grown  chan struct{}     // closed when events are appended
}

func newLog() *testLog {
	return &testLog{batch: 100, last: map[string]uint64{}, grown: make(chan struct{})}
}

var epoch = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)

// append records events one second apart, ten positions apart, and gives the position of the last.
func (l *testLog) append(stream string, events ...domain.Event) uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	var position uint64
	for _, event := range events {
		n := len(l.events)
		position = uint64(n+1) * 10
		l.events = append(l.events, domain.Recorded{
			ID: uuid.NewSHA1(uuid.Nil, fmt.Append(nil, n)), Stream: stream, Revision: l.last[stream], Position: position,
			RecordedAt: epoch.Add(time.Duration(n) * time.Second), Meta: domain.Metadata{Actor: domain.ActorUser}, Event: event,
		})
		l.last[stream]++
	}
	close(l.grown)
	l.grown = make(chan struct{})
	return position
}

func (l *testLog) all() []domain.Recorded {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]domain.Recorded(nil), l.events...)
}

func (l *testLog) Head(context.Context) (uint64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(len(l.events)) * 10, nil
}

func (l *testLog) Subscriber(_ string, eventTypes []string, from func(context.Context) (projections.Place, error)) message.Subscriber {
	wanted := map[string]bool{}
	for _, t := range eventTypes {
		wanted[t] = true
	}
	return &testSubscriber{log: l, wanted: wanted, from: from}
}

type testSubscriber struct {
	log    *testLog
	wanted map[string]bool
	from   func(context.Context) (projections.Place, error)
	work   sync.WaitGroup
}

func (s *testSubscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	messages := make(chan *message.Message)
	s.work.Go(func() {
		defer close(messages)
		place, err := s.from(ctx)
		for err == nil {
			batch, grown := s.next(place)
			if len(batch.Events) == 0 && batch.Position == place.Position && place.Started {
				select {
				case <-grown:
					continue
				case <-ctx.Done():
					return
				}
			}
			if !projections.Deliver(ctx, messages, batch, 0, func() { s.log.nacks.Add(1) }) {
				return
			}
			place = projections.Place{Position: batch.Position, Started: true}
		}
	})
	return messages, nil
}

func (s *testSubscriber) next(place projections.Place) (projections.Batch, <-chan struct{}) {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	batch := projections.Batch{Position: place.Position}
	read := 0
	if place.Started {
		read = int(place.Position / 10) // positions are ten apart
	}
	for _, recorded := range s.log.events[read:] {
		if len(batch.Events) == s.log.batch {
			return batch, s.log.grown
		}
		batch.Position = recorded.Position
		if s.wanted[recorded.Event.EventType()] {
			batch.Events = append(batch.Events, recorded)
		}
	}
	batch.CaughtUp = true
	return batch, s.log.grown
}

func (s *testSubscriber) Close() error {
	s.work.Wait()
	return nil
}

// customer is one subscription with its account, as events of tests need it.
type customer struct {
	subscription, id uuid.UUID
	counted          map[domain.Month]int64
}

func newCustomer(tb testing.TB, n int) *customer {
	tb.Helper()
	subscription := domain.SubscriptionIDForLicense(fmt.Sprintf("l-%s-%d", tb.Name(), n))
	return &customer{subscription: subscription, id: domain.CustomerIDForSubscription(subscription), counted: map[domain.Month]int64{}}
}

const planLimit = 1000

func (c *customer) started() domain.Event {
	return domain.SubscriptionStarted{
		SubscriptionID: c.subscription, CustomerID: c.id,
		Marketplace: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager::1:license:l-1", ProductCode: "code"},
		Plan:        domain.PlanStarter, Limit: planLimit, Overage: domain.OverageContinue, StartedAt: epoch,
	}
}

func (c *customer) issued(slot domain.KeySlot, hash string) domain.Event {
	return domain.KeyIssued{CustomerID: c.id, SubscriptionID: c.subscription, Slot: slot, Key: digest(hash), IssuedAt: epoch}
}

func (c *customer) regenerated(slot domain.KeySlot, old, hash string) domain.Event {
	return domain.KeyRegenerated{
		CustomerID: c.id, SubscriptionID: c.subscription, Slot: slot, OldKey: digest(old), NewKey: digest(hash), RegeneratedAt: epoch.Add(time.Hour),
	}
}

func digest(hash string) domain.KeyDigest {
	return domain.KeyDigest{Hash: hash, Prefix: "lc_" + hash[:1]}
}

// check is the customer's next counted call.
func (c *customer) check(at time.Time) domain.CheckCompleted {
	month := domain.MonthOf(at)
	c.counted[month]++
	n := c.counted[month]
	event := domain.CheckCompleted{
		CheckID: uuid.NewSHA1(c.subscription, fmt.Append(nil, month, n)), CustomerID: c.id, SubscriptionID: c.subscription,
		Month: month, Ordinal: n, Billing: domain.BillingIncluded, IncludedTotal: min(n, planLimit), OverageTotal: max(0, n-planLimit),
		Plan: domain.PlanStarter, Limit: planLimit, Overage: domain.OverageContinue, KeySlot: domain.SlotPrimary,
		Judgement: domain.Judgement{
			FakeLikelihood: float64(n%10) / 10, FakeFace: n%10 > 1, ValidFace: true, Brightness: 120.5, Threshold: 0.15, LatencyMS: 80, ModelPack: "default",
		},
		CompletedAt: at,
	}
	if n > planLimit {
		event.Billing = domain.BillingOverage
	}
	if n%3 == 0 {
		event.RequestDigest = "digest"
	}
	return event
}

// checks are the customer's next n calls, a second apart.
func (c *customer) checks(from time.Time, n int) []domain.Event {
	events := make([]domain.Event, n)
	for i := range events {
		events[i] = c.check(from.Add(time.Duration(i) * time.Second))
	}
	return events
}

func (c *customer) usageStream(at time.Time) string {
	return domain.UsageStream(c.subscription, domain.MonthOf(at))
}
