package metering_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
)

// An hour is sealed once, and not before its end and some grace.
func TestHoursAreSealedAfterTheirEnd(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := f.manager()
	stream := domain.SealedHoursStream(domain.MonthOf(hour))
	for _, c := range []struct {
		at   time.Duration // after the hour
		want int
	}{
		{time.Hour + 15*time.Second - 1, 1}, // the hour before
		{time.Hour + 15*time.Second, 2}, {2*time.Hour + 15*time.Second - 1, 2}, {2*time.Hour + 15*time.Second, 3}, {5*time.Hour + time.Minute, 6},
	} {
		f.clock.Set(hour.Add(c.at))
		for range 2 {
			if err := m.SealHours(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.manager().SealHours(t.Context()); err != nil { // another node
			t.Fatal(err)
		}
		if got := commandstest.Types(t, f.log, stream); len(got) != c.want {
			t.Errorf("%s after its begin, %d hours are sealed, want %d", c.at, len(got), c.want)
		}
	}
	reads := 0
	f.config.Store = &commandstest.HookedStore{EventStore: f.log, BeforeReadLast: func(string) { reads++ }, BeforeRead: func(string) { reads++ }}
	m = f.manager()
	for range 2 {
		if err := m.SealHours(t.Context()); err != nil {
			t.Fatal(err)
		}
		if reads == 0 || reads > 2 {
			t.Errorf("the log is read %d times", reads)
		}
	}
	f.clock.Set(hour.Add(6*time.Hour + 15*time.Second - 1))
	if err := m.SealHours(t.Context()); err != nil || reads > 2 {
		t.Errorf("before the hour is over the log is read %d times, %v", reads, err)
	}
	f.clock.Set(time.Date(2026, 12, 1, 2, 1, 0, 0, time.UTC))
	if err := f.manager().SealHours(t.Context()); err != nil {
		t.Fatal(err)
	}
	december := commandstest.Types(t, f.log, domain.SealedHoursStream(domain.Month{Year: 2026, Month: time.December}))
	november, err := commands.Read[domain.SealedHours](t.Context(), f.log, stream)
	if err != nil || len(december) != 2 || !november.Last.Equal(time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("november is sealed up to %s, december has %d hours; %v", november.Last, len(december), err)
	}
}

// The first hour ever sealed is the one before, also when that was another month's.
func TestFirstSealedHour(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock.Set(time.Date(2026, 12, 1, 0, 1, 0, 0, time.UTC))
	if err := f.manager().SealHours(t.Context()); err != nil {
		t.Fatal(err)
	}
	november, err := commands.Read[domain.SealedHours](t.Context(), f.log, domain.SealedHoursStream(domain.MonthOf(hour)))
	if err != nil || !november.Last.Equal(time.Date(2026, 11, 30, 23, 0, 0, 0, time.UTC)) {
		t.Errorf("sealed up to %s, %v", november.Last, err)
	}
}

// After more than a year without metering the newest hour alone is sealed.
func TestSealingBeginsAnewAfterALongTime(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		away time.Time
		want bool // the hours in between are sealed one by one
	}{
		"twelve months": {time.Date(2027, 11, 2, 0, 1, 0, 0, time.UTC), true}, "thirteen months": {time.Date(2027, 12, 2, 0, 1, 0, 0, time.UTC), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			for range 2 {
				if err := f.manager().SealHours(t.Context()); err != nil {
					t.Fatal(err)
				}
				f.clock.Set(c.away)
			}
			january := commandstest.Types(t, f.log, domain.SealedHoursStream(domain.Month{Year: 2027, Month: time.January}))
			if (len(january) > 0) != c.want {
				t.Errorf("%d hours of the time without metering are sealed", len(january))
			}
		})
	}
}
