package proof_test

import (
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/proof/prooftest"
)

// replayed returns what the events of a customer come to.
func replayed(t *testing.T, l *prooftest.Log, ada *prooftest.Customer, streams ...string) (proof.Month, []proof.Finding) {
	t.Helper()
	l.Sign(prooftest.November.End())
	file := l.File(ada.Header(), append(streams, domain.SubscriptionStream(ada.SubscriptionID), domain.UsageStream(ada.SubscriptionID, prooftest.November),
		domain.UsageEndStream(ada.SubscriptionID), domain.SealedHoursStream(prooftest.November))...)
	return proof.Recompute(file.Header, file.Events)
}

// calling returns a customer who has called beyond the plan at each of the times.
func calling(t *testing.T, at ...time.Time) (*prooftest.Log, *prooftest.Customer) {
	t.Helper()
	l := prooftest.New(t, 1)
	ada := prooftest.NewCustomer(l, "l-ada", prooftest.November.Start())
	for i := range prooftest.Limit {
		ada.Call(prooftest.November.Start().Add(time.Duration(i) * time.Second))
	}
	for _, call := range at {
		ada.Call(call)
	}
	return l, ada
}

func TestRecordsAreComparedWithTheirHours(t *testing.T) {
	t.Parallel()
	day, first, last := prooftest.Day, prooftest.November.Start(), prooftest.November.End().Add(-time.Hour)
	for name, tt := range map[string]struct {
		calls   []time.Time
		hour    time.Time
		counted int64
		want    string
	}{
		"as many as were called":                     {[]time.Time{day, day.Add(59 * time.Minute)}, day, 2, ""},
		"more than were called":                      {[]time.Time{day}, day, 2, "the record reports 2 calls of its hour; the month's calls in it are 1"},
		"fewer than were called":                     {[]time.Time{day, day.Add(time.Minute)}, day, 1, "the record reports 1 calls of its hour; the month's calls in it are 2"},
		"of an hour without calls":                   {nil, day, 1, "the record reports 1 calls of its hour; the month's calls in it are 0"},
		"none of an hour without calls":              {nil, day, 0, ""},
		"more in the first hour, where others end":   {[]time.Time{first.Add(time.Minute)}, first, 2, ""},
		"fewer in the first hour":                    {[]time.Time{first.Add(time.Minute), first.Add(2 * time.Minute)}, first, 1, "the record reports 1 calls of its hour; the month's calls in it are 2"},
		"more in the last hour":                      {[]time.Time{last.Add(time.Minute)}, last, 2, "the record reports 2 calls of its hour; the month's calls in it are 1"},
		"more in the hour behind, of the next month": {[]time.Time{last.Add(time.Hour)}, last.Add(time.Hour), 2, ""},
		"fewer in the hour behind":                   {[]time.Time{last.Add(time.Hour), last.Add(61 * time.Minute)}, last.Add(time.Hour), 1, "the record reports 1 calls of its hour; the month's calls in it are 2"},
	} {
		l, ada := calling(t, tt.calls...)
		ada.Prepare(tt.hour.Add(time.Hour), tt.hour, tt.counted, 0)
		_, findings := replayed(t, l, ada, ada.Key(tt.hour).Stream())
		switch {
		case tt.want == "" && len(findings) > 0:
			t.Errorf("%s: %v", name, findings)
		case tt.want != "" && (len(findings) != 1 || findings[0].Problem != tt.want || findings[0].Stream != ada.Key(tt.hour).Stream()):
			t.Errorf("%s: %v, want %s", name, findings, tt.want)
		}
	}
}

func TestOutcomesAreAddedUp(t *testing.T) {
	t.Parallel()
	day := prooftest.Day
	hours := []time.Time{day, day.Add(time.Hour), day.Add(2 * time.Hour), day.Add(3 * time.Hour), day.Add(4 * time.Hour)}
	l, ada := calling(t, append(hours, day.Add(9*time.Hour))...)
	for i, hour := range hours {
		key, at := ada.Key(hour), hour.Add(time.Hour)
		ada.Prepare(at, hour, 1, 0)
		switch i {
		case 0:
			ada.Close(at, hour, domain.UsageRecordAccepted{UsageRecordKey: key, Quantity: 1})
		case 1:
			ada.Close(at, hour, domain.UsageRecordRejected{UsageRecordKey: key, Quantity: 1})
		case 2:
			ada.Close(at, hour, domain.UsageRecordQuarantined{UsageRecordKey: key, Quantity: 1})
			ada.Close(at, hour, domain.UsageRecordAccepted{UsageRecordKey: key, Quantity: 1, MeteringRecordID: "by hand"})
		case 3:
			ada.Close(at, hour, domain.UsageRecordQuarantined{UsageRecordKey: key, Quantity: 1})
		case 4:
			ada.Close(at, hour, domain.UsageCarriedOver{UsageRecordKey: key, Quantity: 1})
		}
	}
	carried := day.Add(8 * time.Hour)
	ada.Prepare(carried.Add(time.Hour), carried, 0, 0, domain.CarriedUsage{Hour: hours[4], Quantity: 1}, domain.CarriedUsage{Hour: prooftest.November.Start().Add(-time.Hour), Quantity: 5})
	streams := []string{ada.Key(carried).Stream()}
	for _, hour := range hours {
		streams = append(streams, ada.Key(hour).Stream())
	}
	m, findings := replayed(t, l, ada, streams...)
	if len(findings) > 0 || m.Accepted != 2 || m.WrittenOff != 1 || m.Carried != 1 || m.Pending != 1+6+1 || m.Overage != 6 || m.Included != 3 {
		t.Errorf("%+v: %v", m, findings)
	}
	if len(m.Records) != 6 || m.Records[5].CarriedIn != 6 || m.Records[5].Quantity != 6 || m.Records[2].MeteringRecordID != "by hand" || m.Records[3].Status != domain.RecordQuarantined {
		t.Errorf("%+v", m.Records)
	}
}

func TestRecordsContradict(t *testing.T) {
	t.Parallel()
	day := prooftest.Day
	for name, tt := range map[string]struct {
		report func(ada *prooftest.Customer)
		want   string
	}{
		"prepared twice": {func(ada *prooftest.Customer) { ada.Prepare(day, day, 1, 0); ada.Prepare(day, day, 1, 0) }, "the record is prepared twice"},
		"not prepared": {func(ada *prooftest.Customer) {
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordAccepted{UsageRecordKey: ada.Key(day)})
		}, "the record was not prepared"},
		"closed twice": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0)
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordRejected{UsageRecordKey: ada.Key(day), Quantity: 1})
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordAccepted{UsageRecordKey: ada.Key(day), Quantity: 1})
		}, "the record is rejected already"},
		"accepted with more": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0)
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordAccepted{UsageRecordKey: ada.Key(day), Quantity: 2})
		}, "it says 2 calls; the record was prepared with 1"},
		"rejected with more": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0)
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordRejected{UsageRecordKey: ada.Key(day), Quantity: 2})
		}, "it says 2 calls; the record was prepared with 1"},
		"quarantined with more": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0)
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordQuarantined{UsageRecordKey: ada.Key(day), Quantity: 2})
		}, "it says 2 calls; the record was prepared with 1"},
		"carried with more": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0)
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageCarriedOver{UsageRecordKey: ada.Key(day), Quantity: 2})
		}, "it says 2 calls; the record was prepared with 1"},
		"a sum that is none": {func(ada *prooftest.Customer) {
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordPrepared{UsageRecordKey: ada.Key(day), Counted: 1, Quantity: 2})
		}, "the record reports 2 calls; counted, carried and credited come to 1"},
		"another hour's record": {func(ada *prooftest.Customer) {
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordPrepared{UsageRecordKey: ada.Key(day.Add(time.Hour))})
		}, "the record is not that of its stream"},
		"another customer's record": {func(ada *prooftest.Customer) {
			key := ada.Key(day)
			key.SubscriptionID = ada.CustomerID
			ada.Log.Append(day, ada.Key(day).Stream(), domain.UsageRecordPrepared{UsageRecordKey: key})
		}, "the record is not that of its stream"},
		"carried from an hour without a record": {func(ada *prooftest.Customer) {
			ada.Prepare(day, day, 1, 0, domain.CarriedUsage{Hour: day.Add(-time.Hour), Quantity: 1})
		}, "the record reports 1 calls carried on from hour 2026110509, which that hour's record does not say"},
	} {
		l, ada := calling(t, day)
		tt.report(ada)
		_, findings := replayed(t, l, ada, ada.Key(day).Stream())
		if len(findings) == 0 || findings[0].Problem != tt.want {
			t.Errorf("%s: %v, want %s", name, findings, tt.want)
		}
	}
}

func TestHoursFollowTheSeals(t *testing.T) {
	t.Parallel()
	day := prooftest.Day
	l, ada := calling(t)
	l.Seal(day)
	ada.Call(day.Add(30 * time.Minute)) // recorded by a clock that stepped back: it belongs to the first hour that is open
	ended := domain.SubscriptionUsageSealed{SubscriptionID: ada.SubscriptionID, Hour: day.Add(time.Hour)}
	hours := func() map[time.Time]bool {
		l.Sign(prooftest.November.End())
		file := l.File(ada.Header(), append(ada.Streams(), domain.UsageEndStream(ada.SubscriptionID))...)
		return proof.MeteredHours(file.Header, file.Events)
	}
	if got := hours(); len(got) != 1 || !got[day.Add(time.Hour)] {
		t.Errorf("a call behind the seal of its hour belongs to %v", got)
	}
	l.Append(day.Add(90*time.Minute), domain.UsageEndStream(ada.SubscriptionID), ended)
	ada.Call(day.Add(95 * time.Minute))
	m, findings := replayed(t, l, ada)
	if len(findings) > 0 || m.WrittenOff != 1 || m.Pending != 1 {
		t.Errorf("a call behind the end of usage is %d written off, %d pending: %v", m.WrittenOff, m.Pending, findings)
	}
}

func TestMonthWithoutCalls(t *testing.T) {
	t.Parallel()
	l := prooftest.New(t, 1)
	ada := prooftest.NewCustomer(l, "l-ada", prooftest.November.Start())
	m, findings := replayed(t, l, ada)
	if len(findings) > 0 || m.Counted != 0 || m.Plan != domain.PlanStarter || m.Limit != prooftest.Limit || m.Records == nil || m.Changes == nil {
		t.Errorf("%+v: %v", m, findings)
	}
	content := written(t, l, l.File(ada.Header(), domain.SubscriptionStream(ada.SubscriptionID)))
	if report := checked(t, content, proof.Options{}); len(report.Findings) > 0 || !strings.Contains(string(content), `"changes":[`) {
		t.Errorf("%v", report.Findings)
	}
}

func TestPlans(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	l.Append(prooftest.Day, domain.SubscriptionStream(ada.SubscriptionID), domain.PlanChanged{SubscriptionID: ada.SubscriptionID, Plan: domain.PlanStandard})
	l.Sign(prooftest.November.End())
	plans := proof.Plans(l.File(ada.Header(), ada.Streams()...).Events)
	if !plans[domain.PlanStarter] || !plans[domain.PlanStandard] || plans[domain.PlanProfessional] {
		t.Errorf("%v", plans)
	}
}
