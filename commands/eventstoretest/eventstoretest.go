// Package eventstoretest is the suite that every commands.EventStore passes. It asks for nothing that
// EventStoreDB does not promise.
package eventstoretest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// callTimeout bounds every call of the suite.
const callTimeout = time.Minute

// Run checks an implementation. Open gives a store, which may be shared and may hold other streams: the suite writes to
// new streams alone.
func Run(t *testing.T, open func(t *testing.T) commands.EventStore) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, suite){
		"an event comes back as it was written":               comesBack,
		"an append is at the expected revision or not at all": exactRevision,
		"an append is whole or not at all":                    whole,
		"a repeated append is recognised":                     repeated,
		"an id may return in another place":                   sameIDElsewhere,
		"reads are bounded and in order":                      reads,
		"a stream without events reads as empty":              empty,
		"of writers at the same time one wins":                writersAtTheSameTime,
		"an ended context is honoured":                        endedContext,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(context.Background(), callTimeout)
			t.Cleanup(cancel)
			test(t, suite{ctx: ctx, store: open(t), stream: domain.AccountStream(uuid.New())})
		})
	}
}

// RunForgetting checks that an implementation forgets what domain.MaxAge says, and nothing else. Open gives a new store
// whose clock is now.
func RunForgetting(t *testing.T, open func(t *testing.T, now func() time.Time) commands.EventStore) {
	t.Helper()
	var clock atomic.Pointer[time.Time]
	at := func(now time.Time) { clock.Store(&now) }
	begun := someTime()
	at(begun)
	ctx, cancel := context.WithTimeout(t.Context(), callTimeout)
	defer cancel()
	store := open(t, func() time.Time { return *clock.Load() })
	logins := suite{ctx: ctx, store: store, stream: domain.LoginsStream(uuid.New())}
	account := suite{ctx: ctx, store: store, stream: domain.AccountStream(uuid.New())}
	old, kept := propose(3), propose(2)
	logins.mustAppend(t, commands.NoStream, old)
	account.mustAppend(t, commands.NoStream, old)

	at(begun.Add(domain.LoginsMaxAge - time.Hour))
	logins.wantIDs(t, old)
	logins.mustAppend(t, 2, kept)
	at(begun.Add(domain.LoginsMaxAge + time.Hour))
	logins.wantIDs(t, kept)
	if last, found, err := store.ReadLast(ctx, logins.stream); err != nil || !found || last.Revision != 4 {
		t.Errorf("the last event: revision %d, found %t, %v; want revision 4", last.Revision, found, err)
	}

	at(begun.Add(3 * domain.LoginsMaxAge))
	empty(t, logins)
	account.wantIDs(t, old)
	_, err := store.Append(ctx, logins.stream, commands.NoStream, propose(1))
	if conflict := (*commands.ConflictError)(nil); !errors.As(err, &conflict) || conflict.Revision != 4 {
		t.Errorf("an append as if the stream were new: %v, want a conflict that says revision 4", err)
	}
	late := propose(1)
	if appended := logins.mustAppend(t, 4, late); appended.Revision != 5 {
		t.Errorf("appended at revision %d, want 5", appended.Revision)
	}
	logins.wantIDs(t, late)
}

type suite struct {
	ctx    context.Context
	store  commands.EventStore
	stream string
}

func propose(count int) []commands.Proposed {
	proposed := make([]commands.Proposed, count)
	for i := range proposed {
		proposed[i] = commands.Proposed{
			ID:    uuid.New(),
			Event: domain.EmailVerified{CustomerID: uuid.New(), VerificationID: uuid.New(), VerifiedAt: someTime()},
			Meta: domain.Metadata{
				CorrelationID: uuid.New(), CausationID: uuid.New(), Actor: domain.ActorBuyer, OccurredAt: someTime(),
			},
		}
	}
	return proposed
}

func someTime() time.Time { return time.Date(2026, 11, 22, 21, 48, 3, 123456789, time.UTC) }

func (s suite) mustAppend(t *testing.T, expected int64, events []commands.Proposed) commands.Appended {
	t.Helper()
	appended, err := s.store.Append(s.ctx, s.stream, expected, events)
	if err != nil {
		t.Fatalf("append %d events at %d: %v", len(events), expected, err)
	}
	return appended
}

func (s suite) wantConflict(t *testing.T, expected int64, events []commands.Proposed) {
	t.Helper()
	if _, err := s.store.Append(s.ctx, s.stream, expected, events); !errors.Is(err, commands.ErrConflict) {
		t.Errorf("append %d events at %d: %v, want ErrConflict", len(events), expected, err)
	}
}

func (s suite) mustRead(t *testing.T, from uint64, limit int) []domain.Recorded {
	t.Helper()
	page, err := s.store.Read(s.ctx, s.stream, from, limit)
	if err != nil {
		t.Fatalf("read %d events from %d: %v", limit, from, err)
	}
	return page
}

func (s suite) wantIDs(t *testing.T, want []commands.Proposed) {
	t.Helper()
	if diff := cmp.Diff(idsOf(want), recordedIDs(s.mustRead(t, 0, 1000))); diff != "" {
		t.Errorf("ids in the stream (-want +got):\n%s", diff)
	}
}

func idsOf(proposed []commands.Proposed) []uuid.UUID {
	var ids []uuid.UUID
	for _, p := range proposed {
		ids = append(ids, p.ID)
	}
	return ids
}

func recordedIDs(page []domain.Recorded) []uuid.UUID {
	var ids []uuid.UUID
	for _, recorded := range page {
		ids = append(ids, recorded.ID)
	}
	return ids
}

func comesBack(t *testing.T, s suite) {
	subscription, customer := uuid.New(), uuid.New()
	s.stream = domain.SubscriptionStream(subscription)
	proposed := propose(4)
	proposed[0].Event = domain.SubscriptionStarted{
		SubscriptionID: subscription, CustomerID: customer,
		Marketplace: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:::l-1", ProductCode: "p"},
		Plan:        domain.PlanStarter, Limit: 1000, Overage: domain.OverageContinue, StartedAt: someTime(),
	}
	proposed[1].Event = domain.CheckCompleted{
		CheckID: uuid.New(), CustomerID: customer, SubscriptionID: subscription, SubscriptionRevision: 3,
		Month: domain.Month{Year: 2026, Month: time.November}, Ordinal: 7, Billing: domain.BillingOverage, IncludedTotal: 5, OverageTotal: 2,
		Plan: domain.PlanStarter, Limit: 5, Overage: domain.OverageStop, KeySlot: domain.SlotSecondary, RequestDigest: "ab",
		Judgement: domain.Judgement{FakeLikelihood: 0.012345678901234567, ValidFace: true, Brightness: 142.3, Threshold: 0.15,
			LatencyMS: 120, ModelPack: "default", ModelPackHash: "cd"},
		CompletedAt: someTime(),
	}
	proposed[2].Event = domain.SubscriptionEnded{SubscriptionID: subscription, Reason: "ümläut \u2028 \"quoted\" </x>", EndedAt: someTime()}

	before := time.Now()
	first := s.mustAppend(t, commands.NoStream, proposed[:1])
	rest := s.mustAppend(t, 0, proposed[1:])
	if first.Revision != 0 || rest.Revision != 3 || rest.Position <= first.Position {
		t.Errorf("appended at %+v and %+v, want revisions 0 and 3 and growing positions", first, rest)
	}
	page := s.mustRead(t, 0, 10)
	if len(page) != len(proposed) {
		t.Fatalf("read %d events, want %d", len(page), len(proposed))
	}
	for i, got := range page {
		want := domain.Recorded{
			ID: proposed[i].ID, Stream: s.stream, Revision: uint64(i), Position: got.Position, RecordedAt: got.RecordedAt,
			Meta: proposed[i].Meta, Event: proposed[i].Event,
		}
		want.Meta.SchemaVersion = got.Meta.SchemaVersion
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
		if got.Meta.SchemaVersion < 1 {
			t.Errorf("event %d has schema version %d, want at least 1", i, got.Meta.SchemaVersion)
		}
		if i > 0 && got.Position <= page[i-1].Position {
			t.Errorf("position %d follows %d, want growing positions", got.Position, page[i-1].Position)
		}
		if got.RecordedAt.Location() != time.UTC || got.RecordedAt.Before(before.Add(-time.Hour)) || got.RecordedAt.After(time.Now().Add(time.Hour)) {
			t.Errorf("event %d was recorded at %v, want about now, in UTC", i, got.RecordedAt)
		}
	}
	if page[0].Position != first.Position || page[3].Position != rest.Position {
		t.Errorf("read positions %d and %d, appended at %d and %d", page[0].Position, page[3].Position, first.Position, rest.Position)
	}
}

func exactRevision(t *testing.T, s suite) {
	_, err := s.store.Append(s.ctx, s.stream, 0, propose(1))
	if conflict := (*commands.ConflictError)(nil); !errors.As(err, &conflict) || conflict.Revision != commands.NoStream {
		t.Errorf("a stream that does not exist: the conflict is %v, want one that says revision -1", err)
	}
	first := propose(3)
	s.mustAppend(t, commands.NoStream, first)
	for _, wrong := range []int64{commands.NoStream, 0, 1, 3, 100} {
		s.wantConflict(t, wrong, propose(1))
	}
	_, err = s.store.Append(s.ctx, s.stream, 0, propose(1))
	if conflict := (*commands.ConflictError)(nil); !errors.As(err, &conflict) || conflict.Revision != 2 {
		t.Errorf("the conflict is %v, want one that says revision 2", err)
	}
	second := propose(1)
	if appended := s.mustAppend(t, 2, second); appended.Revision != 3 {
		t.Errorf("appended at revision %d, want 3", appended.Revision)
	}
	s.wantIDs(t, append(first, second...))
}

func whole(t *testing.T, s suite) {
	first := propose(2)
	s.mustAppend(t, commands.NoStream, first)
	longer := append(append([]commands.Proposed(nil), first...), propose(1)...)
	s.wantConflict(t, commands.NoStream, longer) // begins with what is there, and asks for more
	s.wantConflict(t, 0, []commands.Proposed{first[0]})
	s.wantConflict(t, commands.NoStream, []commands.Proposed{first[1], first[0]})
	s.wantIDs(t, first)
}

func repeated(t *testing.T, s suite) {
	first, second := propose(3), propose(2)
	a := s.mustAppend(t, commands.NoStream, first)
	if again := s.mustAppend(t, commands.NoStream, first); again != a {
		t.Errorf("repeated append answers %+v, the first %+v", again, a)
	}
	b := s.mustAppend(t, 2, second)
	if again := s.mustAppend(t, commands.NoStream, first); again != a {
		t.Errorf("repeated append after others answers %+v, the first %+v", again, a)
	}
	if again := s.mustAppend(t, 2, second); again != b {
		t.Errorf("repeated append answers %+v, the first %+v", again, b)
	}
	s.wantIDs(t, append(first, second...))
}

func sameIDElsewhere(t *testing.T, s suite) {
	proposed := propose(1)
	s.mustAppend(t, commands.NoStream, proposed)
	s.mustAppend(t, 0, proposed) // at the stream's end: a new decision, as after an Idempotency-Key's day
	s.wantIDs(t, []commands.Proposed{proposed[0], proposed[0]})

	other := s
	other.stream = domain.AccountStream(uuid.New())
	other.mustAppend(t, commands.NoStream, proposed)
	other.wantIDs(t, proposed)
}

func reads(t *testing.T, s suite) {
	proposed := propose(7)
	s.mustAppend(t, commands.NoStream, proposed)
	for _, test := range []struct {
		from  uint64
		limit int
		want  []commands.Proposed
	}{
		{0, 7, proposed}, {0, 100, proposed}, {0, 3, proposed[:3]}, {3, 3, proposed[3:6]}, {6, 3, proposed[6:]}, {7, 3, nil}, {1000, 3, nil},
	} {
		if diff := cmp.Diff(idsOf(test.want), recordedIDs(s.mustRead(t, test.from, test.limit))); diff != "" {
			t.Errorf("read %d from %d (-want +got):\n%s", test.limit, test.from, diff)
		}
	}
	last, found, err := s.store.ReadLast(s.ctx, s.stream)
	if err != nil || !found || last.ID != proposed[6].ID || last.Revision != 6 {
		t.Errorf("last event: revision %d, found %t, %v; want revision 6", last.Revision, found, err)
	}
	if diff := cmp.Diff(s.mustRead(t, 6, 1), []domain.Recorded{last}); diff != "" {
		t.Errorf("the last event is not what a read gives (-read +last):\n%s", diff)
	}
}

func empty(t *testing.T, s suite) {
	if page := s.mustRead(t, 0, 10); len(page) != 0 {
		t.Errorf("read %d events, want none", len(page))
	}
	if _, found, err := s.store.ReadLast(s.ctx, s.stream); found || err != nil {
		t.Errorf("last event: found %t, %v; want none", found, err)
	}
}

func writersAtTheSameTime(t *testing.T, s suite) {
	const writers, each = 8, 12
	var group sync.WaitGroup
	failures := make(chan error, writers)
	for range writers {
		group.Go(func() {
			for written, expected := 0, commands.NoStream; written < each; {
				appended, err := s.store.Append(s.ctx, s.stream, expected, propose(1))
				switch {
				case err == nil:
					written, expected = written+1, int64(appended.Revision)
				case errors.Is(err, commands.ErrConflict):
					// The winner may be readable only a moment later.
					winner, _ := commands.ConflictRevision(err, expected)
					err := commands.AwaitRevision(s.ctx, winner, func(ctx context.Context) (int64, error) {
						last, found, err := s.store.ReadLast(ctx, s.stream)
						if err != nil || !found {
							return commands.NoStream, err
						}
						expected = int64(last.Revision)
						return expected, nil
					})
					if err != nil {
						failures <- fmt.Errorf("after a conflict: %w", err)
						return
					}
				default:
					failures <- err
					return
				}
			}
		})
	}
	group.Wait()
	close(failures)
	for err := range failures {
		t.Error(err)
	}
	page := s.mustRead(t, 0, 1000)
	if len(page) != writers*each {
		t.Fatalf("stream has %d events, want %d", len(page), writers*each)
	}
	for i, recorded := range page {
		if recorded.Revision != uint64(i) {
			t.Fatalf("event %d has revision %d", i, recorded.Revision)
		}
	}
}

func endedContext(t *testing.T, s suite) {
	ended, cancel := context.WithCancel(s.ctx)
	cancel()
	if _, err := s.store.Append(ended, s.stream, commands.NoStream, propose(1)); err == nil {
		t.Error("append with an ended context succeeds")
	}
	if _, err := s.store.Read(ended, s.stream, 0, 1); err == nil {
		t.Error("read with an ended context succeeds")
	}
	if _, _, err := s.store.ReadLast(ended, s.stream); err == nil {
		t.Error("read of the last event with an ended context succeeds")
	}
}
