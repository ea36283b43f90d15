package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Audit replays a log, oldest event first, and proves what it says of counted calls: it decides every call again on the
// state it claims to have been decided on. It trusts nothing but the events.
type Audit struct {
	position      uint64
	streams       map[string]uint64 // next revision of each stream
	subscriptions map[uuid.UUID]*auditedSubscription
	records       map[string]*UsageRecord
	months        map[auditKey]*AuditedMonth
	changes       []AuditedChange
	findings      []AuditFinding
	events        int64
	others        int64
}

type auditKey struct {
	subscription uuid.UUID
	month        Month
}

// auditedSubscription keeps the state after every event: a call names the one it was decided on.
type auditedSubscription struct {
	states []Subscription
	usage  map[Month]UsageMonth
}

// AuditedMonth is what the log says of one month of a subscription.
type AuditedMonth struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	CustomerID     uuid.UUID `json:"customerId"`
	Month          Month     `json:"month"`
	Counted        int64     `json:"counted"`
	Included       int64     `json:"included"`
	Overage        int64     `json:"overage"`
	OnOlderState   int64     `json:"onOlderState"` // decided up to 250 ms behind a change of the subscription
	FirstAt        time.Time `json:"firstAt"`
	LastAt         time.Time `json:"lastAt"`

	// Overage of the month's hours as reported to AWS.
	Accepted   int64 `json:"accepted"`
	Pending    int64 `json:"pending"`
	WrittenOff int64 `json:"writtenOff"`
	Carried    int64 `json:"carried"` // moved to a later hour, where it is reported again
}

// AuditedChange is something that decided how calls are treated or who may call.
type AuditedChange struct {
	At             time.Time `json:"at"`
	Position       uint64    `json:"position"`
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Actor          string    `json:"actor"`
	What           string    `json:"what"`
}

// AuditFinding is a place where the log contradicts the rules.
type AuditFinding struct {
	Position uint64 `json:"position"`
	Stream   string `json:"stream"`
	Revision uint64 `json:"revision"`
	Problem  string `json:"problem"`
}

// NewAudit begins at the start of a log.
func NewAudit() *Audit {
	return &Audit{
		streams: map[string]uint64{}, subscriptions: map[uuid.UUID]*auditedSubscription{},
		records: map[string]*UsageRecord{}, months: map[auditKey]*AuditedMonth{},
	}
}

// Observe takes the next event of ours in the log.
func (a *Audit) Observe(r Recorded) {
	a.events++
	if r.Position <= a.position {
		a.find(r, "its position does not follow %d", a.position)
	}
	a.position = r.Position
	// A stream with an age limit forgets its first events; every other begins at 0 and has no gap.
	if next, known := a.streams[r.Stream]; r.Revision != next && (known || MaxAge(r.Stream) == 0) {
		a.find(r, "the stream's next revision is %d", next)
	}
	a.streams[r.Stream] = r.Revision + 1

	switch event := r.Event.(type) {
	case CheckCompleted:
		a.check(r, event)
	case SubscriptionStarted, PlanChanged, OverageSwitched, AgreementLinked, UnsubscribeRequested, SubscriptionRenewed, SubscriptionEnded:
		a.subscription(r)
	case KeyIssued:
		a.change(r, event.SubscriptionID, "%s key %s issued", event.Slot, event.Key.Prefix)
	case KeyRegenerated:
		a.change(r, event.SubscriptionID, "%s key %s replaced by %s", event.Slot, event.OldKey.Prefix, event.NewKey.Prefix)
	case UsageRecordPrepared, UsageRecordAttempted, UsageRecordDeferred, UsageRecordAccepted, UsageRecordRejected, UsageRecordQuarantined, UsageCarriedOver:
		a.record(r)
	}
}

// Unreadable takes an event of ours that cannot be decoded.
func (a *Audit) Unreadable(r Recorded, err error) {
	a.events++
	a.position = r.Position
	a.streams[r.Stream] = r.Revision + 1
	a.find(r, "it cannot be read: %v", err)
}

// PassOver takes an event of another program, which says nothing of ours. In a stream of ours, though, it has taken a place
// that no event of ours can have: the length of a usage stream is a count.
func (a *Audit) PassOver(r Recorded, eventType string) {
	a.others++
	if _, known := a.streams[r.Stream]; known {
		a.find(r, "%s, which is none of this program's events, stands in a stream of ours", eventType)
		a.streams[r.Stream] = r.Revision + 1
	}
}

func (a *Audit) subscription(r Recorded) {
	id, err := uuid.Parse(strings.TrimPrefix(r.Stream, string(CategorySubscription)+"-"))
	if err != nil {
		a.find(r, "%s stands in a stream of another kind", r.Event.EventType())
		return
	}
	s := a.subscriptions[id]
	if s == nil {
		s = &auditedSubscription{usage: map[Month]UsageMonth{}}
		a.subscriptions[id] = s
	}
	var before Subscription
	if n := len(s.states); n > 0 {
		before = s.states[n-1]
	}
	s.states = append(s.states, before.Fold(r.Event))
	switch e := r.Event.(type) {
	case SubscriptionStarted:
		a.change(r, id, "subscription started: %s, %d calls a month", e.Plan, e.Limit)
	case PlanChanged:
		a.change(r, id, "plan changed from %s (%d) to %s (%d)", e.FromPlan, e.FromLimit, e.Plan, e.Limit)
	case OverageSwitched:
		a.change(r, id, "over-limit behaviour switched from %s to %s", e.From, e.To)
	case UnsubscribeRequested:
		a.change(r, id, "unsubscription requested")
	case SubscriptionRenewed:
		a.change(r, id, "subscription renewed")
	case SubscriptionEnded:
		a.change(r, id, "subscription ended: %s", e.Reason)
	}
}

// check decides a counted call again.
func (a *Audit) check(r Recorded, e CheckCompleted) {
	if want := UsageStream(e.SubscriptionID, e.Month); r.Stream != want {
		a.find(r, "a call of %s stands outside its stream %s", e.Month, want)
		return
	}
	month := a.month(e.SubscriptionID, e.Month)
	month.CustomerID = e.CustomerID
	month.Counted++
	if e.Billing == BillingOverage {
		month.Overage++
	} else {
		month.Included++
	}
	if month.FirstAt.IsZero() {
		month.FirstAt = e.CompletedAt
	}
	month.LastAt = e.CompletedAt

	s := a.subscriptions[e.SubscriptionID]
	if s == nil || e.SubscriptionRevision >= uint64(len(s.states)) {
		a.find(r, "it was decided on revision %d of a subscription that had not come so far", e.SubscriptionRevision)
		return
	}
	if e.SubscriptionRevision < uint64(len(s.states)-1) {
		month.OnOlderState++
	}
	usage := s.usage[e.Month]
	usage.Month = e.Month
	want, err := usage.Count(s.states[e.SubscriptionRevision], e.SubscriptionRevision, Check{
		ID: e.CheckID, KeySlot: e.KeySlot, RequestDigest: e.RequestDigest, Judgement: e.Judgement, At: e.CompletedAt,
	})
	switch {
	case err != nil:
		a.find(r, "the call should have been refused: %v", err)
	case want != e:
		a.find(r, "it should say ordinal %d, %s, totals %d and %d of %s (%d)", want.Ordinal, want.Billing, want.IncludedTotal, want.OverageTotal, want.Plan, want.Limit)
	}
	s.usage[e.Month] = usage.Fold(e)
}

// record follows a usage record and moves its quantity between the month's sums.
func (a *Audit) record(r Recorded) {
	record := a.records[r.Stream]
	if record == nil {
		record = &UsageRecord{}
		a.records[r.Stream] = record
	}
	a.sum(*record, -1)
	*record = record.Fold(r.Event)
	a.sum(*record, 1)
}

func (a *Audit) sum(record UsageRecord, sign int64) {
	if record.Status == RecordUnknown {
		return
	}
	month, quantity := a.month(record.SubscriptionID, MonthOf(record.Hour)), sign*record.Quantity
	switch record.Status {
	case RecordAccepted:
		month.Accepted += quantity
	case RecordRejected:
		month.WrittenOff += quantity
	case RecordCarried:
		month.Carried += quantity
	default:
		month.Pending += quantity
	}
}

func (a *Audit) month(subscription uuid.UUID, month Month) *AuditedMonth {
	key := auditKey{subscription, month}
	m := a.months[key]
	if m == nil {
		m = &AuditedMonth{SubscriptionID: subscription, Month: month}
		a.months[key] = m
	}
	return m
}

func (a *Audit) change(r Recorded, subscription uuid.UUID, format string, args ...any) {
	a.changes = append(a.changes, AuditedChange{
		At: r.Meta.OccurredAt, Position: r.Position, SubscriptionID: subscription, Actor: r.Meta.Actor, What: fmt.Sprintf(format, args...),
	})
}

func (a *Audit) find(r Recorded, format string, args ...any) {
	a.findings = append(a.findings, AuditFinding{Position: r.Position, Stream: r.Stream, Revision: r.Revision, Problem: fmt.Sprintf(format, args...)})
}

// Events returns how many events of ours were observed.
func (a *Audit) Events() int64 { return a.events }

// Others returns how many events of other programs were passed over.
func (a *Audit) Others() int64 { return a.others }

// Months lists what was counted, by subscription and month.
func (a *Audit) Months() []AuditedMonth {
	all := make([]AuditedMonth, 0, len(a.months))
	for _, m := range a.months {
		all = append(all, *m)
	}
	slices.SortFunc(all, func(x, y AuditedMonth) int {
		if c := strings.Compare(x.SubscriptionID.String(), y.SubscriptionID.String()); c != 0 {
			return c
		}
		return strings.Compare(x.Month.String(), y.Month.String())
	})
	return all
}

// Changes lists what decided how calls were treated, in the order of the log.
func (a *Audit) Changes() []AuditedChange { return a.changes }

// Findings lists where the log contradicts the rules; none is the proof.
func (a *Audit) Findings() []AuditFinding { return a.findings }
