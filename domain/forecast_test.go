package domain_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestForecast(t *testing.T) {
	t.Parallel()
	november := domain.MonthOf(noon) // 30 days
	day := func(n float64) time.Time { return november.Start().Add(time.Duration(n * 24 * float64(time.Hour))) }
	for name, test := range map[string]struct {
		included, overage int64
		started, now      time.Time
		want              int64
		known             bool
	}{
		"half a month":                    {300, 0, day(-100), day(15), 600, true},
		"calls beyond the plan count too": {200, 100, day(-100), day(15), 600, true},
		"started within it":               {300, 0, day(10), day(20), 600, true},
		"started with it":                 {300, 0, day(0), day(10), 900, true},
		"rounds":                          {10, 0, day(0), day(7), 43, true},
		"rounds up":                       {10, 0, day(0), day(6.1), 49, true},
		"no calls":                        {0, 0, day(0), day(10), 0, true},
		"after a day":                     {10, 0, day(0), day(1), 300, true},
		"before a day has passed":         {10, 0, day(0), day(1).Add(-1), 0, false},
		"before a day since its start":    {10, 0, day(10), day(10.99), 0, false},
		"in the last instant":             {10, 0, day(0), day(30).Add(-1), 10, true},
		"over":                            {10, 0, day(0), day(30), 0, false},
		"not begun":                       {0, 0, day(0), day(-1), 0, false},
	} {
		u := domain.UsageMonth{Month: november, Included: test.included, Overage: test.overage}
		if got, known := u.Forecast(test.started, test.now); got != test.want || known != test.known {
			t.Errorf("%s: got %d, %v; want %d, %v", name, got, known, test.want, test.known)
		}
	}
}

func TestParseCallPrice(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]domain.CallPrice{
		"0.25": 250_000, "1": 1_000_000, "0.000001": 1, "0.1234567": 0, "1000": 1_000_000_000, "1000.000001": 0, "12.5": 12_500_000,
		"": 0, ".5": 0, "5.": 0, ".": 0, "0": 0, "0.0": 0, "-1": 0, "1e3": 0, "$1": 0, "1,5": 0, "1.2.3": 0, "99999999999999999999": 0, "\t1": 0, "+1": 0,
	} {
		got, err := domain.ParseCallPrice(text)
		if got != want || (err == nil) != (want > 0) {
			t.Errorf("%q: got %d, %v; want %d", text, got, err, want)
		}
	}
}

func TestOverageUSD(t *testing.T) {
	t.Parallel()
	prices := map[domain.PlanID]domain.CallPrice{"starter": 250_000, "standard": 100_000}
	both := []domain.PlanOverage{{Plan: "starter", Calls: 10}, {Plan: "standard", Calls: 100}}
	for name, test := range map[string]struct {
		overage  []domain.PlanOverage
		credited int64
		want     float64
		known    bool
	}{
		"none":                      {nil, 0, 0, true},
		"one plan":                  {both[:1], 0, 2.5, true},
		"two plans":                 {both, 0, 12.5, true},
		"credited of the oldest":    {both, 4, 11.5, true},
		"credited all of the first": {both, 10, 10, true},
		"credited into the second":  {both, 20, 9, true},
		"credited all":              {both, 110, 0, true},
		"credited more":             {both, 200, 0, true},
		"no price":                  {[]domain.PlanOverage{{Plan: "pro", Calls: 1}}, 0, 0, false},
		"no price of one":           {append(both[:2:2], domain.PlanOverage{Plan: "pro", Calls: 1}), 0, 0, false},
		"no price of what is free":  {[]domain.PlanOverage{{Plan: "pro", Calls: 1}, both[0]}, 1, 2.5, true},
	} {
		if got, known := domain.OverageUSD(test.overage, test.credited, prices); got != test.want || known != test.known {
			t.Errorf("%s: got %v, %v; want %v, %v", name, got, known, test.want, test.known)
		}
	}
}
