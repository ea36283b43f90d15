package audit_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// An event of a subscription follows from the state before it, or is found.
func TestSubscriptionsAreDecidedAgain(t *testing.T) {
	t.Parallel()
	id := domain.SubscriptionIDForLicence(identity.LicenseARN)
	started := domain.Subscription{}.Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 3}, noon)[0]
	scheduled := domain.Subscription{}.Schedule(identity, noon, noon)[0]
	ended := domain.SubscriptionEnded{SubscriptionID: id}
	for name, test := range map[string]struct {
		events []domain.Event
		want   []string
	}{
		"an honest life": {[]domain.Event{
			scheduled, scheduled, started,
			domain.PlanChanged{SubscriptionID: id, FromPlan: domain.PlanStarter, FromLimit: 3, Plan: domain.PlanStandard, Limit: 8},
			domain.OverageSwitched{SubscriptionID: id, From: domain.OverageContinue, To: domain.OverageContinue, Ceiling: 5},
			domain.OverageSwitched{SubscriptionID: id, From: domain.OverageContinue, FromCeiling: 5, To: domain.OverageStop},
			domain.AgreementLinked{SubscriptionID: id}, domain.UnsubscribeRequested{SubscriptionID: id}, domain.SubscriptionRenewed{SubscriptionID: id}, ended,
			domain.SubscriptionReinstated{SubscriptionID: id},
		}, nil},
		"a scheduled one that ends": {[]domain.Event{scheduled, ended}, nil},
		"started twice":             {[]domain.Event{started, started}, []string{"subscription@1: SubscriptionStarted of a subscription that is active"}},
		"scheduled when it runs":    {[]domain.Event{started, scheduled}, []string{"subscription@1: SubscriptionScheduled of a subscription that is active"}},
		"ended before it starts":    {[]domain.Event{ended}, []string{"subscription@0: SubscriptionEnded of a subscription that has not started"}},
		"ended twice":               {[]domain.Event{started, ended, ended}, []string{"subscription@2: SubscriptionEnded of a subscription that is ended"}},
		"linked before it starts":   {[]domain.Event{domain.AgreementLinked{SubscriptionID: id}}, []string{"subscription@0: AgreementLinked of a subscription that has not started"}},
		"reinstated while it runs":  {[]domain.Event{started, domain.SubscriptionReinstated{SubscriptionID: id}}, []string{"subscription@1: SubscriptionReinstated of a subscription that is active"}},
		"another plan before": {[]domain.Event{started, domain.PlanChanged{SubscriptionID: id, FromPlan: domain.PlanStandard, FromLimit: 3}},
			[]string{"subscription@1: it changes the plan from standard (3), and the plan was starter (3)"}},
		"another limit before": {[]domain.Event{started, domain.PlanChanged{SubscriptionID: id, FromPlan: domain.PlanStarter, FromLimit: 4}},
			[]string{"subscription@1: it changes the plan from starter (4), and the plan was starter (3)"}},
		"a plan of one that ended": {[]domain.Event{started, ended, domain.PlanChanged{SubscriptionID: id, FromPlan: domain.PlanStarter, FromLimit: 3}},
			[]string{"subscription@2: PlanChanged of a subscription that is ended"}},
		"another switch before": {[]domain.Event{started, domain.OverageSwitched{SubscriptionID: id, From: domain.OverageStop}},
			[]string{"subscription@1: it switches from stop, and the over-limit behaviour was continue"}},
		"another ceiling before": {[]domain.Event{started, domain.OverageSwitched{SubscriptionID: id, From: domain.OverageContinue, FromCeiling: 2}},
			[]string{"subscription@1: it switches from continue up to 2 calls beyond the plan, and the over-limit behaviour was continue"}},
		"a switch of one that ended": {[]domain.Event{started, ended, domain.OverageSwitched{SubscriptionID: id, From: domain.OverageContinue}},
			[]string{"subscription@2: OverageSwitched of a subscription that is ended"}},
		"another's event": {[]domain.Event{started, domain.SubscriptionRenewed{SubscriptionID: uuid.Max}},
			[]string{"subscription@1: SubscriptionRenewed of subscription ffffffff-ffff-ffff-ffff-ffffffffffff stands in the stream of another"}},
		"another's cancellation": {[]domain.Event{started, domain.UnsubscribeRequested{}},
			[]string{"subscription@1: UnsubscribeRequested of subscription 00000000-0000-0000-0000-000000000000 stands in the stream of another"}},
	} {
		log := &logbook{}
		for _, event := range test.events {
			log.write(domain.SubscriptionStream(id), event)
		}
		if diff := cmp.Diff(test.want, problems(audited(log).Findings())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// A slot is issued its first key once, and whoever replaces a key names the one that was there.
func TestKeysAreFollowed(t *testing.T) {
	t.Parallel()
	id := domain.SubscriptionIDForLicence(identity.LicenseARN)
	customer := domain.CustomerIDForSubscription(id)
	key := func(name string) domain.KeyDigest { return domain.KeyDigest{Hash: name, Prefix: "lc_" + name} }
	issued := domain.KeyIssued{CustomerID: customer, SubscriptionID: id, Slot: domain.SlotPrimary, Key: key("a")}
	replaced := func(old, by domain.KeyDigest) domain.Event {
		return domain.KeyRegenerated{CustomerID: customer, SubscriptionID: id, Slot: domain.SlotPrimary, OldKey: old, NewKey: by}
	}
	for name, test := range map[string]struct {
		events []domain.Event
		want   []string
	}{
		"an honest life": {[]domain.Event{
			issued, domain.KeyRehashed{CustomerID: customer, Slot: domain.SlotPrimary, Former: key("a"), Key: domain.KeyDigest{Hash: "b", Prefix: "lc_a"}},
			replaced(domain.KeyDigest{Hash: "b", Prefix: "lc_a"}, key("c")), domain.KeyNamed{CustomerID: customer}, replaced(key("c"), key("d")),
		}, nil},
		"issued twice":       {[]domain.Event{issued, issued}, []string{"apikeys@1: it issues the primary key, which was issued before as lc_a"}},
		"another is there":   {[]domain.Event{issued, replaced(key("x"), key("b"))}, []string{`apikeys@1: KeyRegenerated of the primary key "lc_x", and the slot held "lc_a"`}},
		"another hash":       {[]domain.Event{issued, replaced(domain.KeyDigest{Hash: "x", Prefix: "lc_a"}, key("b"))}, []string{`apikeys@1: KeyRegenerated of the primary key "lc_a", and the slot held "lc_a"`}},
		"replaced too early": {[]domain.Event{replaced(key("a"), key("b"))}, []string{`apikeys@0: KeyRegenerated of the primary key "lc_a", and the slot held ""`}},
		"hashed again wrong": {[]domain.Event{issued, domain.KeyRehashed{CustomerID: customer, Slot: domain.SlotPrimary, Former: key("x")}},
			[]string{`apikeys@1: KeyRehashed of the primary key "lc_x", and the slot held "lc_a"`}},
		"another's name": {[]domain.Event{issued, domain.KeyNamed{CustomerID: uuid.Max}},
			[]string{"apikeys@1: KeyNamed stands outside its stream apikeys-ffffffff-ffff-ffff-ffff-ffffffffffff"}},
	} {
		log := &logbook{}
		for _, event := range test.events {
			log.write(domain.APIKeysStream(customer), event)
		}
		replay := audited(log)
		if diff := cmp.Diff(test.want, problems(replay.Findings())); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	log := &logbook{}
	log.write(domain.SubscriptionStream(id), domain.Subscription{}.Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 3}, noon)[0])
	log.write(domain.APIKeysStream(customer), issued)
	want := []audit.Standing{{
		SubscriptionID: id, CustomerID: customer, Licence: "l-audited", Status: domain.StatusActive, Plan: domain.PlanStarter, Limit: 3,
		Overage: domain.OverageContinue, Keys: []audit.HeldKey{{Slot: domain.SlotPrimary, Prefix: "lc_a"}},
	}}
	if diff := cmp.Diff(want, audited(log).Standings()); diff != "" {
		t.Errorf("standings (-want +got):\n%s", diff)
	}
}

// What became of a usage record follows from AWS's answer, and the record from its subscription and hour.
func TestOutcomesAreDecidedAgain(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tamper func(*preparedRecord, domain.UsageRecordKey)
		want   []string
	}{
		"accepted without an answer": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordAccepted{UsageRecordKey: key, Quantity: 3})
		}, []string{"metering@1: KEY is accepted without an answer of AWS, and no operator has said so"}},
		"accepted although it was throttled": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordAccepted{UsageRecordKey: key, Quantity: 3, Outcome: domain.MeteringThrottled})
		}, []string{`metering@1: UsageRecordAccepted does not follow from AWS's answer "throttled" to KEY`}},
		"a repetition accepted that was the first": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordAttempted{UsageRecordKey: key, Attempt: 1}, domain.UsageRecordAccepted{UsageRecordKey: key, Quantity: 3, Outcome: domain.MeteringDuplicate})
		}, []string{`metering@2: UsageRecordAccepted does not follow from AWS's answer "duplicate_record" to KEY`}},
		"written off although it was taken": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordRejected{UsageRecordKey: key, Quantity: 3, Outcome: domain.MeteringSuccess})
		}, []string{`metering@1: UsageRecordRejected does not follow from AWS's answer "success" to KEY`}},
		"quarantined although it was taken": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordQuarantined{UsageRecordKey: key, Quantity: 3, Outcome: domain.MeteringSuccess})
		}, []string{`metering@1: UsageRecordQuarantined does not follow from AWS's answer "success" to KEY`}},
		"carried although it was taken": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageCarriedOver{UsageRecordKey: key, Quantity: 3, Outcome: domain.MeteringSuccess})
		}, []string{`metering@1: UsageCarriedOver does not follow from AWS's answer "success" to KEY`}},
		"deferred although it may be billed": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordDeferred{UsageRecordKey: key, Outcome: domain.MeteringUnknown})
		}, []string{"metering@1: KEY is deferred although the attempt may have been billed"}},
		"deferred although it was taken": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordDeferred{UsageRecordKey: key, Outcome: domain.MeteringSuccess})
		}, []string{`metering@1: UsageRecordDeferred does not follow from AWS's answer "success" to KEY`}},
		"an attempt left out": {func(r *preparedRecord, key domain.UsageRecordKey) {
			r.write(domain.UsageRecordAttempted{UsageRecordKey: key, Attempt: 2})
		}, []string{"metering@1: it is attempt 2 of KEY; the log holds 0"}},
	} {
		l := newMeteredLog(t)
		l.call(3)
		l.seal(noon)
		r := l.prepare(noon, 3)
		test.tamper(r, r.state.UsageRecordKey)
		got := problems(audited(&l.logbook).Findings())
		for i := range got {
			got[i] = strings.ReplaceAll(got[i], r.state.Stream(), "KEY")
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// In the hour of a return a record is stamped within the new agreement; before the return is known, by the start alone.
func TestRecordsOfAReturnAreStamped(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		stamp time.Duration // in the hour
		found int
	}{
		"as the return makes it": {20 * time.Minute, 0}, "as the start makes it": {0, 0}, "as neither does": {10 * time.Minute, 1},
	} {
		l := newMeteredLog(t)
		l.call(3)
		l.at = noon.Add(10 * time.Minute)
		l.change(domain.SubscriptionEnded{SubscriptionID: l.id, Reason: "cancelled", EndedAt: l.at})
		l.at = noon.Add(20 * time.Minute)
		l.change(domain.SubscriptionReinstated{SubscriptionID: l.id, Why: "a new agreement", ReinstatedAt: l.at})
		l.seal(noon)
		if r := l.prepare(noon, 3); !r.state.Timestamp.Equal(noon.Add(20 * time.Minute)) {
			t.Errorf("the record is stamped %s", r.state.Timestamp)
		}
		prepared := &l.events[len(l.events)-1]
		event, _ := prepared.Event.(domain.UsageRecordPrepared)
		event.Timestamp = noon.Add(test.stamp)
		event.Deadline = domain.UsageDeadline(event.Timestamp)
		prepared.Event = event
		got := slices.DeleteFunc(problems(audited(&l.logbook).Findings()), func(p string) bool { return !strings.Contains(p, "is stamped") })
		if len(got) != test.found {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// A record is for the licence of its subscription, under the id, time and deadline that its hour gives.
func TestRecordsAreIdentified(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		tamper func(*domain.UsageRecordPrepared)
		want   string
	}{
		"another licence":  {func(e *domain.UsageRecordPrepared) { e.LicenseARN = "l-other" }, "is for another licence or product than the subscription's"},
		"another account":  {func(e *domain.UsageRecordPrepared) { e.AWSAccountID = "1" }, "is for another licence or product than the subscription's"},
		"another product":  {func(e *domain.UsageRecordPrepared) { e.ProductCode = "other" }, "is for another licence or product than the subscription's"},
		"another customer": {func(e *domain.UsageRecordPrepared) { e.CustomerIdentifier = "other" }, "is for another licence or product than the subscription's"},
		"another time":     {func(e *domain.UsageRecordPrepared) { e.Timestamp = e.Timestamp.Add(time.Second) }, "is stamped 2026-11-22T12:00:01Z"},
		"another deadline": {func(e *domain.UsageRecordPrepared) { e.Deadline = e.Deadline.Add(time.Second) }, "to be sent before 2026-11-23T12:00:01Z"},
		"another id":       {func(e *domain.UsageRecordPrepared) { e.RecordID = uuid.Max }, "or under another id"},
	} {
		l := newMeteredLog(t)
		l.call(3)
		l.seal(noon)
		l.prepare(noon, 3)
		prepared := &l.events[len(l.events)-1]
		event, _ := prepared.Event.(domain.UsageRecordPrepared)
		test.tamper(&event)
		prepared.Event = event
		if got := problems(audited(&l.logbook).Findings()); len(got) != 1 || !strings.Contains(got[0], test.want) {
			t.Errorf("%s: %v, want %q", name, got, test.want)
		}
	}
	l := newMeteredLog(t)
	l.write(domain.SealedHoursStream(domain.MonthOf(noon).Next()), domain.HourSealed{Hour: noon})
	want := []string{"sealedhours@0: hour 2026112212 is sealed outside its stream sealedhours-202611"}
	if diff := cmp.Diff(want, problems(audited(&l.logbook).Findings())); diff != "" {
		t.Errorf("an hour of another month (-want +got):\n%s", diff)
	}
}

// The metered hours, with what became of each.
func TestHoursAreListed(t *testing.T) {
	t.Parallel()
	l := newMeteredLog(t)
	l.call(3)
	l.seal(noon)
	l.prepare(noon, 3).attempt(domain.MeteringSuccess)
	l.call(2)
	want := []audit.Hour{
		{SubscriptionID: l.id, Hour: noon, Plan: domain.PlanStarter, Counted: 3, Status: domain.RecordAccepted, Quantity: 3, Attempts: 1, MeteringRecordID: "aws-2026112212"},
		{SubscriptionID: l.id, Hour: noon.Add(time.Hour), Plan: domain.PlanStarter, Counted: 2},
	}
	if diff := cmp.Diff(want, audited(&l.logbook).Hours()); diff != "" {
		t.Errorf("hours (-want +got):\n%s", diff)
	}
}

// A call may be decided on a state that was just changed, however long its append then took on a node that was frozen or whose
// store's clock stepped on; not on one that had been changed long before it was judged.
func TestCallsOnAStateOfLongBefore(t *testing.T) {
	t.Parallel()
	stopped := func(l *meteredLog) domain.Event {
		return domain.OverageSwitched{SubscriptionID: l.id, From: domain.OverageContinue, To: domain.OverageStop}
	}
	ended := func(l *meteredLog) domain.Event { return domain.SubscriptionEnded{SubscriptionID: l.id} }
	for name, test := range map[string]struct {
		change   func(*meteredLog) domain.Event
		judged   time.Duration // behind the change
		recorded time.Duration
		sealed   bool // up to the call
		late     bool
	}{
		"at once":                               {stopped, 200 * time.Millisecond, 300 * time.Millisecond, false, false},
		"before, by a slow append":              {stopped, -time.Second, 20 * time.Second, false, false},
		"before, by a node that was frozen":     {stopped, 200 * time.Millisecond, 20 * time.Hour, true, false},
		"before the store's clock stepped on":   {stopped, 200 * time.Millisecond, 400 * 24 * time.Hour, false, false},
		"by a node whose clock is ahead":        {stopped, 3 * time.Hour, time.Second, false, false},
		"before the store's clock stepped back": {stopped, 200 * time.Millisecond, -3 * time.Hour, false, false},
		"a day after the switch":                {stopped, 24 * time.Hour, 24 * time.Hour, false, true},
		"a month after the end":                 {ended, 30 * 24 * time.Hour, 30 * 24 * time.Hour, false, true},
		"a week late, and dated back":           {stopped, -time.Second, 7 * 24 * time.Hour, true, true},
	} {
		l := newMeteredLog(t)
		l.call(2)
		before, revision := l.state, l.revisions[domain.SubscriptionStream(l.id)]-1
		l.change(test.change(l))
		changed := l.at
		if test.sealed {
			l.seal(changed.Add(test.recorded - 2*time.Hour).Truncate(time.Hour))
		}
		l.at = changed.Add(test.recorded)
		if month := domain.MonthOf(changed.Add(test.judged)); month != l.usage.Month {
			l.usage = domain.UsageMonth{Month: month}
		}
		event, err := l.usage.Count(before, revision, domain.Check{ID: uuid.New(), At: changed.Add(test.judged)})
		if err != nil {
			t.Fatal(err)
		}
		l.write(domain.UsageStream(l.id, l.usage.Month), event)
		found := problems(audited(&l.logbook).Findings())
		if late := len(found) == 1 && strings.Contains(found[0], "it was decided on revision 0 of the subscription, which had changed "); late != test.late ||
			!late && len(found) > 0 {
			t.Errorf("%s: %v", name, found)
		}
	}
}
