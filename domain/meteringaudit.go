package domain

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// MeteringAudit replays the log and settles metering's accounts from nothing else: what was counted beyond the plans, by
// the running totals of the calls, against what became of it, by the events of the usage records.
type MeteringAudit struct {
	sealed   time.Time
	licences map[uuid.UUID]*auditedLicence
	windows  map[auditedWindow]*auditedUsage
	records  map[uuid.UUID]*auditedRecord
	findings []MeteringFinding
}

// MeteringFinding is something that contradicts the rules of metering.
type MeteringFinding struct {
	Position       uint64    `json:"position,omitempty"` // in the log; 0 when no single event is at fault
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Text           string    `json:"text"`
}

type auditedLicence struct {
	identity MarketplaceIdentity
	sealed   bool            // no usage is taken any more
	months   map[Month]int64 // the newest running total of each
	late     int64           // came behind the seal: written off
}

type auditedWindow struct {
	subscription uuid.UUID
	hour         time.Time
	plan         PlanID
}

type auditedUsage struct {
	counted  int64
	carried  []CarriedUsage
	prepared bool
}

type auditedRecord struct {
	UsageRecord
	billedID string
}

// NewMeteringAudit begins at the start of the log.
func NewMeteringAudit() *MeteringAudit {
	return &MeteringAudit{licences: map[uuid.UUID]*auditedLicence{}, windows: map[auditedWindow]*auditedUsage{}, records: map[uuid.UUID]*auditedRecord{}}
}

// Add takes the next event of the log over, whatever its type.
func (a *MeteringAudit) Add(r Recorded) {
	switch e := r.Event.(type) {
	case SubscriptionStarted:
		a.licence(e.SubscriptionID).identity = e.Marketplace
	case CheckCompleted:
		a.addCheck(r, e)
	case HourSealed:
		if !e.Hour.After(a.sealed) {
			a.find(r, uuid.Nil, "hour %s is sealed behind hour %s", UsageHourKey(e.Hour), UsageHourKey(a.sealed))
		}
		a.sealed = e.Hour
	case SubscriptionUsageSealed:
		a.licence(e.SubscriptionID).sealed = true
	case UsageRecordPrepared:
		a.addPrepared(r, e)
	case UsageRecordAttempted:
		a.follow(r, e.UsageRecordKey, 0, RecordOpen)
	case UsageRecordDeferred:
		a.follow(r, e.UsageRecordKey, 0, RecordOpen)
	case UsageRecordAccepted:
		a.follow(r, e.UsageRecordKey, e.Quantity, RecordOpen, RecordQuarantined)
		if record := a.records[e.RecordID]; record != nil {
			record.billedID = e.MeteringRecordID
		}
	case UsageRecordRejected:
		a.follow(r, e.UsageRecordKey, e.Quantity, RecordOpen, RecordQuarantined)
	case UsageRecordQuarantined:
		a.follow(r, e.UsageRecordKey, e.Quantity, RecordOpen)
	case UsageCarriedOver:
		a.addCarried(r, e)
	}
}

func (a *MeteringAudit) find(r Recorded, subscription uuid.UUID, format string, args ...any) {
	a.findings = append(a.findings, MeteringFinding{Position: r.Position, SubscriptionID: subscription, Text: fmt.Sprintf(format, args...)})
}

func (a *MeteringAudit) licence(id uuid.UUID) *auditedLicence {
	l := a.licences[id]
	if l == nil {
		l = &auditedLicence{months: map[Month]int64{}}
		a.licences[id] = l
	}
	return l
}

// window is where something belongs that stands at r.
func (a *MeteringAudit) window(r Recorded, subscription uuid.UUID, plan PlanID) (*auditedUsage, auditedWindow) {
	key := auditedWindow{subscription, MeteringHour(r.RecordedAt, a.sealed), plan}
	usage := a.windows[key]
	if usage == nil {
		usage = &auditedUsage{}
		a.windows[key] = usage
	}
	return usage, key
}

func (a *MeteringAudit) addCheck(r Recorded, e CheckCompleted) {
	l := a.licence(e.SubscriptionID)
	before := l.months[e.Month]
	l.months[e.Month] = e.OverageTotal
	if e.Billing != BillingOverage {
		if e.OverageTotal != before {
			a.find(r, e.SubscriptionID, "an included call changes the overage from %d to %d", before, e.OverageTotal)
		}
		return
	}
	if e.OverageTotal != before+1 {
		a.find(r, e.SubscriptionID, "overage %d of %s follows overage %d", e.OverageTotal, e.Month, before)
	}
	if l.sealed {
		l.late++
		return
	}
	usage, _ := a.window(r, e.SubscriptionID, e.Plan)
	usage.counted++
}

func (a *MeteringAudit) addPrepared(r Recorded, e UsageRecordPrepared) {
	if a.records[e.RecordID] != nil {
		a.find(r, e.SubscriptionID, "record %s is prepared twice", e.Stream())
		return
	}
	a.records[e.RecordID] = &auditedRecord{UsageRecord: UsageRecord{}.Fold(e)}
	if e.Hour.After(a.sealed) && !a.licence(e.SubscriptionID).sealed {
		a.find(r, e.SubscriptionID, "record %s is prepared before its hour is sealed", e.Stream())
	}
	key := auditedWindow{e.SubscriptionID, e.Hour.UTC(), e.Plan}
	usage := a.windows[key]
	if usage == nil {
		usage = &auditedUsage{}
		a.windows[key] = usage
	}
	if usage.prepared {
		a.find(r, e.SubscriptionID, "hour %s has two records", UsageHourKey(e.Hour))
	}
	usage.prepared = true
	quantity := e.Counted
	for _, carried := range e.Carried {
		quantity += carried.Quantity
	}
	if e.Counted != usage.counted || !sameCarries(e.Carried, usage.carried) || e.Quantity != quantity {
		a.find(r, e.SubscriptionID, "record %s says %d counted and %d in all; the log holds %d counted and %d carries", e.Stream(), e.Counted, e.Quantity, usage.counted, len(usage.carried))
	}
}

func sameCarries(a, b []CarriedUsage) bool {
	byHour := func(x, y CarriedUsage) int { return x.Hour.Compare(y.Hour) }
	a, b = slices.Clone(a), slices.Clone(b)
	slices.SortFunc(a, byHour)
	slices.SortFunc(b, byHour)
	return slices.EqualFunc(a, b, func(x, y CarriedUsage) bool { return x.Hour.Equal(y.Hour) && x.Quantity == y.Quantity })
}

// follow takes an event of a record over, which must be in one of the given statuses.
func (a *MeteringAudit) follow(r Recorded, key UsageRecordKey, quantity int64, from ...UsageRecordStatus) {
	record := a.records[key.RecordID]
	switch {
	case record == nil:
		a.find(r, key.SubscriptionID, "%s of %s, which is not prepared", r.Event.EventType(), key.Stream())
		return
	case !slices.Contains(from, record.Status):
		a.find(r, key.SubscriptionID, "%s of %s, which is %s", r.Event.EventType(), key.Stream(), record.Status)
		return
	case quantity != 0 && quantity != record.Quantity:
		a.find(r, key.SubscriptionID, "%s of %s says %d; it was prepared with %d", r.Event.EventType(), key.Stream(), quantity, record.Quantity)
	}
	record.UsageRecord = record.Fold(r.Event)
}

func (a *MeteringAudit) addCarried(r Recorded, e UsageCarriedOver) {
	record := a.records[e.RecordID]
	if record != nil && record.Unanswered > 0 && r.Meta.Actor != ActorOperator {
		// The attempt that found it too old has an outcome: it closes the record.
		if !(record.Unanswered == 1 && e.Outcome == MeteringTimestampRefused) {
			a.find(r, e.SubscriptionID, "record %s is carried although an attempt may have been billed", e.Stream())
		}
	}
	if record != nil && record.Status == RecordCarried {
		a.find(r, e.SubscriptionID, "record %s is carried twice", e.Stream())
		return
	}
	a.follow(r, e.UsageRecordKey, e.Quantity, RecordOpen, RecordQuarantined)
	if l := a.licence(e.SubscriptionID); l.sealed {
		l.late += e.Quantity
		return
	}
	usage, _ := a.window(r, e.SubscriptionID, e.Plan)
	usage.carried = append(usage.carried, CarriedUsage{Hour: e.Hour, Quantity: e.Quantity})
}

// MeteringAccount is the account of one subscription, in calls beyond its plan.
type MeteringAccount struct {
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Licence        string    `json:"licence"` // l-…
	Counted        int64     `json:"counted"` // by the running totals of the calls
	Accepted       int64     `json:"accepted"`
	Pending        int64     `json:"pending"`
	CarriedOpen    int64     `json:"carriedOpen"`
	WrittenOff     int64     `json:"writtenOff"`
}

// Difference is what is neither reported nor accounted for; anything but 0 is a fault.
func (a MeteringAccount) Difference() int64 {
	return a.Counted - a.Accepted - a.Pending - a.CarriedOpen - a.WrittenOff
}

// MeteringReport is what an audit came to.
type MeteringReport struct {
	SealedHour  time.Time         `json:"sealedHour,omitzero"`
	Accounts    []MeteringAccount `json:"accounts"`
	Records     int64             `json:"records"`
	Sent        int64             `json:"sent"`     // records that were attempted at least once
	Repeated    int64             `json:"repeated"` // attempts beyond the first of each record
	Accepted    int64             `json:"acceptedRecords"`
	Carried     int64             `json:"carriedRecords"`
	Rejected    int64             `json:"rejectedRecords"`
	Quarantined int64             `json:"quarantinedRecords"`
	Open        int64             `json:"openRecords"`
	InFlight    int64             `json:"inFlightRecords"` // not closed here, held by AWS already
	Findings    []MeteringFinding `json:"findings"`
}

// Report settles the accounts as of the newest event.
func (a *MeteringAudit) Report() MeteringReport {
	report := MeteringReport{SealedHour: a.sealed, Findings: a.findings}
	accounts := map[uuid.UUID]*MeteringAccount{}
	for id, l := range a.licences {
		account := &MeteringAccount{SubscriptionID: id, Licence: LicenceID(l.identity.LicenseARN), WrittenOff: l.late}
		for _, total := range l.months {
			account.Counted += total
		}
		accounts[id] = account
	}
	for key, usage := range a.windows {
		if usage.prepared {
			continue
		}
		accounts[key.subscription].Pending += usage.counted
		for _, carried := range usage.carried {
			accounts[key.subscription].CarriedOpen += carried.Quantity
		}
	}
	for _, record := range a.records {
		report.count(record.UsageRecord)
		account := accounts[record.SubscriptionID]
		switch record.Status {
		case RecordAccepted:
			account.Accepted += record.Quantity
		case RecordRejected:
			account.WrittenOff += record.Quantity
		case RecordOpen, RecordQuarantined:
			account.Pending += record.Quantity
		}
	}
	for _, account := range accounts {
		report.Accounts = append(report.Accounts, *account)
		if d := account.Difference(); d != 0 {
			report.Findings = append(report.Findings, MeteringFinding{SubscriptionID: account.SubscriptionID, Text: fmt.Sprintf("%d calls are neither reported nor accounted for", d)})
		}
	}
	slices.SortFunc(report.Accounts, func(x, y MeteringAccount) int {
		return strings.Compare(x.SubscriptionID.String(), y.SubscriptionID.String())
	})
	return report
}

func (r *MeteringReport) count(record UsageRecord) {
	r.Records++
	if record.Attempts > 0 {
		r.Sent++
		r.Repeated += int64(record.Attempts - 1)
	}
	switch record.Status {
	case RecordAccepted:
		r.Accepted++
	case RecordCarried:
		r.Carried++
	case RecordRejected:
		r.Rejected++
	case RecordQuarantined:
		r.Quarantined++
	case RecordOpen:
		r.Open++
	}
}
