package proofpage_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/proof/prooftest"
)

// written returns a file as its operator gives it away, who signs whatever it says, and whether the program finds nothing in it.
func written(t *testing.T, l *prooftest.Log, file proof.File) (content string, holds bool) {
	t.Helper()
	made, err := file.Encode(l.Signer())
	if err != nil {
		t.Fatal(err)
	}
	report, err := proof.Check(made, proof.Options{Keys: []string{l.Key()}})
	if err != nil {
		t.Fatal(err)
	}
	return string(made), len(report.Findings) == 0
}

// calling returns a customer who has called beyond the plan at each of the times.
func calling(t *testing.T, at ...time.Time) *prooftest.Customer {
	t.Helper()
	ada := prooftest.NewCustomer(prooftest.New(t, 1), "l-ada", prooftest.November.Start())
	for i := range prooftest.Limit {
		ada.Call(prooftest.November.Start().Add(time.Duration(i) * time.Second))
	}
	for _, call := range at {
		ada.Call(call)
	}
	return ada
}

// monthOf returns what proves the month of a customer with the records of hours.
func monthOf(ada *prooftest.Customer, hours ...time.Time) proof.File {
	streams := []string{
		domain.SubscriptionStream(ada.SubscriptionID), domain.UsageStream(ada.SubscriptionID, prooftest.November),
		domain.UsageCreditsStream(ada.SubscriptionID, prooftest.November), domain.UsageEndStream(ada.SubscriptionID),
		domain.SealedHoursStream(prooftest.November),
	}
	for _, hour := range hours {
		streams = append(streams, ada.Key(hour).Stream())
	}
	ada.Log.Sign(prooftest.November.End().Add(2 * time.Hour))
	return ada.Log.File(ada.Header(), streams...)
}

// accepted says that AWS took calls of an hour.
func accepted(ada *prooftest.Customer, hour time.Time, calls int64) domain.Event {
	return domain.UsageRecordAccepted{UsageRecordKey: ada.Key(hour), MeteringRecordID: "aws-2", Quantity: calls}
}

// everyOutcome is a month with all that may become of a call beyond the plan. Its last ones belong to the next month's first hour,
// as does one that was decided before midnight and recorded behind it: AWS took them as that month's.
func everyOutcome(t *testing.T) proof.File {
	t.Helper()
	day, december := prooftest.Day, prooftest.November.End()
	hour := func(n int) time.Time { return day.Add(time.Duration(n) * time.Hour) }
	ada := calling(t, hour(0), hour(1), hour(2), hour(3), hour(4), hour(5))
	for n := range 5 {
		ada.Prepare(hour(n+1), hour(n), 1, 0)
	}
	ada.Close(hour(1), hour(0), accepted(ada, hour(0), 1))
	ada.Close(hour(2), hour(1), domain.UsageRecordRejected{UsageRecordKey: ada.Key(hour(1)), Quantity: 1})
	ada.Close(hour(3), hour(2), domain.UsageRecordQuarantined{UsageRecordKey: ada.Key(hour(2)), Quantity: 1})
	ada.Close(hour(4), hour(3), domain.UsageRecordQuarantined{UsageRecordKey: ada.Key(hour(3)), Quantity: 1})
	ada.Close(hour(5), hour(3), accepted(ada, hour(3), 1)) // as a person found out
	ada.Close(hour(5), hour(4), domain.UsageCarriedOver{UsageRecordKey: ada.Key(hour(4)), Quantity: 1})
	ada.Credit(hour(5), 2, 2)
	october := prooftest.November.Start().Add(-time.Hour)
	ada.Prepare(hour(7), hour(6), 0, 2, domain.CarriedUsage{Hour: hour(4), Quantity: 1}, domain.CarriedUsage{Hour: october, Quantity: 5})
	ada.Log.Seal(hour(7))
	ada.Call(hour(7).Add(time.Minute)) // by a clock that stepped back

	end, subscription, usageEnd := december.Add(-30*time.Second), domain.SubscriptionStream(ada.SubscriptionID), domain.UsageEndStream(ada.SubscriptionID)
	ada.Log.Append(end, subscription, domain.SubscriptionEnded{SubscriptionID: ada.SubscriptionID})
	ada.Log.Append(end.Add(time.Second), usageEnd, domain.SubscriptionUsageSealed{SubscriptionID: ada.SubscriptionID, Hour: end})
	ada.Call(end.Add(2 * time.Second)) // was on its way
	ada.Log.Append(end.Add(3*time.Second), subscription, domain.SubscriptionReinstated{SubscriptionID: ada.SubscriptionID})
	ada.Log.Append(end.Add(4*time.Second), usageEnd, domain.SubscriptionUsageSealed{SubscriptionID: ada.SubscriptionID, Hour: end, End: 2})
	ada.Call(end.Add(5 * time.Second))
	ada.Call(december.Add(50 * time.Millisecond))
	ada.Prepare(december.Add(time.Hour), december, 3, 0) // with one of December
	ada.Close(december.Add(time.Hour), december, accepted(ada, december, 3))
	return monthOf(ada, hour(0), hour(1), hour(2), hour(3), hour(4), hour(6), december)
}

// lies are months that the program refuses, whose events all stand in the log and whose operator has signed them, with what the
// page says of each.
func lies(t *testing.T) map[string]lie {
	t.Helper()
	l, ada := prooftest.AMonth(t)
	day, eve := prooftest.Day, domain.SubscriptionIDForLicence("l-eve")
	usage, record := domain.UsageStream(ada.SubscriptionID, prooftest.November), ada.Key(day).Stream()

	sums := l.File(ada.Header(), ada.Streams()...)
	sums.Month.Pending, sums.Month.WrittenOff, sums.Month.Credited, sums.Month.Records[0].Quantity = 777, 888, 999, 123456
	stolen := l.File(ada.Header(), domain.SubscriptionStream(eve), domain.UsageStream(eve, prooftest.November), domain.SealedHoursStream(prooftest.November))
	unearned := l.File(ada.Header(), ada.Streams()...)
	unearned.Header.CustomerID = domain.CustomerIDForSubscription(eve)
	twice := l.File(ada.Header(), append(ada.Streams(), usage)...)
	swapped := l.File(ada.Header(), ada.Streams()...)
	swapped.Events[0], swapped.Events[1] = swapped.Events[1], swapped.Events[0]
	lies := map[string]lie{
		"signed sums": {sums, []string{
			"the events come to pending 1 and the file says 777", "the events come to writtenOff 0 and the file says 888",
			"the events come to credited 1 and the file says 999", "the reports to AWS do not follow from the events",
			"6\t3\t3\t1\t1\t0\t0\t1", "starter_over\t1\taccepted\taws-1",
		}},
		"another's events": {stolen, []string{"the stream " + domain.UsageStream(eve, prooftest.November) + " is not one of the month's", "it says another subscriptionId", "it says another customerId"}},
		"another's ids":    {unearned, []string{"the subscription is not the customer's"}},
		"a stream twice":   {twice, []string{"the stream " + usage + " is not one of the month's"}},
		"swapped":          {swapped, []string{"it stands behind an event that follows it in the log"}},
	}
	for name, tt := range map[string]struct {
		happens func(ada *prooftest.Customer)
		want    string
	}{
		"more than was called":   {func(ada *prooftest.Customer) { ada.Prepare(day, day, 2, 0) }, record + "\t0\tthe record reports 2 calls of its hour; the month's calls in it are 1"},
		"more than was prepared": {func(ada *prooftest.Customer) { ada.Prepare(day, day, 1, 0); ada.Close(day, day, accepted(ada, day, 2)) }, record + "\t2\tit says 2 calls; the record was prepared with 1"},
		"accepted twice": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0)
			ada.Close(day, day, accepted(ada, day, 1))
			ada.Close(day, day, accepted(ada, day, 1))
		}, record + "\t4\tit cannot follow: the record is accepted"},
		"prepared twice": {func(ada *prooftest.Customer) { ada.Prepare(day, day, 1, 0); ada.Prepare(day, day, 1, 0) }, record + "\t1\tit cannot follow: the record is open"},
		"not prepared":   {func(ada *prooftest.Customer) { ada.Log.Append(day, record, accepted(ada, day, 1)) }, record + "\t0\tit cannot follow: the record is not prepared"},
		"a sum that is none": {func(ada *prooftest.Customer) {
			ada.Log.Append(day, record, domain.UsageRecordPrepared{UsageRecordKey: ada.Key(day), Counted: 1, Quantity: 2})
		}, "the record reports 2 calls; counted, carried and credited come to 1"},
		"another hour's record": {func(ada *prooftest.Customer) {
			ada.Log.Append(day, record, domain.UsageRecordPrepared{UsageRecordKey: ada.Key(day.Add(time.Hour))})
		}, "the record is not that of its stream"},
		"carried from nowhere": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0, domain.CarriedUsage{Hour: day.Add(-time.Hour), Quantity: 1})
		}, "the record reports 1 calls carried on from 2026-11-05T09:00:00Z, which that hour's record does not say"},
		"credited more": {func(ada *prooftest.Customer) { ada.Credit(day, 2, 2) }, "it credits 2 calls and says 2 in all"},
		"of a plan that had ended": {func(ada *prooftest.Customer) {
			ada.Log.Append(day, domain.SubscriptionStream(ada.SubscriptionID), domain.PlanChanged{SubscriptionID: ada.SubscriptionID, FromPlan: domain.PlanStarter, FromLimit: prooftest.Limit, Plan: domain.PlanStandard, Limit: 100})
			ada.Call(day.Add(2 * time.Minute))
		}, usage + "\t4\tit was decided on revision 0 of the subscription, which had changed long before"},
	} {
		ada := calling(t, day)
		tt.happens(ada)
		lies[name] = lie{monthOf(ada, day), []string{tt.want}}
	}
	return lies
}

// lie is a month that does not follow from its events.
type lie struct {
	proof.File
	want []string // on the page
}
