package counting

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

// keyedMonth is a month's stream in which every call had an Idempotency-Key.
type keyedMonth struct {
	*testing.T
	*monthKeys
	at       time.Time
	usage    domain.UsageMonth
	ids      []uuid.UUID
	revision int64
}

func newKeyedMonth(t *testing.T) *keyedMonth {
	m := &keyedMonth{T: t, at: time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC), revision: commands.NoStream}
	now := func() time.Time { return m.at }
	m.usage.Month = domain.MonthOf(m.at)
	m.monthKeys = newMonthKeys(memorystore.New(now), domain.UsageStream(uuid.New(), m.usage.Month), now)
	return m
}

func (m *keyedMonth) count(calls int) {
	m.Helper()
	var page []commands.Proposed
	for range calls {
		event, err := m.usage.Count(domain.Subscription{Status: domain.StatusActive, Limit: 1 << 40}, 0, domain.Check{ID: uuid.New(), RequestDigest: "digest", At: m.at})
		if err != nil {
			m.Fatal(err)
		}
		m.usage, m.ids = m.usage.Fold(event), append(m.ids, event.CheckID)
		page = append(page, commands.Proposed{ID: event.CheckID, Event: event})
	}
	appended, err := m.store.Append(m.Context(), m.stream, m.revision, page)
	if err != nil {
		m.Fatal(err)
	}
	m.revision = int64(appended.Revision)
}

// holds searches for a call and compares what is remembered then.
func (m *keyedMonth) holds(indexed int64, call, want int, calls int, from int64) {
	m.Helper()
	ordinal, err := m.find(m.Context(), indexed, m.ids[call-1])
	if err != nil || ordinal != int64(want) || len(m.calls) != calls || m.from != from || m.to != m.revision+1 {
		m.Errorf("%d indexed: call %d is found as %d, %v; %d calls of [%d, %d) are remembered; want %d, and %d calls from %d on",
			indexed, call, ordinal, err, len(m.calls), m.from, m.to, want, calls, from)
	}
}

// What is remembered is what the index lacks and what may stand; nothing is lost by forgetting the rest.
func TestMonthKeysForgetWhatIsOfNoUse(t *testing.T) {
	t.Parallel()
	m := newKeyedMonth(t)
	m.count(7)
	m.holds(0, 7, 7, 7, 0)

	m = newKeyedMonth(t)
	m.count(leastSweep)
	m.holds(0, 7, 7, leastSweep, 0)
	m.count(1)
	m.holds(leastSweep, leastSweep+1, leastSweep+1, leastSweep+1, 0) // there has been a sweep just now

	m = newKeyedMonth(t)
	m.count(3000)
	m.holds(0, 7, 7, 3000, 0)
	m.count(3500)
	m.holds(2900, 2901, 2901, 3600, 2900)
	m.holds(2900, 6500, 6500, 3600, 2900)
	m.holds(0, 7, 7, 6500, 0) // the index has gone back
	m.at = m.at.Add(idempotencyHours + clockMargin - 1)
	m.count(1)
	m.holds(0, 7, 7, 6501, 0)
	m.at = m.at.Add(1)
	m.count(8000)
	m.holds(0, 6501, 6501, 8001, 0)
	m.holds(0, 7, 0, 8001, 0) // it stands no more
	m.holds(14_000, 14_500, 14_500, 8001, 0)
	m.count(10)
	m.holds(14_511, 14_511, 0, 0, 14_511) // it is indexed
}

// A node that has remembered nothing yet reads back as far as a key may stand on any node.
func TestMonthKeysReadBackAsFarAsKeysStand(t *testing.T) {
	t.Parallel()
	m := newKeyedMonth(t)
	m.count(1000)
	m.at = m.at.Add(idempotencyHours + clockMargin - 1)
	m.count(1)
	m.holds(0, 7, 7, 1001, 0)

	m = newKeyedMonth(t)
	m.count(1000)
	m.at = m.at.Add(idempotencyHours + clockMargin)
	m.count(1)
	m.holds(0, 7, 0, 1, 0)
	m.holds(0, 1001, 1001, 1, 0)
}

const idempotencyHours = 24 * time.Hour

// Of a month whose calls stand no more nothing is remembered.
func TestMonthKeysOfOlderMonthsAreDropped(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)
	b := newBatcher(&UsageCounter{now: func() time.Time { return at }}, uuid.New())
	november := domain.MonthOf(at)
	first := b.keysOf(november)
	at = november.End().Add(time.Hour)
	if b.keysOf(november.Next()); b.keysOf(november) != first || len(b.keys) != 2 {
		t.Errorf("an hour into the next month %d months are remembered", len(b.keys))
	}
	at = november.End().Add(24 * time.Hour)
	if b.keysOf(november.Next()); len(b.keys) != 1 || b.keys[november] != nil {
		t.Errorf("a day into the next month %d months are remembered", len(b.keys))
	}
}
