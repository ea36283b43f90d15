package metering_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
)

// Usage that has ended is sealed two seconds after, for calls under way, and at once then.
func TestEndedUsageIsSealedEarly(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock.Set(hour.Add(20 * time.Minute))
	ended := f.clock.Now()
	id := f.subscription(0)
	f.end(id)
	m := f.manager()
	for _, c := range []struct {
		after  time.Duration
		sealed int
	}{{0, 0}, {2*time.Second - 1, 0}, {2 * time.Second, 1}, {time.Minute, 1}} {
		f.clock.Set(ended.Add(c.after))
		next, err := m.SealEndedUsage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if want := ended.Add(2 * time.Second); c.sealed == 0 && !next.Equal(want) || c.sealed > 0 && !next.IsZero() {
			t.Errorf("%s after the end: the next is due at %s", c.after, next)
		}
		if got := commandstest.Types(t, f.log, domain.UsageEndStream(id)); len(got) != c.sealed {
			t.Errorf("%s after the end: %v", c.after, got)
		}
	}
	f.clock.Set(ended)
	if next := f.step(f.manager()); !next.Equal(hour.Add(time.Hour + 15*time.Second)) {
		t.Errorf("with everything sealed, the next step is due at %s", next)
	}
}

// What was counted after the end of the agreement is written off, and a person is told.
func TestUsageAfterTheEndIsWrittenOff(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	id := f.subscription(4)
	f.record(domain.SubscriptionStream(id), domain.SubscriptionEnded{SubscriptionID: id, EndedAt: hour.Add(-time.Minute)})
	f.step(f.manager())
	f.wants(id, prepared, rejected)
	if f.alerts.Count() != 1 {
		t.Errorf("a person is told at once: %q", f.alerts)
	}
	f.behind = true
	f.step(f.manager())
	f.wants(id, prepared, rejected)
	if f.alerts.Count() != 1 || len(f.calls) > 0 {
		t.Errorf("%d calls; a person is told: %s", len(f.calls), f.alerts)
	}
}
