package domain_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func sealed(at time.Time, hours ...time.Time) (events []domain.Event) {
	for _, hour := range hours {
		events = append(events, domain.HourSealed{Hour: hour, SealedAt: at})
	}
	return events
}

func TestHoursAreSealedInOrder(t *testing.T) {
	t.Parallel()
	november, december := domain.Month{Year: 2026, Month: time.November}, domain.Month{Year: 2026, Month: time.December}
	first := december.Start()
	seal := func(month domain.Month, previous, until time.Time) func(domain.SealedHours) ([]domain.Event, error) {
		return recorded(func(s domain.SealedHours) []domain.Event { return s.Seal(month, previous, until, noon) })
	}
	hour := func(n int) time.Time { return noon.Add(time.Duration(n) * time.Hour) }
	play(t, []scenario[domain.SealedHours]{
		{name: "the first is the newest that is over", when: seal(november, time.Time{}, hour(0).Add(59*time.Minute)), then: sealed(noon, hour(-1))},
		{name: "a running hour stays open", given: sealed(noon, hour(-1)), when: seal(november, time.Time{}, hour(1).Add(-1))},
		{name: "an hour is sealed when it has ended", given: sealed(noon, hour(-1)), when: seal(november, time.Time{}, hour(1)), then: sealed(noon, hour(0))},
		{name: "gaps are filled", given: sealed(noon, hour(-1)), when: seal(november, time.Time{}, hour(3)), then: sealed(noon, hour(0), hour(1), hour(2))},
		{name: "a month ends with its last hour", given: sealed(noon, first.Add(-2*time.Hour)), when: seal(november, time.Time{}, first.Add(5*time.Hour)),
			then: sealed(noon, first.Add(-time.Hour))},
		{name: "the next month goes on", when: seal(december, first.Add(-time.Hour), first.Add(2*time.Hour)), then: sealed(noon, first, first.Add(time.Hour))},
		{name: "a month begins with its first hour", when: seal(december, first.Add(-3*time.Hour), first.Add(time.Hour)), then: sealed(noon, first)},
	})
}

func TestWhatIsCommittedBelongsToOneHour(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ recorded, sealed, want time.Time }{
		"nothing is sealed":               {noon.Add(time.Minute), time.Time{}, noon},
		"its own hour is open":            {noon.Add(time.Minute), noon.Add(-time.Hour), noon},
		"its own hour is sealed":          {noon.Add(time.Minute), noon, noon.Add(time.Hour)},
		"a clock stepped far back":        {noon.Add(-5 * time.Hour), noon, noon.Add(time.Hour)},
		"the last instant of an hour":     {noon.Add(time.Hour - 1), noon.Add(-time.Hour), noon},
		"a clock in another time zone":    {noon.In(time.FixedZone("east", 19800)), noon.Add(-time.Hour), noon},
		"an hour ahead of the sealed one": {noon.Add(3 * time.Hour), noon, noon.Add(3 * time.Hour)},
	} {
		if got := domain.MeteringHour(tt.recorded, tt.sealed); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}

func TestUsageEndsOnceForEachEnd(t *testing.T) {
	t.Parallel()
	seal := func(status domain.SubscriptionStatus, ends int) func(domain.UsageEnd) ([]domain.Event, error) {
		return recorded(func(u domain.UsageEnd) []domain.Event {
			return u.Seal(domain.Subscription{ID: id(1), Status: status, Ends: ends}, noon.Add(time.Minute))
		})
	}
	first := domain.SubscriptionUsageSealed{SubscriptionID: id(1), Hour: noon, SealedAt: noon.Add(time.Minute)}
	second, third := first, first
	second.End, third.End = 2, 3
	play(t, []scenario[domain.UsageEnd]{
		{name: "seals", when: seal(domain.StatusEnded, 1), then: []domain.Event{first}},
		{name: "once", given: []domain.Event{first}, when: seal(domain.StatusEnded, 1)},
		{name: "not what goes on", when: seal(domain.StatusActive, 1)},
		{name: "again when it has ended again", given: []domain.Event{first}, when: seal(domain.StatusEnded, 2), then: []domain.Event{second}},
		{name: "the second end once", given: []domain.Event{first, second}, when: seal(domain.StatusEnded, 2)},
		{name: "the third end", given: []domain.Event{first, second}, when: seal(domain.StatusEnded, 3), then: []domain.Event{third}},
		{name: "no earlier end after a later one", given: []domain.Event{third, first}, when: seal(domain.StatusEnded, 3)},
	})
}

func TestHourThatTheSealOfUsageCloses(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ says, recorded, closed, want time.Time }{
		"the open one":                {noon, noon.Add(time.Minute), noon.Add(-time.Hour), noon},
		"what the store's clock says": {noon, noon.Add(time.Hour), noon.Add(-time.Hour), noon.Add(time.Hour)},
		"what the worker's says":      {noon.Add(time.Hour + time.Minute), noon.Add(59 * time.Minute), noon.Add(-time.Hour), noon.Add(time.Hour)},
		"never one that is closed":    {noon, noon.Add(time.Minute), noon, noon.Add(time.Hour)},
	} {
		if got := (domain.SubscriptionUsageSealed{Hour: tt.says}).ClosedBy(tt.recorded, tt.closed); !got.Equal(tt.want) {
			t.Errorf("%s: %s, want %s", name, got, tt.want)
		}
	}
}
