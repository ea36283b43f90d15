package proof

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// Month is what the events of a proof come to. Quantities are calls.
type Month struct {
	Plan     domain.PlanID `json:"plan"`  // of the newest call, or as the subscription has it
	Limit    int64         `json:"limit"` // likewise
	Counted  int64         `json:"counted"`
	Included int64         `json:"included"`
	Overage  int64         `json:"overage"`
	FirstAt  time.Time     `json:"firstAt,omitzero"`
	LastAt   time.Time     `json:"lastAt,omitzero"`

	// What became of usage beyond the plan, by the hours of the month.
	Accepted   int64 `json:"accepted"` // by AWS
	Pending    int64 `json:"pending"`  // in hours without a record, or in records without an outcome
	WrittenOff int64 `json:"writtenOff"`
	Carried    int64 `json:"carried"`  // moved to a later hour, which reports it
	Credited   int64 `json:"credited"` // by the operator

	Records []Record `json:"records"`
	Changes []Change `json:"changes"`
}

// Record is the report of one hour to AWS.
type Record struct {
	Hour             time.Time                `json:"hour"`
	Dimension        string                   `json:"dimension"`
	Counted          int64                    `json:"counted"`
	CarriedIn        int64                    `json:"carriedIn,omitempty"`
	Credited         int64                    `json:"credited,omitempty"`
	Quantity         int64                    `json:"quantity"`
	Status           domain.UsageRecordStatus `json:"status"`
	MeteringRecordID string                   `json:"meteringRecordId,omitempty"` // AWS's
}

// Change is something that decided how calls were treated.
type Change struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	What string    `json:"what"`
}

// hourKey is a metered hour of a plan.
type hourKey struct {
	hour time.Time
	plan domain.PlanID
}

// recomputation replays the events of a proof.
type recomputation struct {
	of           Header
	month        Month
	calls        *audit.Audit // decides every call again
	subscription domain.Subscription
	sealed       time.Time         // the newest hour that is closed
	ended        bool              // the usage of the subscription is sealed
	hours        map[hourKey]int64 // calls beyond the plan
	late         int64             // behind the end of the subscription's usage
	records      map[string]*record
	findings     []Finding
}

// record is a usage record with what the proof tells besides.
type record struct {
	domain.UsageRecord
	billedID string
	prepared Event
}

// Recompute returns what the events of a month come to, and where they contradict the rules.
func Recompute(of Header, events []Event) (Month, []Finding) {
	r := replay(of, events)
	return r.result(), r.findings
}

func replay(of Header, events []Event) *recomputation {
	r := &recomputation{of: of, calls: audit.New(), hours: map[hourKey]int64{}, records: map[string]*record{}}
	registry := domain.NewRegistry()
	for _, event := range events {
		recorded, err := event.decode(registry)
		if err != nil {
			r.find(event, "it cannot be read: %v", err)
			continue
		}
		r.take(event, recorded)
	}
	return r
}

func (r *recomputation) find(e Event, format string, args ...any) {
	r.findings = append(r.findings, Finding{Line: e.line, Stream: e.Stream, Revision: e.Revision, Problem: fmt.Sprintf(format, args...)})
}

// take takes the next event.
func (r *recomputation) take(event Event, recorded domain.Recorded) {
	switch e := recorded.Event.(type) {
	case domain.HourSealed:
		r.sealed = e.Hour
	case domain.SubscriptionUsageSealed:
		if !r.subscription.Reinstated() {
			r.sealed, r.ended = e.ClosedBy(recorded.RecordedAt, r.sealed), true
		}
	case domain.CheckCompleted:
		r.observe(event, recorded)
		r.month.Plan, r.month.Limit = e.Plan, e.Limit
		r.meter(recorded, e)
	case domain.UsageCredited:
		r.observe(event, recorded)
	default:
		if domain.CategoryMetering.Holds(event.Stream) {
			r.report(event, recorded)
			return
		}
		r.observe(event, recorded)
		r.subscription = r.subscription.Fold(e)
		if _, again := e.(domain.SubscriptionReinstated); again {
			r.ended = false
		}
	}
}

// observe has an event decided again, as the audit of the whole log does.
func (r *recomputation) observe(event Event, recorded domain.Recorded) {
	known := len(r.calls.Findings())
	r.calls.Observe(recorded)
	for _, found := range r.calls.Findings()[known:] {
		r.find(event, "%s", found.Problem)
	}
}

// meter adds a call beyond the plan to its hour.
func (r *recomputation) meter(recorded domain.Recorded, e domain.CheckCompleted) {
	switch {
	case e.Billing != domain.BillingOverage:
	case r.ended:
		r.late++
	default:
		r.hours[hourKey{domain.MeteringHour(recorded.RecordedAt, r.sealed), e.Plan}]++
	}
}

// report takes an event of a usage record.
func (r *recomputation) report(event Event, recorded domain.Recorded) {
	known := r.records[event.Stream]
	if known == nil {
		known = &record{}
		r.records[event.Stream] = known
	}
	prepared, isFirst := recorded.Event.(domain.UsageRecordPrepared)
	switch {
	case isFirst && known.Status != domain.RecordUnknown:
		r.find(event, "the record is prepared twice")
		return
	case isFirst:
		known.prepared = event
		if prepared.SubscriptionID != r.of.SubscriptionID || prepared.Stream() != event.Stream {
			r.find(event, "the record is not that of its stream")
		}
		usage := domain.SealedUsage{Counted: prepared.Counted, Carried: prepared.Carried, Credited: prepared.Credited}
		if prepared.Quantity != usage.Quantity() {
			r.find(event, "the record reports %d calls; counted, carried and credited come to %d", prepared.Quantity, usage.Quantity())
		}
	case known.Status == domain.RecordUnknown:
		r.find(event, "the record was not prepared")
	case known.Status != domain.RecordOpen && known.Status != domain.RecordQuarantined:
		r.find(event, "the record is %s already", known.Status)
		return
	}
	if quantity, told := quantityOf(recorded.Event); told && quantity != known.Quantity {
		r.find(event, "it says %d calls; the record was prepared with %d", quantity, known.Quantity)
	}
	if e, accepted := recorded.Event.(domain.UsageRecordAccepted); accepted {
		known.billedID = e.MeteringRecordID
	}
	known.UsageRecord = known.Fold(recorded.Event)
}

// quantityOf returns what an outcome says of its record.
func quantityOf(event domain.Event) (quantity int64, told bool) {
	switch e := event.(type) {
	case domain.UsageRecordAccepted:
		return e.Quantity, true
	case domain.UsageRecordRejected:
		return e.Quantity, true
	case domain.UsageRecordQuarantined:
		return e.Quantity, true
	case domain.UsageCarriedOver:
		return e.Quantity, true
	}
	return 0, false
}

// result adds up what was taken.
func (r *recomputation) result() Month {
	m := r.month
	m.Records, m.Changes = []Record{}, []Change{}
	if m.Counted == 0 && m.Plan == "" {
		m.Plan, m.Limit = r.subscription.Plan, r.subscription.Limit
	}
	for _, counted := range r.calls.Months() {
		if counted.SubscriptionID == r.of.SubscriptionID && counted.Month == r.of.Month {
			m.Counted, m.Included, m.Overage = counted.Counted, counted.Included, counted.Overage
			m.FirstAt, m.LastAt, m.Credited = counted.FirstAt.UTC(), counted.LastAt.UTC(), counted.Credited
		}
	}
	for _, change := range r.calls.Changes() {
		m.Changes = append(m.Changes, Change{change.At.UTC(), change.Actor, change.What})
	}
	m.WrittenOff = r.late
	for _, record := range r.records {
		r.add(&m, record)
	}
	for key, calls := range r.hours {
		if record := r.recordOf(key); record != nil {
			r.compare(record, calls)
		} else if domain.MonthOf(key.hour) == r.of.Month {
			m.Pending += calls
		}
	}
	slices.SortFunc(m.Records, func(x, y Record) int { return cmp.Or(x.Hour.Compare(y.Hour), cmp.Compare(x.Dimension, y.Dimension)) })
	slices.SortStableFunc(r.findings, func(x, y Finding) int { return cmp.Compare(x.Line, y.Line) })
	return m
}

// add adds a record to what became of the month's usage.
func (r *recomputation) add(m *Month, record *record) {
	var carried int64
	for _, c := range record.UsageRecordPrepared.Carried {
		carried += c.Quantity
	}
	m.Records = append(m.Records, Record{
		Hour: record.Hour.UTC(), Dimension: record.Dimension, Counted: record.Counted, CarriedIn: carried, Credited: record.Credited,
		Quantity: record.Quantity, Status: record.Status, MeteringRecordID: record.billedID,
	})
	if _, counts := r.hours[hourKey{record.Hour.UTC(), record.Plan}]; !counts {
		r.compare(record, 0)
	}
	if domain.MonthOf(record.Hour) != r.of.Month {
		return
	}
	for _, c := range record.UsageRecordPrepared.Carried {
		r.compareCarried(record, c)
	}
	switch record.Status {
	case domain.RecordAccepted:
		m.Accepted += record.Quantity
	case domain.RecordRejected:
		m.WrittenOff += record.Quantity
	case domain.RecordCarried:
		m.Carried += record.Quantity
	default:
		m.Pending += record.Quantity
	}
}

// compareCarried holds what a record was given from an earlier hour of the month against that hour's own record.
func (r *recomputation) compareCarried(record *record, c domain.CarriedUsage) {
	if domain.MonthOf(c.Hour) != r.of.Month {
		return
	}
	from := r.recordOf(hourKey{c.Hour.UTC(), record.Plan})
	if from == nil || from.Status != domain.RecordCarried || from.Quantity != c.Quantity {
		r.find(record.prepared, "the record reports %d calls carried on from hour %s, which that hour's record does not say",
			c.Quantity, domain.UsageHourKey(c.Hour))
	}
}

func (r *recomputation) recordOf(key hourKey) *record {
	for _, record := range r.records {
		if record.Hour.Equal(key.hour) && record.Plan == key.plan {
			return record
		}
	}
	return nil
}

// compare holds a record against the month's calls in its hour. The hours at both ends of a month may hold calls of the month
// beside it: those that were decided before midnight and recorded after it.
func (r *recomputation) compare(record *record, calls int64) {
	inside := record.Hour.After(r.of.Month.Start()) && record.Hour.Before(r.of.Month.End())
	if record.Counted < calls || inside && record.Counted != calls {
		r.find(record.prepared, "the record reports %d calls of its hour; the month's calls in it are %d", record.Counted, calls)
	}
}

// MeteredHours returns the hours that the month's calls beyond the plan belong to.
func MeteredHours(of Header, events []Event) map[time.Time]bool {
	hours := map[time.Time]bool{}
	for key := range replay(of, events).hours {
		hours[key.hour] = true
	}
	return hours
}

// Plans returns the plans that a subscription has had by its events.
func Plans(events []Event) map[domain.PlanID]bool {
	plans, registry := map[domain.PlanID]bool{}, domain.NewRegistry()
	for _, event := range events {
		if !domain.CategorySubscription.Holds(event.Stream) {
			continue
		}
		recorded, err := event.decode(registry)
		if err != nil {
			continue // Recompute tells
		}
		plans[domain.Subscription{}.Fold(recorded.Event).Plan] = true
	}
	return plans
}

// difference names the fields in which two months differ.
func (m Month) difference(other Month) string {
	ours, theirs := fields(m), fields(other)
	var differ []string
	for _, name := range slices.Sorted(maps.Keys(ours)) {
		if !bytes.Equal(ours[name], theirs[name]) {
			differ = append(differ, fmt.Sprintf("%s is %s and not %s", name, short(ours[name]), short(theirs[name])))
		}
	}
	return strings.Join(differ, ", ")
}

func fields(m Month) map[string]json.RawMessage {
	var named map[string]json.RawMessage
	if text, err := json.Marshal(m); err == nil {
		_ = json.Unmarshal(text, &named) // what was written can be read
	}
	return named
}

// short cuts off what is too long for a line.
func short(value json.RawMessage) string {
	const most = 100
	if len(value) > most {
		return string(value[:most]) + "…"
	}
	return string(value)
}

// ofSubscription returns whether a stream is that of a usage record of a subscription.
func ofSubscription(subscription uuid.UUID, stream string) bool {
	return domain.CategoryMetering.Holds(stream) && strings.HasPrefix(stream, string(domain.CategoryMetering)+"-"+subscription.String()+"-")
}
