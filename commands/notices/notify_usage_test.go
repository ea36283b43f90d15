package notices_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/notices"
	"github.com/pas-ta/liveness/domain"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

// world is a subscription of ten calls a month, and nodes that tell of its usage.
type world struct {
	t        *testing.T
	clock    *commandstest.Clock
	store    *memorystore.Store
	model    *model
	customer uuid.UUID
	id       uuid.UUID
}

// model knows of as many calls as it is told.
type model struct {
	mu   sync.Mutex
	used []notices.CountedMonth
	err  error
}

func (m *model) Used(_ context.Context, month domain.Month, percent int64) ([]notices.CountedMonth, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var used []notices.CountedMonth
	for _, u := range m.used {
		if u.Month == month && percent == domain.LeastWarnPercent {
			used = append(used, u)
		}
	}
	return used, m.err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: commandstest.NewClock(noon), model: &model{}}
	w.store = memorystore.New(w.clock.Now)
	w.id = uuid.New()
	w.customer = domain.CustomerIDForSubscription(w.id)
	w.happen(domain.SubscriptionStream(w.id), domain.SubscriptionStarted{
		SubscriptionID: w.id, CustomerID: w.customer, Plan: domain.PlanStarter, Limit: 10, Overage: domain.OverageContinue,
	})
	return w
}

func (w *world) node() *notices.UsageNotifier {
	return notices.NewUsageNotifier(commands.Executor{Store: w.store, Now: w.clock.Now}, w.model, slog.New(slog.DiscardHandler))
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) happen(stream string, events ...domain.Event) {
	w.t.Helper()
	revision := w.revision(stream)
	proposed := commands.Executor{Now: w.clock.Now}.Propose(commands.NewOrigin(domain.ActorSystem), stream, revision, events)
	_, err := w.store.Append(w.t.Context(), stream, revision, proposed)
	w.must(err)
}

func (w *world) revision(stream string) int64 {
	w.t.Helper()
	last, found, err := w.store.ReadLast(w.t.Context(), stream)
	w.must(err)
	if !found {
		return commands.NoStream
	}
	return int64(last.Revision)
}

func (w *world) month() domain.Month { return domain.MonthOf(w.clock.Now()) }

// call counts calls, and shows them in the read model.
func (w *world) call(calls int) {
	w.t.Helper()
	stream := domain.UsageStream(w.id, w.month())
	subscription, err := commands.Read[domain.Subscription](w.t.Context(), w.store, domain.SubscriptionStream(w.id))
	w.must(err)
	usage, err := commands.Read[domain.UsageMonth](w.t.Context(), w.store, stream)
	w.must(err)
	usage.Month = w.month()
	for range calls {
		event, err := usage.Count(subscription, uint64(w.revision(domain.SubscriptionStream(w.id))), domain.Check{ID: uuid.New(), At: w.clock.Now()})
		w.must(err)
		w.happen(stream, event)
		usage = usage.Fold(event)
	}
	w.model.mu.Lock()
	defer w.model.mu.Unlock()
	w.model.used = slices.DeleteFunc(w.model.used, func(u notices.CountedMonth) bool { return u.Month == usage.Month })
	w.model.used = append(w.model.used, notices.CountedMonth{SubscriptionID: w.id, Month: usage.Month, Counted: usage.Counted()})
}

// told lists the thresholds that were told of in a month.
func (w *world) told(month domain.Month) []int64 {
	w.t.Helper()
	page, err := w.store.Read(w.t.Context(), domain.UsageNoticesStream(w.id, month), 0, 1000)
	w.must(err)
	var told []int64
	for _, recorded := range page {
		told = append(told, recorded.Event.(domain.UsageThresholdReached).Percent)
	}
	return told
}

func (w *world) wantTold(want ...int64) {
	w.t.Helper()
	if got := w.told(w.month()); !slices.Equal(got, want) {
		w.t.Errorf("told of %v, want %v", got, want)
	}
}

// Three nodes look after every call, all at once, and again: each threshold is told of once.
func TestEachThresholdIsToldOnceOnThreeNodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	nodes := []*notices.UsageNotifier{w.node(), w.node(), w.node()}
	for range 20 {
		w.call(1)
		var looking sync.WaitGroup
		for _, node := range nodes {
			looking.Go(func() {
				for range 2 {
					if err := node.Step(t.Context()); err != nil {
						t.Error(err)
					}
				}
			})
		}
		looking.Wait()
	}
	w.wantTold(80, 100, 150, 200)
	// A node that has never looked, in the same month.
	w.must(w.node().Step(t.Context()))
	w.wantTold(80, 100, 150, 200)
	// The next month begins anew.
	w.clock.Set(time.Date(2026, 12, 3, 0, 0, 0, 0, time.UTC))
	w.call(8)
	w.must(w.node().Step(t.Context()))
	w.wantTold(80)
}

// The thresholds are those of the plan that holds; what was passed when it began to is told of once.
func TestAPlanChangeArmsThresholds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	node := w.node()
	w.call(10)
	w.must(node.Step(t.Context()))
	w.happen(domain.SubscriptionStream(w.id), domain.PlanChanged{SubscriptionID: w.id, Plan: domain.PlanStandard, Limit: 20, ChangedAt: w.clock.Now()})
	w.call(5)
	w.must(node.Step(t.Context()))
	w.wantTold(80, 100)
	w.call(5) // several at once, all of them since the change
	w.must(node.Step(t.Context()))
	w.wantTold(80, 100, 80, 100)
	w.happen(domain.SubscriptionStream(w.id), domain.PlanChanged{SubscriptionID: w.id, Plan: domain.PlanStarter, Limit: 8, ChangedAt: w.clock.Now()})
	w.call(1)
	w.must(node.Step(t.Context()))
	w.wantTold(80, 100, 80, 100, 250)
}

// Who sets other shares is not told of those that are behind them; who has switched notices off is told of none.
func TestSettingsArmThresholds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := func(on bool, warn int64) {
		t.Helper()
		_, err := notices.Commands{Executor: commands.Executor{Store: w.store, Now: w.clock.Now}}.ChangeNotifications(t.Context(),
			notices.ChangeNotifications{By: commands.NewOrigin(domain.ActorUser), CustomerID: w.customer, UsageMails: on, WarnPercent: warn, StepPercent: 50})
		w.must(err)
		w.clock.Advance(time.Minute)
	}
	node := w.node()
	w.happen(domain.SubscriptionStream(w.id), domain.PlanChanged{SubscriptionID: w.id, Plan: domain.PlanStarter, Limit: 10, ChangedAt: w.clock.Now()})
	set(false, 60)
	w.clock.Advance(time.Minute)
	w.call(9)
	w.must(node.Step(t.Context()))
	w.clock.Advance(time.Minute)
	set(true, 60)
	w.must(w.node().Step(t.Context()))
	w.wantTold()
	w.call(1)
	w.must(node.Step(t.Context()))
	w.wantTold(100)
	settings, err := notices.Commands{Executor: commands.Executor{Store: w.store}}.Settings(t.Context(), w.customer)
	if err != nil || settings.UsageMailsOff || settings.WarnPercent() != 60 {
		t.Errorf("%+v, %v", settings, err)
	}
}

// The last calls of a month are told of in the next, and nothing is looked for without an end.
func TestTheEndOfAMonth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.Set(time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC))
	november := w.month()
	w.call(8)
	w.clock.Set(time.Date(2026, 12, 1, 0, 59, 59, 0, time.UTC))
	w.must(w.node().Step(t.Context()))
	if got := w.told(november); !slices.Equal(got, []int64{80}) {
		t.Errorf("told of %v", got)
	}
	late := newWorld(t)
	late.clock.Set(time.Date(2026, 11, 30, 23, 59, 59, 0, time.UTC))
	late.call(8)
	late.clock.Set(time.Date(2026, 12, 1, 1, 0, 0, 0, time.UTC))
	late.must(late.node().Step(t.Context()))
	if got := late.told(november); len(got) != 0 {
		t.Errorf("told of %v", got)
	}
}

// What cannot be read or written now is looked at again.
// unreadable is a log of which one stream cannot be read.
type unreadable struct {
	commands.EventStore
	stream string
}

var errUnreadable = errors.New("an event of a newer program")

func (u unreadable) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	if stream == u.stream {
		return domain.Recorded{}, false, errUnreadable
	}
	return u.EventStore.ReadLast(ctx, stream)
}

func TestAMonthThatCannotBeReadKeepsNoOtherWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(8)
	first := uuid.New()
	w.model.used = slices.Insert(w.model.used, 0, notices.CountedMonth{SubscriptionID: first, Month: w.month(), Counted: 8})
	node := w.node()
	node.Store = unreadable{w.store, domain.UsageStream(first, w.month())}
	if err := node.Step(t.Context()); !errors.Is(err, errUnreadable) || !strings.Contains(err.Error(), first.String()) {
		t.Errorf("got %v", err)
	}
	w.wantTold(80)
	node.Store = w.store
	w.must(node.Step(t.Context())) // it is looked at again
}

func TestNoticesWithoutALog(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(8)
	node := w.node()
	for _, operation := range []int{1, 2, 3, 4, 5} {
		var seen int
		w.store.Inject(func(memorystore.Operation) memorystore.Fault {
			if seen++; seen == operation {
				return memorystore.UnavailableBefore
			}
			return memorystore.None
		})
		if err := node.Step(t.Context()); operation < 5 && !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("operation %d fails: %v", operation, err)
		}
	}
	w.store.Inject(nil)
	w.must(node.Step(t.Context()))
	w.wantTold(80)
	// A month that has not grown since is not read again.
	w.store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	w.must(node.Step(t.Context()))
	w.store.Inject(nil)
	w.model.err = errors.New("no database")
	if err := node.Step(t.Context()); !errors.Is(err, w.model.err) {
		t.Errorf("got %v", err)
	}
	// Where nothing is counted there is nothing to tell.
	w.must(node.NotifyUsage(t.Context(), uuid.New(), w.month()))
}

// Calls are looked for one by one only where a change has armed thresholds, and what cannot be read of them is said.
func TestOnlyChangesCostASearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(8)
	searched := 0
	broken := func(fault memorystore.Fault) func(memorystore.Operation) memorystore.Fault {
		return func(o memorystore.Operation) memorystore.Fault {
			if o.Kind == memorystore.Read && domain.CategoryUsage.Holds(o.Stream) {
				searched++
				return fault
			}
			return memorystore.None
		}
	}
	w.store.Inject(broken(memorystore.None))
	w.must(w.node().NotifyUsage(t.Context(), w.id, w.month()))
	if searched > 0 {
		t.Errorf("without a change %d calls are looked at", searched)
	}
	w.happen(domain.SubscriptionStream(w.id), domain.PlanChanged{SubscriptionID: w.id, Plan: domain.PlanStarter, Limit: 9, ChangedAt: noon})
	w.store.Inject(broken(memorystore.UnavailableBefore))
	err := w.node().NotifyUsage(t.Context(), w.id, w.month())
	if !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(err.Error(), "read call 5 of the month") {
		t.Errorf("without its calls: %v", err)
	}
}

// oneLease gives itself to everybody once.
type oneLease struct{}

func (oneLease) Hold(ctx context.Context, work func(context.Context) error) error { return work(ctx) }

func TestTheNotifierRuns(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.call(8)
	var fails atomic.Int64
	fails.Store(2)
	w.store.Inject(func(memorystore.Operation) memorystore.Fault {
		if fails.Add(-1) >= 0 {
			return memorystore.UnavailableBefore
		}
		return memorystore.None
	})
	var log strings.Builder // written by the notifier alone until it has ended
	node := notices.NewUsageNotifier(commands.Executor{Store: w.store, Now: w.clock.Now}, w.model, slog.New(slog.NewTextHandler(&log, nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- node.Run(ctx, oneLease{}, time.Millisecond) }()
	for fails.Load() >= 0 || len(w.told(w.month())) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nothing was told")
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	w.wantTold(80)
	if failures := strings.Count(log.String(), "usage notices failed and will be tried again"); failures != 2 || strings.Contains(log.String(), "error=<nil>") {
		t.Errorf("%d failures are in the log, want 2:\n%s", failures, log.String())
	}
}
