package counting_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

// TestCounterAgainstModel lets three nodes count the checks of one subscription in random interleavings with switches,
// plans, month ends, faults of the store and crashes, and compares every outcome and the log with a plain list.
func TestCounterAgainstModel(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		var failure any
		// In the bubble, waiting for a store that is down takes no time.
		synctest.Test(t, func(*testing.T) {
			defer func() { failure = recover() }()
			m := newModel(rt)
			rt.Repeat(map[string]func(*rapid.T){
				"":            m.compare,
				"begin":       m.begin,
				"begin again": m.begin,
				"count":       m.count,
				"count again": m.count,
				"outage":      m.countInOutage,
				"release":     m.release,
				"burst":       m.burst,
				"switch":      m.switchOverage,
				"plan":        m.changePlan,
				"end":         m.end,
				"moment":      func(*rapid.T) { m.clock.Advance(time.Second) },
				"hours":       m.hours,
				"month's end": m.monthsEnd,
				"crash":       m.crash,
			})
		})
		// What stops a run belongs to rapid, which waits for it in this goroutine. Rapid tells failures apart by the line
		// they come from, and a run that was merely cut short is none.
		switch {
		case fmt.Sprintf("%T", failure) == "rapid.invalidData":
			panic(failure)
		case failure != nil:
			panic(failure)
		}
	})
}

// model is what should be: the counted calls of each month in order.
type model struct {
	*usageFixture
	nodes        []*counting.UsageCounter
	open         []*openCheck
	subscription domain.Subscription
	months       map[domain.Month][]modelCall
}

type modelCall struct {
	id         uuid.UUID
	likelihood float64
	at         time.Time
}

// openCheck is a request that was admitted and has no answer yet.
type openCheck struct {
	node        int
	key         string
	reservation *counting.Reservation
	prior       *modelCall // it was admitted as a repetition of this call
}

func newModel(rt *rapid.T) *model {
	limit := rapid.Int64Range(0, 6).Draw(rt, "limit")
	beyond := rapid.SampledFrom([]domain.OveragePolicy{domain.OverageStop, domain.OverageContinue}).Draw(rt, "beyond")
	m := &model{usageFixture: newUsageFixture(rt, limit, beyond), months: map[domain.Month][]modelCall{}}
	m.index.lag = rapid.SampledFrom([]int64{0, 1, 2, 3, 1000}).Draw(rt, "lag of the index")
	m.subscription = domain.Subscription{Status: domain.StatusActive, Limit: limit, Overage: beyond}
	for range 3 {
		m.nodes = append(m.nodes, m.newCounter(m.store))
	}
	return m
}

func (m *model) month() domain.Month { return domain.MonthOf(m.clock.Now()) }

func (m *model) counted() int64 { return int64(len(m.months[m.month()])) }

// refusal is why one more call would not be counted while others hold places.
func (m *model) refusal(places int64) error {
	switch {
	case !m.subscription.Serves():
		return domain.ErrSubscriptionInactive
	case m.counted()+places >= m.most():
		return domain.ErrQuotaExceeded
	}
	return nil
}

// most is how many calls the month may have.
func (m *model) most() int64 {
	switch s := m.subscription; {
	case s.Overage == domain.OverageStop:
		return s.Limit
	case s.Ceiling > 0:
		return s.Limit + s.Ceiling
	}
	return 1 << 40
}

// prior is the call that a key stands for.
func (m *model) prior(key string) *modelCall {
	id := domain.CheckIDForIdempotencyKey(m.owner.SubscriptionID, key)
	for _, month := range []domain.Month{m.month(), m.month().Previous()} {
		calls := m.months[month]
		for i := len(calls) - 1; i >= 0 && key != ""; i-- {
			if calls[i].id == id && m.clock.Now().Sub(calls[i].at) < 24*time.Hour {
				return &calls[i]
			}
		}
	}
	return nil
}

// places is how many of the node's requests hold a place, and underWay whether one of them has the key.
func (m *model) places(node int) (places int64) {
	for _, check := range m.open {
		if check.node == node && check.prior == nil {
			places++
		}
	}
	return places
}

func (m *model) underWay(node int, key string) bool {
	for _, check := range m.open {
		if check.node == node && check.key == key && key != "" {
			return true
		}
	}
	return false
}

func (m *model) begin(rt *rapid.T) {
	node := rapid.IntRange(0, len(m.nodes)-1).Draw(rt, "node")
	key := rapid.SampledFrom([]string{"", "", "a", "b"}).Draw(rt, "key")
	if m.underWay(node, key) {
		rt.Skip("it would wait for the first")
	}
	refusal, prior := m.refusal(m.places(node)), m.prior(key)
	reservation, err := m.nodes[node].Begin(context.Background(), m.owner, key)
	switch {
	case err == nil:
		// What a node remembers may admit what another node has made impossible meanwhile; counting decides.
		m.open = append(m.open, &openCheck{node: node, key: key, reservation: reservation, prior: prior})
	case prior != nil:
		rt.Fatalf("a repetition is refused: %v", err)
	case refusal == nil:
		rt.Fatalf("refused without a reason: %v", err)
	case !errors.Is(err, refusal):
		rt.Fatalf("refused with %v, want %v", err, refusal)
	}
}

// take removes an open request from the list.
func (m *model) take(rt *rapid.T) *openCheck {
	if len(m.open) == 0 {
		rt.Skip("nothing is under way")
	}
	i := rapid.IntRange(0, len(m.open)-1).Draw(rt, "request")
	check := m.open[i]
	m.open = append(m.open[:i:i], m.open[i+1:]...)
	return check
}

// strike lets the store fail once, at the next append.
func (m *model) strike(fault memorystore.Fault) {
	m.store.Inject(func(operation memorystore.Operation) memorystore.Fault {
		if operation.Kind != memorystore.Append {
			return memorystore.None
		}
		once := fault
		fault = memorystore.None
		return once
	})
}

var anyFault = rapid.SampledFrom([]memorystore.Fault{
	memorystore.None, memorystore.None, memorystore.Conflict, memorystore.UnavailableBefore, memorystore.UnavailableAfter,
})

// photo is what a request shows: one of two photos, so that keys are used again with the same and with another.
var photo = rapid.SampledFrom([]float64{0.25, 0.5})

func (m *model) count(rt *rapid.T) {
	check, likelihood := m.take(rt), photo.Draw(rt, "photo")
	m.strike(anyFault.Draw(rt, "fault"))
	defer m.store.Inject(nil)
	defer check.reservation.Release()
	event, err := count(check.reservation, likelihood)

	prior := check.prior
	if prior == nil {
		prior = m.prior(check.key)
	}
	refusal := m.refusal(0)
	switch {
	case prior != nil && prior.likelihood != likelihood:
		refusal = domain.ErrIdempotencyConflict
	case prior != nil:
		refusal = nil
	}
	switch {
	case refusal != nil && !errors.Is(err, refusal):
		rt.Fatalf("counted with %v, want %v", err, refusal)
	case refusal != nil:
	case err != nil:
		rt.Fatalf("refused without a reason: %v", err)
	case prior != nil:
		if event.CheckID != prior.id || !event.CompletedAt.Equal(prior.at) || event.Judgement.FakeLikelihood != prior.likelihood {
			rt.Fatalf("a repetition is answered with %+v, want %+v", event, prior)
		}
	default:
		m.months[m.month()] = append(m.months[m.month()], modelCall{event.CheckID, event.Judgement.FakeLikelihood, event.CompletedAt})
	}
}

// countInOutage counts while no append is answered for longer than the counter waits. The caller learns nothing; whether
// the call is counted depends on whether the store had got it.
func (m *model) countInOutage(rt *rapid.T) {
	check, likelihood := m.take(rt), photo.Draw(rt, "photo")
	defer check.reservation.Release()
	if check.prior != nil || m.prior(check.key) != nil || m.refusal(0) != nil {
		return
	}
	fault := rapid.SampledFrom([]memorystore.Fault{memorystore.UnavailableBefore, memorystore.UnavailableAfter}).Draw(rt, "fault")
	m.store.Inject(func(operation memorystore.Operation) memorystore.Fault {
		if operation.Kind == memorystore.Append {
			return fault
		}
		return memorystore.None
	})
	defer m.store.Inject(nil)
	if event, err := count(check.reservation, likelihood); !errors.Is(err, domain.ErrUnavailable) {
		rt.Fatalf("%+v, %v; want unavailable", event, err)
	} else if said := message(err); !strings.Contains(said, "not known") || !strings.Contains(said, "Idempotency-Key") {
		rt.Fatalf("of a call that may be counted it is said: %q", said)
	}
	last, found, err := m.store.ReadLast(context.Background(), domain.UsageStream(m.owner.SubscriptionID, m.month()))
	if err != nil {
		rt.Fatal(err)
	}
	// A node that was behind got a conflict and did not learn that either.
	if found && int64(last.Revision) == m.counted() && fault == memorystore.UnavailableAfter {
		m.months[m.month()] = append(m.months[m.month()], modelCall{last.ID, likelihood, last.Event.(domain.CheckCompleted).CompletedAt})
	}
}

func (m *model) release(rt *rapid.T) { m.take(rt).reservation.Release() }

// burst sends requests without keys to all nodes at once. With none under way before, as many are counted as there is
// room for.
func (m *model) burst(rt *rapid.T) {
	m.releaseAll()
	size := rapid.IntRange(2, 12).Draw(rt, "requests")
	want := int64(size)
	switch {
	case !m.subscription.Serves():
		want = 0
	default:
		want = min(want, max(0, m.most()-m.counted()))
	}
	m.strike(anyFault.Draw(rt, "fault"))
	defer m.store.Inject(nil)
	var group sync.WaitGroup
	events := make(chan domain.CheckCompleted, size)
	for i := range size {
		group.Go(func() {
			event, err := m.check(m.nodes[i%len(m.nodes)], "", 0.25)
			if err == nil {
				events <- event
			} else if !errors.Is(err, domain.ErrQuotaExceeded) && !errors.Is(err, domain.ErrSubscriptionInactive) {
				m.t.Errorf("burst: %v", err)
			}
		})
	}
	group.Wait()
	close(events)
	if int64(len(events)) != want {
		rt.Fatalf("%d of %d are counted, want %d", len(events), size, want)
	}
	byOrdinal := map[int64]domain.CheckCompleted{}
	for event := range events {
		byOrdinal[event.Ordinal] = event
	}
	for range byOrdinal {
		event, ok := byOrdinal[m.counted()+1]
		if !ok {
			rt.Fatalf("no answer has ordinal %d", m.counted()+1)
		}
		m.months[m.month()] = append(m.months[m.month()], modelCall{event.CheckID, 0.25, event.CompletedAt})
	}
}

func (m *model) switchOverage(rt *rapid.T) {
	to := rapid.SampledFrom([]domain.OveragePolicy{domain.OverageStop, domain.OverageContinue}).Draw(rt, "to")
	ceiling := int64(0)
	if to == domain.OverageContinue {
		ceiling = rapid.Int64Range(0, 4).Draw(rt, "ceiling")
	}
	m.change(domain.OverageSwitched{SubscriptionID: m.owner.SubscriptionID, To: to, Ceiling: ceiling})
}

func (m *model) changePlan(rt *rapid.T) {
	limit := m.counted() + rapid.Int64Range(-2, 4).Draw(rt, "room")
	m.change(domain.PlanChanged{SubscriptionID: m.owner.SubscriptionID, Plan: domain.PlanEnterprise, Limit: max(0, limit)})
}

// end seldom ends the subscription, and begins it again where real ones stay ended, so that a run goes on.
func (m *model) end(rt *rapid.T) {
	switch {
	case !m.subscription.Serves():
		m.change(domain.SubscriptionRenewed{SubscriptionID: m.owner.SubscriptionID})
	case rapid.IntRange(0, 3).Draw(rt, "end") == 0:
		m.change(domain.SubscriptionEnded{SubscriptionID: m.owner.SubscriptionID})
	}
}

func (m *model) change(event domain.Event) {
	m.record(m.owner, event)
	m.subscription = m.subscription.Fold(event)
}

// hours let time pass between requests; none is under way for that long.
func (m *model) hours(*rapid.T) {
	m.releaseAll()
	m.clock.Advance(7 * time.Hour)
}

// monthsEnd brings the clock to a second before the month ends. Requests may be under way when it does.
func (m *model) monthsEnd(*rapid.T) {
	m.releaseAll()
	if last := m.month().End().Add(-time.Second); m.clock.Now().Before(last) { // clocks only go forward: see commands.MaxStaleness
		m.clock.Set(last)
	}
}

func (m *model) releaseAll() {
	for _, check := range m.open {
		check.reservation.Release()
	}
	m.open = nil
}

// crash loses all that a node remembers, with the requests under way on it.
func (m *model) crash(rt *rapid.T) {
	node := rapid.IntRange(0, len(m.nodes)-1).Draw(rt, "node")
	m.nodes[node] = m.newCounter(m.store)
	var alive []*openCheck
	for _, check := range m.open {
		if check.node != node {
			alive = append(alive, check)
		}
	}
	m.open = alive
}

// compare checks the log against the model.
func (m *model) compare(rt *rapid.T) {
	m.clock.Advance(time.Millisecond)
	for month, calls := range m.months {
		for i, e := range m.wantCounted(m.owner, month, len(calls)) {
			if want := calls[i]; e.CheckID != want.id || e.Judgement.FakeLikelihood != want.likelihood || !e.CompletedAt.Equal(want.at) {
				rt.Fatalf("call %d of %s is %+v, want %+v", i+1, month, e, want)
			}
		}
	}
	m.wantCounted(m.owner, m.month(), len(m.months[m.month()]))
	quota, err := m.nodes[0].Quota(context.Background(), m.owner.SubscriptionID)
	if err != nil || quota.Usage.Counted() != m.counted() || quota.Subscription.Limit != m.subscription.Limit {
		rt.Fatalf("quota %+v, %v; want %d counted", quota, err, m.counted())
	}
}
