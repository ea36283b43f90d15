package metering

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestCircuitBreaker(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		outcomes []domain.MeteringOutcome
		batch    int
		open     time.Duration // give or take a quarter; 0 when calls may go on at once
	}{
		"after a start":            {nil, 1, 0},
		"after a success":          {[]domain.MeteringOutcome{domain.MeteringSuccess}, MaxUsageBatch, 0},
		"after a refused record":   {[]domain.MeteringOutcome{domain.MeteringLicenceRefused}, MaxUsageBatch, 0},
		"after a lost answer":      {[]domain.MeteringOutcome{domain.MeteringSuccess, domain.MeteringUnknown}, 1, time.Second},
		"unreachable":              {[]domain.MeteringOutcome{domain.MeteringNotSent}, 1, time.Second},
		"throttled twice":          {[]domain.MeteringOutcome{domain.MeteringThrottled, domain.MeteringThrottled}, 1, 2 * time.Second},
		"three times":              {[]domain.MeteringOutcome{domain.MeteringUnknown, domain.MeteringThrottled, domain.MeteringNotSent}, 1, 4 * time.Second},
		"for long":                 {make20(domain.MeteringNotSent), 1, 5 * time.Minute},
		"without permission":       {[]domain.MeteringOutcome{domain.MeteringAccessRefused}, 1, 5 * time.Minute},
		"and counts from new then": {[]domain.MeteringOutcome{domain.MeteringUnknown, domain.MeteringUnknown, domain.MeteringSuccess, domain.MeteringUnknown}, 1, time.Second},
	} {
		for range 50 { // the pause is random
			var b circuitBreaker
			for _, outcome := range c.outcomes {
				b.record(outcome, now)
			}
			if b.batchSize() != c.batch {
				t.Fatalf("%s: the next call has %d records, want %d", name, b.batchSize(), c.batch)
			}
			if c.open == 0 && b.open(now) || c.open > 0 && (!b.open(now.Add(c.open*3/4-1)) || b.open(now.Add(c.open*5/4))) {
				t.Fatalf("%s: no call before %s, want %s", name, b.openUntil.Sub(now), c.open)
			}
		}
	}
}

func make20(outcome domain.MeteringOutcome) []domain.MeteringOutcome {
	outcomes := make([]domain.MeteringOutcome, 20)
	for i := range outcomes {
		outcomes[i] = outcome
	}
	return outcomes
}

func TestEarlier(t *testing.T) {
	t.Parallel()
	early, late := time.Unix(1, 0), time.Unix(2, 0)
	for _, c := range []struct{ a, b, want time.Time }{
		{early, late, early}, {late, early, early}, {time.Time{}, late, late}, {late, time.Time{}, late}, {}, {early, early, early},
	} {
		if got := earlier(c.a, c.b); !got.Equal(c.want) {
			t.Errorf("of %s and %s: %s", c.a, c.b, got)
		}
	}
}
