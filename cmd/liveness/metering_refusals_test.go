package main

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// states returns the status of the newest record of each customer.
func (w *meteredWorld) states() map[uuid.UUID]domain.UsageRecordStatus {
	w.t.Helper()
	w.settle()
	windows, err := w.model.Windows(w.t.Context(), uuid.Nil, time.Time{}, 1000)
	w.must(err)
	states := map[uuid.UUID]domain.UsageRecordStatus{}
	for _, window := range slices.Backward(windows) {
		states[window.SubscriptionID] = window.State
	}
	return states
}

// step lets a worker do what it can until nothing is left to do for some minutes.
func (w *meteredWorld) step(manager *metering.ProcessManager) {
	w.t.Helper()
	for limit := w.clock.now().Add(3 * time.Minute); ; {
		next, err := manager.Step(w.t.Context())
		w.must(err)
		if next.IsZero() || next.After(limit) {
			return
		}
		w.clock.set(maxTime(next, w.clock.now().Add(time.Second)))
	}
}

var refusalsHour = time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)

// meteredHour is a world in which five customers have called beyond their plans, at the end of the hour.
func meteredHour(t *testing.T, change ...func(*awssim.Config)) *meteredWorld {
	t.Helper()
	w := newMeteredWorld(t, refusalsHour.Add(5*time.Minute), 10, change...)
	for range 5 {
		w.check(w.subscribe("starter"), 13)
	}
	w.clock.set(refusalsHour.Add(time.Hour + time.Minute))
	return w
}

func TestOneBadRecordDoesNotHoldTheOthers(t *testing.T) {
	t.Parallel()
	w := meteredHour(t)
	w.clock.set(refusalsHour.Add(30 * time.Minute))
	strange, err := w.subscriptions().StartSubscription(t.Context(), subscriptions.StartSubscription{
		By:       commands.NewOrigin(domain.ActorBuyer),
		Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:us-east-1:1:license:l-unknown", ProductCode: devProductCode},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 10},
	})
	w.must(err)
	w.check(&meteredCustomer{subscription: strange.State, revision: commands.NoStream}, 12)
	w.clock.set(refusalsHour.Add(time.Hour + time.Minute))
	w.step(w.worker(0))
	states := w.states()
	for _, c := range w.customers {
		if states[c.subscription.ID] != domain.RecordAccepted {
			t.Errorf("a good record is %s", states[c.subscription.ID])
		}
	}
	if got := states[strange.State.ID]; got != domain.RecordQuarantined {
		t.Errorf("the bad record is %s", got)
	}
	if report := w.audit(); len(report.Findings) > 0 || report.Quarantined != 1 {
		t.Errorf("report: %+v", report)
	}
}

// TestThrottledMeteringReportsEachRecordOnce: more calls than AWS takes in a second wait for the next ones.
func TestThrottledMeteringReportsEachRecordOnce(t *testing.T) {
	t.Parallel()
	w := newMeteredWorld(t, refusalsHour.Add(5*time.Minute), 10, func(c *awssim.Config) { c.MeteringRate = 2 })
	for range 8 {
		w.subscribe("starter")
	}
	const hours = 20
	for n := range hours {
		for i, c := range w.customers {
			w.check(c, 11+i)
		}
		w.clock.set(refusalsHour.Add(time.Duration(n+1)*time.Hour + time.Minute))
	}
	begun := w.clock.now()
	w.step(w.worker(0))
	records, err := w.sim.Records(t.Context(), awssim.RecordFilter{})
	w.must(err)
	for _, r := range records {
		if r.Repeats+r.Conflicts > 0 {
			t.Errorf("sent again: %+v", r)
		}
	}
	enough := (hours*len(w.customers) + metering.MaxUsageBatch - 1) / metering.MaxUsageBatch
	calls := w.sim.Calls()["metering.BatchMeterUsage"].Calls
	if len(records) != hours*len(w.customers) || calls <= enough {
		t.Errorf("AWS holds %d records of %d calls", len(records), calls)
	}
	t.Logf("%d records in %d calls and %s", len(records), calls, w.clock.now().Sub(begun))
	if report := w.audit(); len(report.Findings) > 0 || report.Accepted != int64(len(records)) {
		t.Errorf("report: %+v", report)
	}
}

func TestRefusedAccessPausesMetering(t *testing.T) {
	t.Parallel()
	w := meteredHour(t)
	fault, err := w.sim.SetFault(awssim.Fault{Service: "metering", Kind: awssim.FaultException, Code: "DisabledApiException"})
	w.must(err)
	worker := w.worker(0)
	w.step(worker)
	if calls := w.sim.Calls()["metering.BatchMeterUsage"].Calls; calls != 1 {
		t.Errorf("AWS was called %d times although it allows nothing", calls)
	}
	w.sim.ClearFault(fault.ID)
	w.clock.set(w.clock.now().Add(10 * time.Minute))
	w.step(worker)
	if report := w.audit(); len(report.Findings) > 0 || report.Accepted != 5 {
		t.Errorf("report: %+v", report)
	}
}

func TestAnotherWritersRecordIsNotTakenForOurs(t *testing.T) {
	t.Parallel()
	w := meteredHour(t)
	c := w.customers[0]
	stamp, err := domain.UsageTimestamp(refusalsHour, c.subscription.StartedAt)
	w.must(err)
	_, err = w.buying.MeterUsage(t.Context(), []metering.UsageReport{{Identity: c.subscription.Marketplace, Dimension: "starter_over", Quantity: 99, Timestamp: stamp}})
	w.must(err)
	w.step(w.worker(0))
	if got := w.states()[c.subscription.ID]; got != domain.RecordRejected {
		t.Errorf("the record is %s", got)
	}
	report := w.audit()
	stream := domain.MeteringStream(c.subscription.ID, refusalsHour, "starter_over")
	if want := stream + ": AWS bills 99, the record says "; len(report.Findings) != 1 || !strings.HasPrefix(report.Findings[0].Problem, want) || report.Accepted != 4 {
		t.Errorf("the audit does not show the foreign record, want %q: %+v", want, report)
	}
}

func TestCallBehindTheEndIsWrittenOff(t *testing.T) {
	t.Parallel()
	w := meteredHour(t)
	c := w.customers[0]
	_, err := w.sim.Cancel(t.Context(), c.agreement.ID)
	w.must(err)
	w.takeAll(w.reporting(), w.messages(c.agreement.ID)...)
	w.clock.set(w.clock.now().Add(5 * time.Second))
	w.step(w.worker(0))
	w.check(c, 1) // decided before the end was known, and slow
	report := w.audit()
	health, err := w.model.Health(t.Context())
	if err != nil || len(report.Findings) > 0 || health.LateCalls != 1 {
		t.Errorf("report: %+v, %+v, %v", report, health, err)
	}
	for _, a := range report.Accounts {
		if a.SubscriptionID == c.subscription.ID && (a.Counted != 4 || a.Accepted != 3 || a.WrittenOff != 1) {
			t.Errorf("account: %+v", a)
		}
	}
}

func TestHoursWithoutUsageAreReportedOnRequest(t *testing.T) {
	t.Parallel()
	w := meteredHour(t)
	idle := w.subscribe("standard")
	w.settle()
	config := w.meteringConfig()
	config.ZeroHours = true
	manager := w.metering(config)
	w.step(manager)
	w.clock.set(refusalsHour.Add(2*time.Hour + time.Minute))
	w.step(manager)
	records, err := w.sim.Records(t.Context(), awssim.RecordFilter{LicenseARN: idle.agreement.LicenseARN})
	if err != nil || len(records) != 1 || records[0].Quantity != 0 || records[0].Dimension != "standard_over" {
		t.Errorf("AWS holds %+v, %v", records, err)
	}
	if report := w.audit(); len(report.Findings) > 0 {
		t.Errorf("findings: %+v", report.Findings)
	}
}

// TestLegacyListing: buyers are named by customer identifier and product code, and messages come through SNS.
func TestLegacyListing(t *testing.T) {
	t.Parallel()
	w := meteredHour(t, func(c *awssim.Config) { c.Legacy = true })
	config := w.meteringConfig()
	config.Legacy = true
	manager := w.metering(config)
	c := w.customers[0]
	_, err := w.sim.Cancel(t.Context(), c.agreement.ID)
	w.must(err)
	w.settle()
	w.takeAll(w.reporting(), w.messages(c.agreement.ID)...)
	subscription, err := w.subscriptions().Subscription(t.Context(), c.subscription.ID)
	if err != nil || subscription.Status != domain.StatusEnded {
		t.Errorf("after the messages of SNS the subscription is %q, %v", subscription.Status, err)
	}
	w.clock.set(w.clock.now().Add(5 * time.Second))
	w.step(manager)
	if report := w.audit(); len(report.Findings) > 0 || report.Accepted != 5 {
		t.Errorf("report: %+v", report)
	}
}
