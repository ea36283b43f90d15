package auditing

import (
	"context"
	"fmt"
	"sort"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// Moment is a place of the log: up to a position, or up to a time when Position is 0.
type Moment struct {
	Position uint64
	Time     time.Time // when the log had come to the position; zero when that is not known
}

// includes returns whether an event had happened then.
func (m Moment) includes(r domain.Recorded) bool {
	if m.Position > 0 {
		return r.Position <= m.Position
	}
	return !r.RecordedAt.After(m.Time)
}

// AsOf is what held for a customer at a moment.
type AsOf struct {
	audit.Standing
	Months   []MonthAsOf `json:"months"` // in which calls had been counted, newest first
	NextCall string      `json:"nextCall"`
}

// MonthAsOf is what had been counted of a month.
type MonthAsOf struct {
	Month    domain.Month `json:"month"`
	Counted  int64        `json:"counted"`
	Included int64        `json:"included"`
	Overage  int64        `json:"overage"`
	LastAt   time.Time    `json:"lastAt"`
}

// Replay says what held for a subscription at a moment, by its own streams alone; false when it was not known then. Now is the
// time of asking. A position of which no time is known lies in the month of the newest event of the subscription up to it.
func Replay(ctx context.Context, streams Streams, subscription uuid.UUID, at Moment, now time.Time) (AsOf, bool, error) {
	var state domain.Subscription
	var last domain.Recorded
	known := false
	err := replayStream(ctx, streams, domain.SubscriptionStream(subscription), func(r domain.Recorded) bool {
		if !at.includes(r) {
			return false
		}
		state, last, known = state.Fold(r.Event), r, true
		return true
	})
	if err != nil || !known {
		return AsOf{}, false, err
	}
	newest := last.RecordedAt
	var keys domain.APIKeys
	customer := domain.CustomerIDForSubscription(subscription)
	if err := replayStream(ctx, streams, domain.APIKeysStream(customer), func(r domain.Recorded) bool {
		if at.includes(r) {
			keys, newest = keys.Fold(r.Event), later(newest, r.RecordedAt)
		}
		return at.includes(r)
	}); err != nil {
		return AsOf{}, false, err
	}
	asOf := AsOf{Standing: audit.NewStanding(subscription, state, last.Revision, keys), Months: []MonthAsOf{}}
	until := at.Time
	if until.IsZero() || until.After(now) { // months that are to come would each cost a read
		until = now
	}
	for month := domain.MonthOf(until).Next(); !month.End().Before(firstCallAt(state)) && month.Start().Year() > 2000; month = month.Previous() {
		counted, called, err := countedAsOf(ctx, streams, subscription, month, at)
		if err != nil {
			return AsOf{}, false, err
		}
		if called {
			asOf.Months, newest = append(asOf.Months, counted), later(newest, counted.LastAt)
		}
	}
	if !at.Time.IsZero() {
		newest = at.Time
	}
	asOf.NextCall = nextCall(state, asOf.Months, domain.MonthOf(newest))
	return asOf, true, nil
}

func later(x, y time.Time) time.Time {
	if y.After(x) {
		return y
	}
	return x
}

// firstCallAt returns a time before which no call of the subscription can have been counted.
func firstCallAt(s domain.Subscription) time.Time {
	if s.StartedAt.IsZero() {
		return s.StartsAt
	}
	return s.StartedAt
}

// countedAsOf returns what had been counted of a month: the last call that had happened says it. Calls stand in the order of
// the log, so it is searched for by halves.
func countedAsOf(ctx context.Context, streams Streams, subscription uuid.UUID, month domain.Month, at Moment) (MonthAsOf, bool, error) {
	stream := domain.UsageStream(subscription, month)
	newest, found, err := streams.ReadLast(ctx, stream)
	if err != nil || !found {
		return MonthAsOf{}, false, err
	}
	if !at.includes(newest) {
		var failed error
		first := sort.Search(int(newest.Revision), func(revision int) bool {
			page, err := streams.Read(ctx, stream, uint64(revision), 1)
			if err != nil {
				failed = err
			}
			return err != nil || len(page) == 0 || !at.includes(page[0])
		})
		if failed != nil || first == 0 {
			return MonthAsOf{}, false, failed
		}
		page, err := streams.Read(ctx, stream, uint64(first-1), 1)
		if err != nil || len(page) == 0 {
			return MonthAsOf{}, false, err
		}
		newest = page[0]
	}
	if err := readable(newest); err != nil {
		return MonthAsOf{}, false, err
	}
	e, ok := newest.Event.(domain.CheckCompleted)
	return MonthAsOf{
		Month: month, Counted: e.IncludedTotal + e.OverageTotal, Included: e.IncludedTotal, Overage: e.OverageTotal, LastAt: e.CompletedAt,
	}, ok, nil
}

// nextCall says what would have become of another call in the month of a moment, and why.
func nextCall(s domain.Subscription, months []MonthAsOf, asked domain.Month) string {
	usage := domain.UsageMonth{Month: asked}
	for _, m := range months {
		if m.Month == asked {
			usage.Included, usage.Overage = m.Included, m.Overage
		}
	}
	if err := usage.Admit(s, 0); err != nil {
		return "Another call would have been refused: " + err.Error() + "."
	}
	if usage.Counted() < s.Limit {
		return fmt.Sprintf("Another call in %s would have been call %d of the %d that the plan includes.", asked, usage.Counted()+1, s.Limit)
	}
	return fmt.Sprintf("Another call in %s would have been counted beyond the plan, as call %d. %s", asked, usage.Counted()+1, behaviourInWords(s))
}
