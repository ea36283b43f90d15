package prooftest

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
)

// November is the month that is proved, and Day a day in it.
var (
	November = domain.Month{Year: 2026, Month: time.November}
	Day      = time.Date(2026, 11, 5, 10, 0, 0, 0, time.UTC)
)

// Limit is how many calls the plan of the customers includes.
const Limit = 3

// Customer is somebody who calls.
type Customer struct {
	Log            *Log
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID

	subscription domain.Subscription
	revision     uint64 // of the subscription
	usage        domain.UsageMonth
}

// NewCustomer starts the subscription of a licence.
func NewCustomer(l *Log, licence string, at time.Time) *Customer {
	id := domain.SubscriptionIDForLicence(licence)
	c := &Customer{Log: l, SubscriptionID: id, CustomerID: domain.CustomerIDForSubscription(id), usage: domain.UsageMonth{Month: November}}
	started := domain.SubscriptionStarted{
		SubscriptionID: id, CustomerID: c.CustomerID, Plan: domain.PlanStarter, Limit: Limit, Overage: domain.OverageContinue, StartedAt: at,
		Marketplace: domain.MarketplaceIdentity{LicenseARN: licence, AWSAccountID: "123456789012", ProductCode: "product"},
	}
	l.Append(at, domain.SubscriptionStream(id), started)
	c.subscription = c.subscription.Fold(started)
	return c
}

// Header says that the customer's month is proved.
func (c *Customer) Header() proof.Header {
	return proof.Header{Format: proof.Format, CustomerID: c.CustomerID, SubscriptionID: c.SubscriptionID, Month: November, MadeAt: Day.AddDate(0, 0, 1)}
}

// Call counts a call.
func (c *Customer) Call(at time.Time) {
	c.Log.t.Helper()
	check := domain.Check{
		ID: domain.DerivedID(c.SubscriptionID, at.String()), KeySlot: domain.SlotPrimary, At: at,
		Judgement: domain.Judgement{FakeLikelihood: 0.25, FakeFace: true, ValidFace: true, Threshold: 0.15, ModelPack: "pack", ModelPackHash: "<&>"},
	}
	counted, err := c.usage.Count(c.subscription, c.revision, check)
	if err != nil {
		c.Log.t.Fatal(err)
	}
	c.usage = c.usage.Fold(counted)
	c.Log.Append(at, domain.UsageStream(c.SubscriptionID, November), counted)
}

// Raise puts a ceiling on calls beyond the plan.
func (c *Customer) Raise(at time.Time, ceiling int64) {
	c.Log.t.Helper()
	switched := domain.OverageSwitched{
		SubscriptionID: c.SubscriptionID, From: domain.OverageContinue, FromCeiling: c.subscription.Ceiling,
		To: domain.OverageContinue, Ceiling: ceiling, SwitchedAt: at,
	}
	c.Log.Append(at, domain.SubscriptionStream(c.SubscriptionID), switched)
	c.subscription, c.revision = c.subscription.Fold(switched), c.revision+1
}

// Intrude lets another program write into the subscription's stream, which later calls are decided behind.
func (c *Customer) Intrude() {
	c.Log.AppendForeign(domain.SubscriptionStream(c.SubscriptionID))
	c.revision++
}

// Credit takes calls off what is reported.
func (c *Customer) Credit(at time.Time, calls, total int64) {
	c.Log.Append(at, domain.UsageCreditsStream(c.SubscriptionID, November), domain.UsageCredited{
		SubscriptionID: c.SubscriptionID, CustomerID: c.CustomerID, Month: November, Calls: calls, Total: total, Why: "an outage", CreditedAt: at,
	})
}

// Key names the record of an hour.
func (c *Customer) Key(hour time.Time) domain.UsageRecordKey {
	return domain.NewUsageRecordKey(c.SubscriptionID, hour, domain.PlanStarter, "starter_over")
}

// Prepare fixes the record of an hour.
func (c *Customer) Prepare(at, hour time.Time, counted, credited int64, carried ...domain.CarriedUsage) domain.UsageRecordPrepared {
	quantity := domain.SealedUsage{Counted: counted, Carried: carried, Credited: credited}.Quantity()
	prepared := domain.UsageRecordPrepared{
		UsageRecordKey: c.Key(hour), CustomerID: c.CustomerID, ProductCode: "product", Timestamp: hour, Deadline: hour.Add(24 * time.Hour),
		Quantity: quantity, Counted: counted, Carried: carried, Credited: credited, Region: "us-east-1", PreparedAt: at,
	}
	c.Log.Append(at, prepared.Stream(), prepared)
	return prepared
}

// Close gives the record of an hour an outcome.
func (c *Customer) Close(at, hour time.Time, outcome domain.Event) {
	c.Log.Append(at, c.Key(hour).Stream(), domain.UsageRecordAttempted{UsageRecordKey: c.Key(hour), Attempt: 1, AttemptedAt: at})
	c.Log.Append(at, c.Key(hour).Stream(), outcome)
}

// Seal closes an hour.
func (l *Log) Seal(hour time.Time) {
	at := hour.Add(time.Hour + time.Minute)
	l.Append(at, domain.SealedHoursStream(domain.MonthOf(hour)), domain.HourSealed{Hour: hour, SealedAt: at})
}

// AMonth returns a log in which two customers call in November, and the one whose month is proved: of six calls three are
// beyond the plan; AWS accepted one of them, one was credited and one waits. A checkpoint ends October, another one everything.
func AMonth(t testing.TB) (*Log, *Customer) {
	t.Helper()
	l := New(t, 1)
	october := November.Start().Add(-time.Hour)
	ada := NewCustomer(l, "arn:aws:license-manager::1:license:l-ada", october.Add(-time.Hour))
	eve := NewCustomer(l, "arn:aws:license-manager::1:license:l-eve", october.Add(-time.Minute))
	l.Sign(october.Add(59 * time.Minute))
	l.Seal(october)
	for i := range Limit + 1 {
		ada.Call(Day.Add(time.Duration(i) * time.Minute))
		eve.Call(Day.Add(time.Duration(i)*time.Minute + time.Second))
	}
	l.Seal(Day)
	ada.Prepare(Day.Add(62*time.Minute), Day, 1, 0)
	eve.Prepare(Day.Add(62*time.Minute), Day, 1, 0)
	ada.Close(Day.Add(63*time.Minute), Day, domain.UsageRecordAccepted{
		UsageRecordKey: ada.Key(Day), MeteringRecordID: "aws-1", Outcome: domain.MeteringSuccess, Quantity: 1, AcceptedAt: Day.Add(63 * time.Minute),
	})
	ada.Raise(Day.Add(64*time.Minute), 10)
	eleven := Day.Add(time.Hour)
	ada.Call(eleven.Add(10 * time.Minute))
	ada.Credit(eleven.Add(11*time.Minute), 1, 1)
	l.Seal(eleven)
	ada.Prepare(eleven.Add(62*time.Minute), eleven, 1, 1)
	ada.Call(eleven.Add(70 * time.Minute))
	l.Sign(eleven.Add(2 * time.Hour))
	return l, ada
}

// Streams lists the streams that the month of AMonth is proved by.
func (c *Customer) Streams() []string {
	return []string{
		domain.SubscriptionStream(c.SubscriptionID), domain.UsageStream(c.SubscriptionID, November), domain.UsageCreditsStream(c.SubscriptionID, November),
		domain.SealedHoursStream(November.Previous()), domain.SealedHoursStream(November), c.Key(Day).Stream(), c.Key(Day.Add(time.Hour)).Stream(),
	}
}
