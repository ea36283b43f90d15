package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

type monthKey struct {
	subscription uuid.UUID
	month        domain.Month
}

// Month is what the log says of one month of a subscription.
type Month struct {
	SubscriptionID uuid.UUID    `json:"subscriptionId"`
	CustomerID     uuid.UUID    `json:"customerId"`
	Month          domain.Month `json:"month"`
	Counted        int64        `json:"counted"`
	Included       int64        `json:"included"`
	Overage        int64        `json:"overage"`
	OnOlderState   int64        `json:"onOlderState"` // stand behind a change of the subscription that they were decided without
	FirstAt        time.Time    `json:"firstAt"`
	LastAt         time.Time    `json:"lastAt"`

	// Overage of the month's hours as reported to AWS.
	Accepted   int64 `json:"accepted"`
	Pending    int64 `json:"pending"`
	WrittenOff int64 `json:"writtenOff"`
	Carried    int64 `json:"carried"` // moved to a later hour, where it is reported again

	Credited int64 `json:"credited"` // by an operator
	Refund   int64 `json:"refund"`   // of these, what AWS had accepted before, as things stand: to be refunded there
}

// Change is something that decided how calls are treated or who may call.
type Change struct {
	At             time.Time `json:"at"`
	Position       uint64    `json:"position"`
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Actor          string    `json:"actor"`
	What           string    `json:"what"`
}

// decideCall decides a counted call again.
func (a *Audit) decideCall(r domain.Recorded, e domain.CheckCompleted) {
	if want := domain.UsageStream(e.SubscriptionID, e.Month); r.Stream != want {
		a.find(r, e.SubscriptionID, "a call of %s stands outside its stream %s", e.Month, want)
		return
	}
	month := a.months[monthKey{e.SubscriptionID, e.Month}]
	if month == nil {
		month = &Month{SubscriptionID: e.SubscriptionID, Month: e.Month, FirstAt: e.CompletedAt}
		a.months[monthKey{e.SubscriptionID, e.Month}] = month
	}
	month.CustomerID, month.LastAt = e.CustomerID, e.CompletedAt
	month.Counted++
	if e.Billing == domain.BillingOverage {
		month.Overage++
	} else {
		month.Included++
	}

	s := a.subscription(e.SubscriptionID)
	usage := s.usage[e.Month]
	s.usage[e.Month] = usage.Fold(e)
	if e.SubscriptionRevision >= uint64(len(s.states)) {
		a.find(r, e.SubscriptionID, "it was decided on revision %d of a subscription that had not come so far", e.SubscriptionRevision)
		return
	}
	if e.SubscriptionRevision < uint64(len(s.states)-1) {
		month.OnOlderState++
		a.decideAge(r, e, s.states[e.SubscriptionRevision+1].since)
	}
	usage.Month = e.Month
	want, err := usage.Count(s.states[e.SubscriptionRevision].Subscription, e.SubscriptionRevision, domain.Check{
		ID: e.CheckID, KeySlot: e.KeySlot, RequestDigest: e.RequestDigest, Judgement: e.Judgement, At: e.CompletedAt,
	})
	if contradiction := e.Judgement.Contradiction(); contradiction != "" {
		a.find(r, e.SubscriptionID, "its judgement contradicts itself: %s", contradiction)
	}
	if err != nil {
		a.find(r, e.SubscriptionID, "the call should have been refused: %v", err)
	} else if want != e {
		a.find(r, e.SubscriptionID, "it should say ordinal %d, %s, totals %d and %d of %s (%d)",
			want.Ordinal, want.Billing, want.IncludedTotal, want.OverageTotal, want.Plan, want.Limit)
	}
}

// mostUnderWay is how far behind a change of the subscription a call may be judged that is decided without it. Nodes act on what
// is a quarter of a second old; the rest is for clocks of nodes and of the store that do not agree.
const mostUnderWay = time.Minute

// decideAge looks whether a call may have been decided without a change of its subscription. Its append may have taken any time on
// a node that was frozen, and the store's clock may have stepped on: so it counts when the call was judged, by itself. Behind the
// seals of a whole day since the change it counts no more what the call says of itself.
func (a *Audit) decideAge(r domain.Recorded, e domain.CheckCompleted, changed time.Time) {
	age := min(r.RecordedAt.Sub(changed), e.CompletedAt.Sub(changed))
	if a.sealed.Sub(changed) > 24*time.Hour {
		age = r.RecordedAt.Sub(changed)
	}
	if age > mostUnderWay {
		a.find(r, e.SubscriptionID, "it was decided on revision %d of the subscription, which had changed %s before",
			e.SubscriptionRevision, age.Round(time.Second))
	}
}

func (a *Audit) change(r domain.Recorded, subscription uuid.UUID, format string, args ...any) {
	a.changes = append(a.changes, Change{
		At: r.Meta.OccurredAt, Position: r.Position, SubscriptionID: subscription, Actor: r.Meta.Actor, What: fmt.Sprintf(format, args...),
	})
}

// Months returns what was counted and what became of it, by subscription and month.
func (a *Audit) Months() []Month {
	months := map[monthKey]Month{}
	for key, month := range a.months {
		months[key] = *month
	}
	for _, record := range a.records {
		key := monthKey{record.SubscriptionID, domain.MonthOf(record.Hour)}
		month := months[key]
		month.SubscriptionID, month.Month = key.subscription, key.month
		switch record.Status {
		case domain.RecordAccepted:
			month.Accepted += record.Quantity
		case domain.RecordRejected:
			month.WrittenOff += record.Quantity
		case domain.RecordCarried:
			month.Carried += record.Quantity
		default:
			month.Pending += record.Quantity
		}
		months[key] = month
	}
	for key, c := range a.credits {
		month := months[key]
		month.SubscriptionID, month.Month = key.subscription, key.month
		month.Credited, month.Refund = c.given, a.refund(key, c)
		months[key] = month
	}
	return slices.SortedFunc(maps.Values(months), func(x, y Month) int {
		return cmp.Or(cmp.Compare(x.SubscriptionID.String(), y.SubscriptionID.String()), cmp.Compare(x.Month.String(), y.Month.String()))
	})
}

// Changes returns what decided how calls were treated, in the order of the log.
func (a *Audit) Changes() []Change { return a.changes }
