package domain

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// leastForecast is how much of a month has to have passed before anything is foretold: a day, because nights are not days.
const leastForecast = 24 * time.Hour

// Forecast returns how many calls the month ends with when they go on as they came in since it began, or since the
// subscription started; false while that says nothing, or when the month is over.
func (u UsageMonth) Forecast(started, now time.Time) (calls int64, known bool) {
	from, end := u.Month.Start(), u.Month.End()
	if started.After(from) {
		from = started
	}
	passed, left := now.Sub(from), end.Sub(now)
	if passed < leastForecast || left <= 0 {
		return 0, false
	}
	return u.Counted() + int64(math.Round(float64(u.Counted())*float64(left)/float64(passed))), true
}

// CallPrice is the listing's price of one call beyond a plan, in millionths of a US dollar.
type CallPrice int64

const (
	priceDecimals = 6
	maxCallPrice  = CallPrice(1_000 * 1_000_000)
)

// ParseCallPrice reads a price in US dollars, as 0.25.
func ParseCallPrice(text string) (CallPrice, error) {
	whole, fraction, _ := strings.Cut(text, ".")
	digits := whole + fraction + strings.Repeat("0", max(0, priceDecimals-len(fraction)))
	price, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || whole == "" || strings.HasSuffix(text, ".") || len(fraction) > priceDecimals || price == 0 || CallPrice(price) > maxCallPrice {
		return 0, fmt.Errorf("%q is no price of a call: write US dollars with up to %d decimals, as 0.25, up to 1000", text, priceDecimals)
	}
	return CallPrice(price), nil
}

// USD returns the price of calls, in US dollars.
func (p CallPrice) USD(calls int64) float64 { return float64(calls) * float64(p) / 1_000_000 }

// PlanOverage is how many calls were counted beyond one plan.
type PlanOverage struct {
	Plan  PlanID
	Calls int64
}

// OverageUSD returns what calls beyond plans cost, oldest plan first, when a number of them is credited: of the oldest ones
// first. It is false when the price of one is not known.
func OverageUSD(overage []PlanOverage, credited int64, prices map[PlanID]CallPrice) (usd float64, known bool) {
	for _, o := range overage {
		free := min(credited, o.Calls)
		credited -= free
		if o.Calls == free {
			continue
		}
		price, priced := prices[o.Plan]
		if !priced {
			return 0, false
		}
		usd += price.USD(o.Calls - free)
	}
	return usd, true
}
