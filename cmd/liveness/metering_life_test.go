package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/lease"
)

// types returns the types of a stream's events.
func (w *meteredWorld) types(stream string) []string {
	w.t.Helper()
	page, err := w.store.Read(w.t.Context(), stream, 0, 100)
	w.must(err)
	var types []string
	for _, r := range page {
		types = append(types, r.Event.EventType())
	}
	return types
}

// messages returns what the marketplace has told of an agreement, oldest first.
func (w *meteredWorld) messages(agreements ...string) (bodies []string) {
	w.t.Helper()
	events, err := w.sim.Events(w.t.Context(), 1000)
	w.must(err)
	for _, event := range slices.Backward(events) {
		for _, id := range agreements {
			if event.Agreement == id {
				bodies = append(bodies, event.Body)
			}
		}
	}
	return bodies
}

func (w *meteredWorld) takeAll(r *reporting, bodies ...string) {
	w.t.Helper()
	for _, body := range bodies {
		if err := take(w.t, r, body); err != nil {
			w.t.Fatalf("%v: %s", err, body)
		}
		w.settle()
	}
}

func reversed(list []string) []string {
	var back []string
	for _, text := range slices.Backward(list) {
		back = append(back, text)
	}
	return back
}

// TestLifeOfASubscription: whatever the marketplace tells, in whichever order and however often, the subscription follows
// what AWS says of its entitlement.
func TestLifeOfASubscription(t *testing.T) {
	t.Parallel()
	const started, linked, changed, renewed, ended = "SubscriptionStarted", "AgreementLinked", "PlanChanged", "SubscriptionRenewed", "SubscriptionEnded"
	w := newMeteredWorld(t, time.Date(2026, 11, 3, 10, 20, 0, 0, time.UTC), 10)
	r := w.reporting()
	cancel := func(a awssim.Agreement) []string {
		_, err := w.sim.Cancel(t.Context(), a.ID)
		w.must(err)
		return w.messages(a.ID)
	}
	for name, tt := range map[string]struct {
		messages func(a awssim.Agreement) []string
		want     []string
	}{
		"the start":        {func(a awssim.Agreement) []string { return w.messages(a.ID) }, []string{started, linked}},
		"the start, twice": {func(a awssim.Agreement) []string { return append(w.messages(a.ID), w.messages(a.ID)...) }, []string{started, linked}},
		"another plan": {func(a awssim.Agreement) []string {
			_, err := w.sim.ChangePlan(t.Context(), a.ID, "standard", 0)
			w.must(err)
			return w.messages(a.ID)
		}, []string{started, changed, linked}},
		"a renewal": {func(a awssim.Agreement) []string {
			before := w.messages(a.ID)
			w.clock.set(w.clock.now().Add(time.Minute))
			next, err := w.sim.Renew(t.Context(), a.ID, awssim.Successor{})
			w.must(err)
			w.takeAll(r, before...)
			return w.messages(a.ID, next.ID)[len(before):]
		}, []string{started, renewed, linked, linked}},
		"a replacement by another plan": {func(a awssim.Agreement) []string {
			next, err := w.sim.Replace(t.Context(), a.ID, awssim.Successor{Plan: "standard"})
			w.must(err)
			return w.messages(a.ID, next.ID)
		}, []string{started, changed, linked, linked}},
		"the end":                       {cancel, []string{started, ended}},
		"the end, twice":                {func(a awssim.Agreement) []string { return append(cancel(a), w.messages(a.ID)...) }, []string{started, ended}},
		"everything the wrong way":      {func(a awssim.Agreement) []string { return reversed(cancel(a)) }, []string{started, ended}},
		"the start after the end":       {func(a awssim.Agreement) []string { m := cancel(a); return append(m[2:], m[:2]...) }, []string{started, ended}},
		"nothing but the licence's end": {func(a awssim.Agreement) []string { m := cancel(a); return m[len(m)-1:] }, []string{started, ended}},
	} {
		t.Run(name, func(t *testing.T) {
			c := w.subscribe("starter")
			w.takeAll(r, tt.messages(c.agreement)...)
			got := w.types(domain.SubscriptionStream(c.subscription.ID))
			if !sameTypes(tt.want, got) {
				t.Errorf("the subscription went through %v, want %v", got, tt.want)
			}
		})
	}
	t.Run("before the registration", func(t *testing.T) {
		agreement, err := w.sim.Subscribe(t.Context(), awssim.SubscribeRequest{Plan: "standard"})
		w.must(err)
		w.takeAll(r, w.messages(agreement.ID)...)
		c := w.register(agreement)
		if c.subscription.Plan != domain.PlanStandard || c.subscription.Marketplace.DisplayID() != agreement.ID {
			t.Errorf("registered as %+v", c.subscription)
		}
	})
	t.Run("ended before the registration", func(t *testing.T) {
		agreement, err := w.sim.Subscribe(t.Context(), awssim.SubscribeRequest{Plan: "standard"})
		w.must(err)
		w.takeAll(r, cancel(agreement)...)
		if got := w.types(domain.SubscriptionStream(domain.SubscriptionIDForLicence(agreement.LicenseARN))); len(got) > 0 {
			t.Errorf("a subscription nobody registered went through %v", got)
		}
	})
	t.Run("no message at all", func(t *testing.T) {
		c := w.subscribe("starter")
		w.settle()
		cancel(c.agreement)
		for range 2 {
			w.must(r.sync.ReconcileEntitlements(t.Context()))
		}
		if got := w.types(domain.SubscriptionStream(c.subscription.ID)); !sameTypes([]string{started, ended}, got) {
			t.Errorf("the subscription went through %v", got)
		}
	})
	t.Run("AWS is down", func(t *testing.T) {
		c := w.subscribe("starter")
		_, err := w.sim.ChangePlan(t.Context(), c.agreement.ID, "standard", 0)
		w.must(err)
		messages := w.messages(c.agreement.ID)
		last := messages[len(messages)-1]
		w.aws.split()
		if err := take(t, r, last); err == nil || errors.Is(err, notifications.ErrDeadLetter) {
			t.Errorf("a message is done with while AWS cannot be asked: %v", err)
		}
		w.aws.mend()
		w.takeAll(r, last)
		if got := w.types(domain.SubscriptionStream(c.subscription.ID)); !sameTypes([]string{started, changed, linked}, got) {
			t.Errorf("the subscription went through %v", got)
		}
		messages = cancel(c.agreement)
		w.aws.split()
		w.takeAll(r, messages[len(messages)-1])
		w.aws.mend()
		if got := w.types(domain.SubscriptionStream(c.subscription.ID)); !sameTypes([]string{started, changed, linked, ended}, got) {
			t.Errorf("an announced end waits for AWS: %v", got)
		}
	})
	t.Run("the entitlement is listed for a while after the end", func(t *testing.T) {
		w.must(w.sim.SetSwitches(awssim.Switches{EventDelivery: awssim.DeliverOnce, LateDeprovisioning: true}))
		defer func() { w.must(w.sim.SetSwitches(awssim.Switches{EventDelivery: awssim.DeliverOnce})) }()
		c := w.subscribe("starter")
		w.takeAll(r, w.messages(c.agreement.ID)...)
		begun := w.messages(c.agreement.ID)
		messages := cancel(c.agreement)
		w.takeAll(r, append(messages[len(messages)-1:], begun...)...)
		for range 3 {
			w.must(r.sync.ReconcileEntitlements(t.Context()))
		}
		_, err := w.sim.Deprovision(t.Context(), c.agreement.ID)
		w.must(err)
		w.takeAll(r, w.messages(c.agreement.ID)...)
		if got := w.types(domain.SubscriptionStream(c.subscription.ID)); !sameTypes([]string{started, linked, ended}, got) {
			t.Errorf("the subscription went through %v", got)
		}
	})
	t.Run("a contract that AWS confirms after the registration", func(t *testing.T) {
		agreement, err := w.sim.Subscribe(t.Context(), awssim.SubscribeRequest{Plan: "starter", Pending: true})
		w.must(err)
		w.takeAll(r, w.messages(agreement.ID)...)
		c := w.register(agreement)
		_, err = w.sim.Activate(t.Context(), agreement.ID)
		w.must(err)
		w.takeAll(r, w.messages(agreement.ID)...)
		if got := w.types(domain.SubscriptionStream(c.subscription.ID)); !sameTypes([]string{"SubscriptionScheduled", started, linked}, got) {
			t.Errorf("the subscription went through %v", got)
		}
	})
	t.Run("a contract that starts later", func(t *testing.T) {
		startsAt := w.clock.now().Add(48 * time.Hour)
		agreement, err := w.sim.Subscribe(t.Context(), awssim.SubscribeRequest{Plan: "standard", StartsAt: startsAt})
		w.must(err)
		w.takeAll(r, w.messages(agreement.ID)...)
		c := w.register(agreement)
		if c.subscription.Status != domain.StatusScheduled || !c.subscription.StartsAt.Equal(startsAt) {
			t.Errorf("registered as %+v", c.subscription)
		}
		w.settle()
		w.must(r.sync.StartScheduledSubscriptions(t.Context()))
		w.must(r.sync.ReconcileEntitlements(t.Context()))
		w.clock.set(startsAt)
		w.must(r.sync.StartScheduledSubscriptions(t.Context()))
		if got := w.types(domain.SubscriptionStream(c.subscription.ID)); !sameTypes([]string{"SubscriptionScheduled", started}, got) {
			t.Errorf("the subscription went through %v", got)
		}
	})
	t.Run("unknown, foreign and malformed messages", func(t *testing.T) {
		c := w.subscribe("starter")
		news := `{"id":"n-1","detail-type":"Renewal Upcoming - Proposer","source":"aws.agreement-marketplace","time":"2026-11-03T10:00:00Z","detail":{"agreement":{"id":"` + c.agreement.ID + `"}}}`
		w.takeAll(r, news, news)
		if got := w.types(domain.NotificationStream(c.agreement.ID)); !sameTypes([]string{"MarketplaceNotified"}, got) {
			t.Errorf("an unknown message is kept as %v", got)
		}
		w.takeAll(r, strings.ReplaceAll(`{"id":"n-2","detail-type":"License Deprovisioned - Manufacturer","source":"aws.agreement-marketplace","time":"2026-11-03T10:00:00Z",
			"detail":{"product":{"code":"another"},"license":{"arn":"LICENSE"}}}`, "LICENSE", c.agreement.LicenseARN))
		if got := w.types(domain.SubscriptionStream(c.subscription.ID)); !sameTypes([]string{started}, got) {
			t.Errorf("another product's message led to %v", got)
		}
		for _, body := range []string{"", "{", "[]", `{"source":"aws.ec2","id":"1","detail-type":"x"}`, `"text"`} {
			if err := take(t, r, body); !errors.Is(err, notifications.ErrDeadLetter) {
				t.Errorf("%q is not a dead letter: %v", body, err)
			}
		}
	})
}

func sameTypes(want, got []string) bool { return cmp.Equal(want, got) }

// TestLastHourArrivesBeforeTheEnd: through the queue, as it runs: a buyer unsubscribes, the hour so far reaches AWS within
// seconds, and calls are refused; also while AWS lists the entitlement still. Nothing goes to the dead-letter queue but what is
// no message.
func TestLastHourArrivesBeforeTheEnd(t *testing.T) {
	t.Parallel()
	for name, late := range map[string]bool{"deprovisioned at once": false, "deprovisioned later": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lastHourArrives(t, late)
		})
	}
}

func lastHourArrives(t *testing.T, late bool) {
	w := newMeteredWorld(t, time.Now().UTC().Truncate(time.Hour).Add(20*time.Minute), 10)
	w.must(w.sim.SetSwitches(awssim.Switches{EventDelivery: awssim.DeliverTwice, LateDeprovisioning: late}))
	c := w.subscribe("starter")
	w.check(c, 14)
	w.settle()

	ctx, stop := context.WithCancel(t.Context())
	r := w.reporting()
	leases := lease.NewSession(w.pool, turnRetry, slog.New(slog.DiscardHandler))
	defer leases.Close(t.Context())
	r.metering, r.turns, r.every = w.worker(0), lease.NewLeader(leases, "usage reporting"), 10*time.Millisecond
	r.checks = lease.NewLeader(leases, "entitlement comparison")
	var err error
	r.consumer, err = notifications.NewConsumer(w.settings, notifications.Settings{QueueName: devQueue, DeadLetterName: devQueue + "-dead", Wait: time.Second}, w.log)
	w.must(err)
	done := make(chan error, 1)
	go func() {
		done <- runAll(ctx, r.run, func(ctx context.Context) error {
			leases.Watch(ctx)
			return nil
		})
	}()
	defer func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()

	w.must(w.sim.PutEvent(t.Context(), "this is no message"))
	_, err = w.sim.Cancel(t.Context(), c.agreement.ID)
	w.must(err)
	eventually(t, "the end", func() error {
		w.clock.set(w.clock.now().Add(time.Second)) // the clock of this world stands still otherwise
		records, err := w.sim.Records(t.Context(), awssim.RecordFilter{LicenseARN: c.agreement.LicenseARN})
		if err != nil || len(records) == 0 {
			return errors.Join(err, errors.New("AWS has no record"))
		}
		if records[0].Quantity != 4 {
			t.Fatalf("AWS bills %d calls, 4 were made beyond the plan", records[0].Quantity)
		}
		return nil
	})
	counter := counting.NewUsageCounter(w.store, projections.NewUsage(w.pool), w.clock.now, w.log)
	defer counter.Close()
	if _, err := counter.Begin(t.Context(), counting.KeyOwner{SubscriptionID: c.subscription.ID}, ""); !errors.Is(err, domain.ErrSubscriptionInactive) {
		t.Errorf("a call after the end: %v", err)
	}
	var sealed domain.SubscriptionUsageSealed
	last, found, err := w.store.ReadLast(t.Context(), domain.UsageEndStream(c.subscription.ID))
	w.must(err)
	if found {
		sealed, _ = last.Event.(domain.SubscriptionUsageSealed)
	}
	if sealed.SubscriptionID != c.subscription.ID {
		t.Error("the subscription's usage is not sealed")
	}
	eventually(t, "the outcome", func() error {
		windows, err := w.model.Windows(t.Context(), uuid.Nil, time.Time{}, 10)
		if err != nil || len(windows) != 1 || windows[0].State != domain.RecordAccepted {
			text, _ := json.Marshal(windows)
			return errors.Join(err, errors.New(string(text)))
		}
		return nil
	})
	if report := w.audit(); len(report.Findings) > 0 {
		t.Errorf("differences: %+v", report.Findings)
	}
	eventually(t, "an empty queue", func() error {
		if left := w.queued(devQueue); left != 0 {
			return fmt.Errorf("%d messages are left", left)
		}
		return nil
	})
	if dead := w.queued(devQueue + "-dead"); dead != 1 {
		t.Errorf("%d messages are dead letters, want the one that is no message", dead)
	}
}

// queued counts the messages of a queue, visible or not.
func (w *meteredWorld) queued(queue string) int {
	w.t.Helper()
	client := sqs.NewFromConfig(w.settings)
	url, err := client.GetQueueUrl(w.t.Context(), &sqs.GetQueueUrlInput{QueueName: aws.String(queue)})
	w.must(err)
	out, err := client.GetQueueAttributes(w.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: url.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{sqstypes.QueueAttributeNameAll},
	})
	w.must(err)
	var visible, hidden int
	_, err = fmt.Sscan(out.Attributes["ApproximateNumberOfMessages"]+" "+out.Attributes["ApproximateNumberOfMessagesNotVisible"], &visible, &hidden)
	w.must(err)
	return visible + hidden
}
