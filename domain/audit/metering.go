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

// windowKey is what one usage record is for.
type windowKey struct {
	subscription uuid.UUID
	hour         time.Time
	plan         domain.PlanID
}

// window is what belongs to it by the log.
type window struct {
	counted  int64
	carried  []domain.CarriedUsage
	credited int64 // of both, what credits take off what it reports
	prepared bool
	rejected bool
}

// carriedIn returns what earlier hours could not report.
func (w *window) carriedIn() (quantity int64) {
	for _, carried := range w.carried {
		quantity += carried.Quantity
	}
	return quantity
}

type record struct {
	domain.UsageRecord
	billedID string // under which AWS holds it
}

// followMetering takes the events of sealed hours and usage records.
func (a *Audit) followMetering(r domain.Recorded) {
	a.decideOutcome(r)
	switch e := r.Event.(type) {
	case domain.HourSealed:
		if want := domain.SealedHoursStream(domain.MonthOf(e.Hour)); r.Stream != want {
			a.find(r, uuid.Nil, "hour %s is sealed outside its stream %s", domain.UsageHourKey(e.Hour), want)
		}
		if !e.Hour.After(a.sealed) {
			a.find(r, uuid.Nil, "hour %s is sealed behind hour %s", domain.UsageHourKey(e.Hour), domain.UsageHourKey(a.sealed))
		}
		a.lowerAll(e.Hour)
		a.sealed = e.Hour
	case domain.SubscriptionUsageSealed:
		if s := a.subscription(e.SubscriptionID); !s.newest().Reinstated() {
			closed := e.ClosedBy(r.RecordedAt, a.closed(e.SubscriptionID))
			a.lowerEnded(e.SubscriptionID, closed)
			s.ended, s.closed = true, closed
		}
	case domain.UsageRecordPrepared:
		a.prepare(r, e)
	case domain.UsageRecordAttempted:
		a.followRecord(r, e.UsageRecordKey, nil, domain.RecordOpen)
	case domain.UsageRecordDeferred:
		a.followRecord(r, e.UsageRecordKey, nil, domain.RecordOpen)
	case domain.UsageRecordAccepted:
		if record := a.followRecord(r, e.UsageRecordKey, &e.Quantity, domain.RecordOpen, domain.RecordQuarantined); record != nil {
			record.billedID = e.MeteringRecordID
		}
	case domain.UsageRecordRejected:
		if a.followRecord(r, e.UsageRecordKey, &e.Quantity, domain.RecordOpen, domain.RecordQuarantined) != nil {
			a.windowOf(windowKey{e.SubscriptionID, e.Hour.UTC(), e.Plan}).rejected = true
		}
	case domain.UsageRecordQuarantined:
		a.followRecord(r, e.UsageRecordKey, &e.Quantity, domain.RecordOpen)
	case domain.UsageCarriedOver:
		a.carry(r, e)
	}
}

// window returns where something belongs that is counted or carried at r.
func (a *Audit) window(r domain.Recorded, subscription uuid.UUID, plan domain.PlanID) *window {
	return a.windowOf(windowKey{subscription, domain.MeteringHour(r.RecordedAt, a.closed(subscription)), plan})
}

// closed returns the newest hour that is closed for a subscription.
func (a *Audit) closed(subscription uuid.UUID) time.Time {
	if own := a.subscription(subscription).closed; own.After(a.sealed) {
		return own
	}
	return a.sealed
}

func (a *Audit) windowOf(key windowKey) *window {
	w := a.windows[key]
	if w == nil {
		w = &window{}
		a.windows[key] = w
		s := a.subscription(key.subscription)
		s.windows = append(s.windows, key)
	}
	return w
}

// meterCall adds a call beyond the plan to its hour.
func (a *Audit) meterCall(r domain.Recorded, e domain.CheckCompleted) {
	s := a.subscription(e.SubscriptionID)
	if e.Billing != domain.BillingOverage {
		return
	}
	if s.ended {
		s.late++
		return
	}
	a.window(r, e.SubscriptionID, e.Plan).counted++
}

func (a *Audit) prepare(r domain.Recorded, e domain.UsageRecordPrepared) {
	if a.records[e.RecordID] != nil {
		a.find(r, e.SubscriptionID, "record %s is prepared twice", e.Stream())
		return
	}
	a.identify(r, e)
	a.records[e.RecordID] = &record{UsageRecord: domain.UsageRecord{}.Fold(e)}
	if s := a.subscription(e.SubscriptionID); e.Hour.After(a.closed(e.SubscriptionID)) && !s.ended {
		a.find(r, e.SubscriptionID, "record %s is prepared before its hour is sealed", e.Stream())
	}
	w := a.windowOf(windowKey{e.SubscriptionID, e.Hour.UTC(), e.Plan})
	if w.prepared {
		a.find(r, e.SubscriptionID, "hour %s has two records", domain.UsageHourKey(e.Hour))
	}
	w.prepared = true
	quantity := domain.SealedUsage{Counted: e.Counted, Carried: e.Carried, Credited: e.Credited}.Quantity()
	if e.Counted != w.counted || !sameCarries(e.Carried, w.carried) || e.Quantity != quantity {
		a.find(r, e.SubscriptionID, "record %s says %d counted and %d in all; the log holds %d counted and %d carries",
			e.Stream(), e.Counted, e.Quantity, w.counted, len(w.carried))
	}
	if e.Credited != w.credited {
		a.find(r, e.SubscriptionID, "record %s is lowered by %d; the log credits it with %d", e.Stream(), e.Credited, w.credited)
	}
}

func sameCarries(a, b []domain.CarriedUsage) bool {
	byHour := func(x, y domain.CarriedUsage) int { return x.Hour.Compare(y.Hour) }
	a, b = slices.SortedFunc(slices.Values(a), byHour), slices.SortedFunc(slices.Values(b), byHour)
	return slices.EqualFunc(a, b, func(x, y domain.CarriedUsage) bool { return x.Hour.Equal(y.Hour) && x.Quantity == y.Quantity })
}

// followRecord takes an event of a record, which must be in one of the given statuses; nil when it is not. Quantity is what
// the event says of it, if anything.
func (a *Audit) followRecord(r domain.Recorded, key domain.UsageRecordKey, quantity *int64, from ...domain.UsageRecordStatus) *record {
	record := a.records[key.RecordID]
	if record == nil {
		a.find(r, key.SubscriptionID, "%s of %s, which is not prepared", r.Event.EventType(), key.Stream())
		return nil
	}
	if !slices.Contains(from, record.Status) {
		a.find(r, key.SubscriptionID, "%s of %s, which is %s", r.Event.EventType(), key.Stream(), record.Status)
		return nil
	}
	if quantity != nil && *quantity != record.Quantity {
		a.find(r, key.SubscriptionID, "%s of %s says %d; it was prepared with %d", r.Event.EventType(), key.Stream(), *quantity, record.Quantity)
	}
	record.UsageRecord = record.Fold(r.Event)
	return record
}

func (a *Audit) carry(r domain.Recorded, e domain.UsageCarriedOver) {
	if record := a.records[e.RecordID]; record != nil && r.Meta.Actor != domain.ActorOperator {
		// The attempt that found it too old has an outcome: it closes the record.
		unknown := record.Unanswered
		if e.Outcome == domain.MeteringTimestampRefused {
			unknown--
		}
		if unknown > 0 {
			a.find(r, e.SubscriptionID, "record %s is carried although an attempt may have been billed", e.Stream())
		}
	}
	if a.followRecord(r, e.UsageRecordKey, &e.Quantity, domain.RecordOpen, domain.RecordQuarantined) == nil {
		return
	}
	if s := a.subscription(e.SubscriptionID); s.ended {
		s.late += e.Quantity
		return
	}
	w := a.window(r, e.SubscriptionID, e.Plan)
	w.carried = append(w.carried, domain.CarriedUsage{Hour: e.Hour, Quantity: e.Quantity})
}

// Hour is what a metered hour of a subscription holds beyond a plan, and what became of it.
type Hour struct {
	SubscriptionID   uuid.UUID                `json:"subscriptionId"`
	Hour             time.Time                `json:"hour"`
	Plan             domain.PlanID            `json:"plan"`
	Counted          int64                    `json:"counted"`
	Carried          int64                    `json:"carried"`  // in, from hours that could not be reported
	Credited         int64                    `json:"credited"` // of both, what is not reported
	Status           domain.UsageRecordStatus `json:"status"`   // of its record; empty while there is none
	Quantity         int64                    `json:"quantity"` // that the record says
	Attempts         int                      `json:"attempts"`
	MeteringRecordID string                   `json:"meteringRecordId,omitempty"` // AWS's
}

// Hours returns the metered hours, by subscription and hour.
func (a *Audit) Hours() []Hour {
	hours := make(map[windowKey]*Hour, len(a.windows))
	of := func(key windowKey) *Hour {
		if hours[key] == nil {
			hours[key] = &Hour{SubscriptionID: key.subscription, Hour: key.hour, Plan: key.plan}
		}
		return hours[key]
	}
	for key, w := range a.windows {
		h := of(key)
		h.Counted, h.Carried, h.Credited = w.counted, w.carriedIn(), w.credited
	}
	for _, record := range a.records {
		h := of(windowKey{record.SubscriptionID, record.Hour.UTC(), record.Plan})
		h.Status, h.Quantity, h.Attempts, h.MeteringRecordID = record.Status, record.Quantity, record.Attempts, record.billedID
	}
	sorted := make([]Hour, 0, len(hours))
	for _, h := range hours {
		sorted = append(sorted, *h)
	}
	slices.SortFunc(sorted, func(x, y Hour) int {
		return cmp.Or(cmp.Compare(x.SubscriptionID.String(), y.SubscriptionID.String()), x.Hour.Compare(y.Hour), cmp.Compare(x.Plan, y.Plan))
	})
	return sorted
}

// Account is that of one subscription, in calls beyond its plan.
type Account struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Licence        string    `json:"licence"` // l-…
	Counted        int64     `json:"counted"` // by the running totals of the calls
	Accepted       int64     `json:"accepted"`
	Pending        int64     `json:"pending"`
	CarriedOpen    int64     `json:"carriedOpen"`
	WrittenOff     int64     `json:"writtenOff"`
	Credited       int64     `json:"credited"` // what records were lowered by
	Refund         int64     `json:"refund"`   // credited besides that: accepted by AWS before, to be refunded there
}

// Difference returns what is neither reported nor accounted for; anything but 0 is a fault.
func (a Account) Difference() int64 {
	return a.Counted - a.Accepted - a.Pending - a.CarriedOpen - a.WrittenOff - a.Credited
}

// Settlement is what metering's accounts come to.
type Settlement struct {
	SealedHour  time.Time `json:"sealedHour,omitzero"`
	Accounts    []Account `json:"accounts"`
	Records     int64     `json:"records"`
	Sent        int64     `json:"sent"`     // records that were attempted at least once
	Repeated    int64     `json:"repeated"` // attempts beyond the first of each record
	Accepted    int64     `json:"acceptedRecords"`
	Carried     int64     `json:"carriedRecords"`
	Rejected    int64     `json:"rejectedRecords"`
	Quarantined int64     `json:"quarantinedRecords"`
	Open        int64     `json:"openRecords"`
	InFlight    int64     `json:"inFlightRecords"` // not closed here, held by AWS already
	Findings    []Finding `json:"findings"`        // of the replay and of the accounts
}

// Settle settles the accounts as of the newest event.
func (a *Audit) Settle() Settlement {
	settled := Settlement{SealedHour: a.sealed, Findings: slices.Clone(a.findings)}
	accounts := map[uuid.UUID]*Account{}
	for id, s := range a.subscriptions {
		account := &Account{SubscriptionID: id, Licence: domain.LicenceID(s.newest().Marketplace.LicenseARN), WrittenOff: s.late}
		for _, month := range s.usage {
			account.Counted += month.Overage
		}
		accounts[id] = account
	}
	for key, w := range a.windows {
		account := accounts[key.subscription]
		account.Credited += w.credited
		if w.prepared {
			continue
		}
		account.Pending += max(w.counted-w.credited, 0)
		account.CarriedOpen += w.carriedIn() - max(w.credited-w.counted, 0)
	}
	for key, c := range a.credits {
		accounts[key.subscription].Refund += a.refund(key, c)
	}
	for _, record := range a.records {
		settled.add(record.UsageRecord)
		account := accounts[record.SubscriptionID]
		switch record.Status {
		case domain.RecordAccepted:
			account.Accepted += record.Quantity
		case domain.RecordRejected:
			account.WrittenOff += record.Quantity
		case domain.RecordOpen, domain.RecordQuarantined:
			account.Pending += record.Quantity
		}
	}
	for _, account := range slices.SortedFunc(maps.Values(accounts), func(x, y *Account) int {
		return cmp.Compare(x.SubscriptionID.String(), y.SubscriptionID.String())
	}) {
		settled.Accounts = append(settled.Accounts, *account)
		if d := account.Difference(); d != 0 {
			settled.find(account.SubscriptionID, "%d calls are neither reported nor accounted for", d)
		}
	}
	return settled
}

func (s *Settlement) add(record domain.UsageRecord) {
	s.Records++
	if record.Attempts > 0 {
		s.Sent++
		s.Repeated += int64(record.Attempts - 1)
	}
	switch record.Status {
	case domain.RecordAccepted:
		s.Accepted++
	case domain.RecordCarried:
		s.Carried++
	case domain.RecordRejected:
		s.Rejected++
	case domain.RecordQuarantined:
		s.Quarantined++
	case domain.RecordOpen:
		s.Open++
	}
}

func (s *Settlement) find(subscription uuid.UUID, format string, args ...any) {
	s.Findings = append(s.Findings, Finding{SubscriptionID: subscription, Problem: fmt.Sprintf(format, args...)})
}
