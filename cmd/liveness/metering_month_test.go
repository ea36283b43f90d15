package main

import (
	"cmp"
	"errors"
	"os"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// monthScale is how much of a month is simulated.
type monthScale struct {
	customers, checks, kills int
	limit                    int64 // calls included in the smaller plan
	life                     int   // things a worker that will be killed does on average
	start, end               time.Time
	outages                  []outage
}

// outage is a time in which AWS does not answer: refused connections, broken ones, or server errors.
type outage struct {
	from  time.Time
	hours int
	fault awssim.FaultKind // "" refuses connections
}

func (o outage) at(now time.Time) bool {
	return !now.Before(o.from) && now.Before(o.from.Add(time.Duration(o.hours)*time.Hour))
}

func scaleOfMonth() monthScale {
	day := func(month time.Month, d, hour int) time.Time {
		return time.Date(2026, month, d, hour, 0, 0, 0, time.UTC)
	}
	if os.Getenv("LIVENESS_METERING_MONTH") == "full" {
		return monthScale{
			customers: 200, checks: 500_000, kills: 50, limit: 1_000, life: 2_000, start: day(time.October, 1, 0), end: day(time.November, 2, 0),
			outages: []outage{
				{day(time.October, 12, 3), 9, awssim.FaultUnavailable}, {day(time.October, 20, 9), 30, ""}, {day(time.October, 31, 19), 14, awssim.FaultDrop},
			},
		}
	}
	return monthScale{
		customers: 6, checks: 1_500, kills: 12, limit: 60, life: 60, start: day(time.October, 28, 18), end: day(time.November, 1, 14),
		outages: []outage{{day(time.October, 29, 2), 9, awssim.FaultUnavailable}, {day(time.October, 29, 20), 30, ""}, {day(time.October, 31, 19), 12, awssim.FaultDrop}},
	}
}

// TestMeteredMonth lets a month pass: AWS fails in every fifth call, is down for hours and over the month's end, workers
// are killed between any two things they do, two of them work at once, the log's clock is behind theirs, customers leave, others
// change their plan while somebody acts on an older answer of AWS, and an operator credits calls. In the end every call beyond the
// plans that was not credited in time is billed exactly once, under the plan that AWS listed, and the accounts settle to the call.
// LIVENESS_METERING_MONTH=full takes 200 subscriptions and 500,000 checks through a whole month.
func TestMeteredMonth(t *testing.T) {
	t.Parallel()
	scale := scaleOfMonth()
	begun := time.Now()
	w := newMeteredWorld(t, scale.start, scale.limit)
	for n := range scale.customers {
		w.subscribe([]string{"starter", "starter", "standard"}[n%3])
	}
	for _, f := range []awssim.Fault{
		{Kind: awssim.FaultHang, AfterCommit: true, DelayMS: 5, Percent: 4}, {Kind: awssim.FaultDrop, AfterCommit: true, Percent: 3},
		{Kind: awssim.FaultServerError, AfterCommit: true, Percent: 2}, {Kind: awssim.FaultServerError, Percent: 4},
		{Kind: awssim.FaultThrottle, Percent: 5}, {Kind: awssim.FaultDrop, Percent: 3}, {Kind: awssim.FaultUnprocessed, Percent: 2},
	} {
		f.Service, f.Operation = "metering", "BatchMeterUsage"
		_, err := w.sim.SetFault(f)
		w.must(err)
	}
	m := &monthRun{meteredWorld: w, scale: scale}
	for hour := scale.start; hour.Before(scale.end); hour = hour.Add(time.Hour) {
		m.pass(hour, true)
	}
	w.sim.ClearFault("")
	for n := range 30 { // so that the last carried hours arrive
		m.pass(scale.end.Add(time.Duration(n)*time.Hour), false)
	}
	m.creditLate()
	m.prove(begun)
}

// monthRun is a month under way.
type monthRun struct {
	*meteredWorld
	scale    monthScale
	current  *metering.ProcessManager
	left     int    // customers who have cancelled
	broken   bool   // an outage is in force
	down     string // id of the fault of the outage in force
	made     int
	resolved int
	races    races
}

// pass lets one hour pass.
func (m *monthRun) pass(hour time.Time, busy bool) {
	m.t.Helper()
	m.weather(hour)
	if busy {
		m.callThrough(hour)
		m.credit()
	}
	switch refused := m.aws.server == nil; {
	case busy && !refused && hour.Hour()%3 == 1:
		m.race()
	case refused && hour.Hour()%6 == 0:
		m.compareInTheDark()
	}
	m.clock.set(hour.Add(time.Hour + 20*time.Second))
	m.work(m.clock.now().Add(time.Second))
	if busy && m.random.IntN(4) == 0 { // behind the seal of the hour that it still is by the log's clock
		for _, c := range m.customers {
			if !c.ended {
				m.check(c, 1)
			}
		}
	}
	m.work(hour.Add(2 * time.Hour))
	if hour.Hour() == 9 {
		m.operator()
	}
	if hour.Hour() == 15 && busy {
		m.leave()
	}
}

// weather begins and ends outages, and changes how AWS answers.
func (m *monthRun) weather(hour time.Time) {
	m.t.Helper()
	// AWS documents two answers to an identical repetition, and not how a record is echoed.
	m.must(m.sim.SetSwitches(awssim.Switches{DuplicateOnRepeat: hour.Day()%2 == 0, LooseEcho: hour.Day()%3 == 0, EventDelivery: awssim.DeliverOnce}))
	var now *outage
	for i := range m.scale.outages {
		if m.scale.outages[i].at(hour) {
			now = &m.scale.outages[i]
		}
	}
	m.broken = now != nil
	if now == nil {
		m.aws.mend()
		if m.down != "" {
			m.sim.ClearFault(m.down)
			m.down = ""
		}
		return
	}
	if now.fault == "" {
		m.aws.split()
	} else if m.down == "" {
		// Faults are looked at in the order in which they were set, so the others still happen before this one.
		fault, err := m.sim.SetFault(awssim.Fault{Service: "metering", Operation: "BatchMeterUsage", Kind: now.fault})
		m.must(err)
		m.down = fault.ID
	}
}

// callThrough lets customers call in an hour: some often, some not at all, some in its last instants.
func (m *monthRun) callThrough(hour time.Time) {
	m.t.Helper()
	left := int(m.scale.end.Sub(hour) / time.Hour)
	calls := (m.scale.checks - m.made) / left
	for calls > 0 {
		c := m.customers[m.random.IntN(len(m.customers))]
		n := min(calls, 1+m.random.IntN(8))
		calls -= n
		m.made += n
		if c.ended {
			continue
		}
		m.clock.set(hour.Add(time.Duration(m.random.Int64N(int64(time.Hour)))))
		m.check(c, n)
	}
}

// credit lets an operator credit some calls of a customer now and then, also of one whose agreement has ended.
func (m *monthRun) credit() {
	m.t.Helper()
	if m.random.IntN(4) > 0 {
		return
	}
	c := m.customers[m.random.IntN(len(m.customers))]
	calls := 1 + m.random.Int64N(20)
	_, err := metering.CreditUsage(m.t.Context(), m.executor(), metering.Credit{
		By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: c.subscription.ID, Month: c.usage.Month, Calls: calls, Why: "a wrong charge",
	})
	if errors.Is(err, domain.ErrInvalidRequest) {
		return // so many were not counted
	}
	m.must(err)
	c.credited += calls
}

// creditLate lets an operator credit a call of the month before, after AWS has accepted all of that month.
func (m *monthRun) creditLate() {
	m.t.Helper()
	c := slices.MaxFunc(m.customers, func(a, b *meteredCustomer) int { return cmp.Compare(a.produced, b.produced) })
	_, err := metering.CreditUsage(m.t.Context(), m.executor(), metering.Credit{
		By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: c.subscription.ID, Month: domain.MonthOf(m.scale.start), Calls: 1, Why: "a wrong charge",
	})
	m.must(err)
	c.credited++
}

// work lets a worker do what there is to do before a time. It is killed while kills are left; now and then a second one
// works beside it.
func (m *monthRun) work(until time.Time) {
	m.t.Helper()
	for m.clock.now().Before(until) {
		if m.current == nil {
			things := 0
			if m.kills < m.scale.kills {
				things = 1 + m.random.IntN(2*m.scale.life)
			}
			m.current = m.worker(things)
		}
		if m.random.IntN(20) == 0 {
			m.stepWithSecondWorker()
			continue
		}
		next, err := m.current.Step(m.t.Context())
		switch {
		case errors.Is(err, errKilled):
			m.kills++
			m.current = nil
			m.clock.set(m.clock.now().Add(2 * time.Second))
			continue
		case err != nil:
			m.t.Fatal(err)
		case next.IsZero() || !next.Before(until):
			return
		}
		pause := time.Second
		if m.broken {
			pause = 15 * time.Minute // every probe of the outage would only take time
		}
		m.clock.set(maxTime(next, m.clock.now().Add(pause)))
	}
}

// stepWithSecondWorker lets a second worker make a step at the same time as the first.
func (m *monthRun) stepWithSecondWorker() {
	m.t.Helper()
	second, done := m.worker(0), make(chan error, 1)
	go func() {
		_, err := second.Step(m.t.Context())
		done <- err
	}()
	if _, err := m.current.Step(m.t.Context()); errors.Is(err, errKilled) {
		m.kills++
		m.current = nil
	} else {
		m.must(err)
	}
	m.must(<-done)
}

// operator looks at what is quarantined and decides by AWS's own records, which stand for CloudTrail.
func (m *monthRun) operator() {
	m.t.Helper()
	m.settle()
	windows, err := m.model.Windows(m.t.Context(), uuid.Nil, m.clock.now(), 1_000_000)
	m.must(err)
	for _, window := range windows {
		if window.State != domain.RecordQuarantined {
			continue
		}
		m.resolved++
		key := domain.NewUsageRecordKey(window.SubscriptionID, window.Hour, window.Plan, window.Dimension)
		resolution, id := domain.ResolveCarry, ""
		for _, c := range m.customers {
			if c.subscription.ID != window.SubscriptionID {
				continue
			}
			if c.ended {
				resolution = domain.ResolveWriteOff
			}
			held, err := m.sim.Records(m.t.Context(), awssim.RecordFilter{LicenseARN: c.agreement.LicenseARN, From: window.Hour, To: window.Hour.Add(time.Hour)})
			m.must(err)
			for _, r := range held {
				if r.Dimension == window.Dimension {
					resolution, id = domain.ResolveBilled, r.ID
				}
			}
		}
		_, err := metering.ResolveUsageRecord(m.t.Context(), commands.Executor{Store: m.store, Now: m.clock.now}, metering.ResolveRecord{
			By: commands.NewOrigin(domain.ActorOperator), Key: key, Resolution: resolution, MeteringRecordID: id, Reason: "CloudTrail",
		})
		m.must(err)
	}
}

// leave lets a customer cancel while AWS answers: the hour so far has to arrive at once.
func (m *monthRun) leave() {
	m.t.Helper()
	for _, o := range m.scale.outages {
		if o.at(m.clock.now()) || o.at(m.clock.now().Add(time.Hour)) {
			return
		}
	}
	if m.left >= len(m.customers)/3 {
		return
	}
	m.left++
	c := m.customers[len(m.customers)-m.left]
	m.clock.set(m.clock.now().Add(time.Hour).Truncate(time.Hour).Add(20 * time.Minute))
	m.check(c, 3)
	_, err := m.sim.Cancel(m.t.Context(), c.agreement.ID)
	m.must(err)
	c.ended = true
	messages, err := m.sim.Events(m.t.Context(), 2)
	m.must(err)
	for _, message := range messages { // newest first: in the wrong order
		if err := take(m.t, m.reporting(), message.Body); err != nil {
			m.t.Fatal(err)
		}
	}
	m.settle()
	m.clock.set(m.clock.now().Add(5 * time.Second))
	m.work(m.clock.now().Add(35 * time.Minute))
}

// prove settles the accounts and says what the month came to.
func (m *monthRun) prove(begun time.Time) {
	t := m.t
	t.Helper()
	m.operator()
	m.work(m.clock.now().Add(2 * time.Hour))
	report := m.audit()
	for i, f := range report.Findings {
		if i == 20 {
			t.Errorf("and %d more", len(report.Findings)-i)
			break
		}
		t.Errorf("difference: %+v", f)
	}
	accounts := map[uuid.UUID]audit.Account{}
	var counted, accepted, writtenOff, credited, refunds int64
	for _, a := range report.Accounts {
		accounts[a.SubscriptionID] = a
		counted, accepted, writtenOff = counted+a.Counted, accepted+a.Accepted, writtenOff+a.WrittenOff
		credited, refunds = credited+a.Credited, refunds+a.Refund
	}
	for _, c := range m.customers {
		a := accounts[c.subscription.ID]
		if a.Counted != c.produced || a.Pending != 0 || a.CarriedOpen != 0 || !c.ended && (a.Accepted+a.Credited != c.produced || a.Credited+a.Refund != c.credited) {
			t.Errorf("%s (ended: %v) produced %d and was credited %d: %+v", c, c.ended, c.produced, c.credited, a)
		}
	}
	if m.kills < m.scale.kills {
		t.Errorf("only %d of %d workers were killed", m.kills, m.scale.kills)
	}
	if m.races.comparisons == 0 || m.races.consumers == 0 || m.races.buyers == 0 || m.races.concurrent == 0 || m.races.dark == 0 {
		t.Errorf("too few races to say anything: %+v", m.races)
	}
	if report.Carried == 0 || report.Repeated == 0 || m.left == 0 || credited == 0 || refunds == 0 {
		t.Error("nothing was carried, repeated, credited or to be refunded, or nobody left: the test says nothing about it")
	}
	calls := m.sim.Calls()["metering.BatchMeterUsage"]
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	var usage syscall.Rusage
	m.must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	t.Logf("%d subscriptions, %d of them cancelled, %d checks, %d beyond the plans: %d accepted, %d written off at the end of agreements, %d credited before they were reported, difference %d",
		len(m.customers), m.left, m.made, counted, accepted, writtenOff, credited, counted-accepted-writtenOff-credited)
	t.Logf("%d calls were credited that AWS had accepted before", refunds)
	t.Logf("%d plans were changed while somebody acted on an older answer: %+v", m.races.all(), m.races)
	t.Logf("%d records: %d sent, %d repetitions, %d accepted, %d carried, %d rejected, %d decided by an operator", report.Records, report.Sent, report.Repeated,
		report.Accepted, report.Carried, report.Rejected, m.resolved)
	t.Logf("%d calls reached AWS, %d of them failed; %d workers were killed; %d findings", calls.Calls, calls.Faulted, m.kills, len(report.Findings))
	t.Logf("%s, at most %d MiB of memory, %d MiB in use", time.Since(begun).Round(time.Second), usage.Maxrss>>10, memory.HeapInuse>>20)
}

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
