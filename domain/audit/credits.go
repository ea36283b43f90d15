package audit

import (
	"cmp"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// credit is what was credited of one month of a subscription, and what of it no record has been lowered by yet.
type credit struct {
	given, left int64
}

func (a *Audit) credit(r domain.Recorded, e domain.UsageCredited) {
	if want := domain.UsageCreditsStream(e.SubscriptionID, e.Month); r.Stream != want {
		a.find(r, e.SubscriptionID, "a credit of %s stands outside its stream %s", e.Month, want)
		return
	}
	key := monthKey{e.SubscriptionID, e.Month}
	c := a.credits[key]
	if c == nil {
		c = &credit{}
		a.credits[key] = c
	}
	c.given, c.left = c.given+e.Calls, c.left+e.Calls
	if e.Calls < 1 || e.Total != c.given {
		a.find(r, e.SubscriptionID, "it credits %d calls and says %d in all; the log holds %d", e.Calls, e.Total, c.given)
	}
	if counted := a.subscription(e.SubscriptionID).usage[e.Month].Overage; c.given > counted {
		a.find(r, e.SubscriptionID, "%d calls of %s are credited; %d were counted beyond the plan", c.given, e.Month, counted)
	}
	a.change(r, e.SubscriptionID, "%d calls beyond the plan of %s credited: %s", e.Calls, e.Month, e.Why)
}

// lowerAll lowers what the hours report that a seal closes, of all subscriptions whose usage is not sealed as a whole.
func (a *Audit) lowerAll(sealed time.Time) {
	for key, c := range a.credits {
		if !a.subscription(key.subscription).ended {
			a.lower(key, c, sealed)
		}
	}
}

// lowerEnded does the same for the hours that the seal of a subscription's usage closes.
func (a *Audit) lowerEnded(subscription uuid.UUID, closed time.Time) {
	for key, c := range a.credits {
		if key.subscription == subscription {
			a.lower(key, c, closed)
		}
	}
}

// lower spends a credit on the hours of its month behind the newest closed one and up to another.
func (a *Audit) lower(of monthKey, c *credit, until time.Time) {
	closed := a.closed(of.subscription)
	if lastHour := of.month.End().Add(-time.Hour); c.left == 0 || !closed.Before(lastHour) {
		return
	}
	var closing []windowKey
	for _, key := range a.subscription(of.subscription).windows {
		if key.hour.After(closed) && !key.hour.After(until) && domain.MonthOf(key.hour) == of.month {
			closing = append(closing, key)
		}
	}
	slices.SortFunc(closing, func(x, y windowKey) int { return cmp.Or(x.hour.Compare(y.hour), cmp.Compare(x.plan, y.plan)) })
	for _, key := range closing {
		w := a.windows[key]
		w.credited = min(c.left, w.counted+w.carriedIn())
		c.left -= w.credited
	}
}

// refund returns what of a credit AWS was told of before: no record will be lowered by it as things stand, and it is to be
// refunded there. What was written off is not.
func (a *Audit) refund(of monthKey, c *credit) int64 {
	var unreported, reported int64
	s, closed := a.subscription(of.subscription), a.closed(of.subscription)
	for _, key := range s.windows {
		if domain.MonthOf(key.hour) != of.month {
			continue
		}
		w := a.windows[key]
		quantity := w.counted + w.carriedIn() - w.credited
		if !s.ended && key.hour.After(closed) {
			unreported += quantity
		} else if !w.rejected {
			reported += quantity
		}
	}
	return min(max(c.left-unreported, 0), reported)
}
