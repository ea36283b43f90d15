package awssim_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/awssim"
)

// event is the part of an EventBridge event that the tests look at.
type event struct {
	ID         string
	DetailType string `json:"detail-type"`
	Source     string
	Detail     struct {
		Agreement struct{ ID, Status, Intent, PreviousAgreementID string }
		License   struct{ ARN string }
		Acceptor  struct{ AccountID string }
		Product   struct{ Code string }
	}
}

// drain receives and deletes all events that are in the queue.
func (w *world) drain(t *testing.T) (events []event) {
	t.Helper()
	found, err := w.sqs.GetQueueUrl(t.Context(), &awssqs.GetQueueUrlInput{QueueName: aws.String("marketplace-events")})
	if err != nil {
		t.Fatal(err)
	}
	for {
		list := w.receive(t, *found.QueueUrl, 0)
		if len(list) == 0 {
			return events
		}
		for _, m := range list {
			var e event
			if err := json.Unmarshal([]byte(*m.Body), &e); err != nil {
				t.Fatal(err)
			}
			events = append(events, e)
			if _, err := w.sqs.DeleteMessage(t.Context(), &awssqs.DeleteMessageInput{QueueUrl: found.QueueUrl, ReceiptHandle: m.ReceiptHandle}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func typesOf(events []event) (list []string) {
	for _, e := range events {
		list = append(list, fmt.Sprintf("%s %s", e.DetailType, e.Detail.Agreement.Status))
	}
	return list
}

func TestEventsOfALife(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	events := w.drain(t)
	if diff := cmp.Diff([]string{"Purchase Agreement Created - Proposer PENDING", "License Updated - Manufacturer "}, typesOf(events)); diff != "" {
		t.Error(diff)
	}
	license := events[1].Detail
	if events[1].Source != "aws.agreement-marketplace" || license.Agreement.ID != a.ID || license.Acceptor.AccountID != a.AccountID || license.Product.Code != productCode ||
		!strings.HasSuffix(a.LicenseARN, license.License.ARN) || strings.HasPrefix(license.License.ARN, "arn:") {
		t.Errorf("licence event %+v of %+v", events[1], a)
	}

	renewed, err := w.sim.Renew(t.Context(), a.ID, awssim.Successor{})
	if err != nil {
		t.Fatal(err)
	}
	events = w.drain(t)
	if diff := cmp.Diff([]string{"Purchase Agreement Created - Proposer ACTIVE", "License Updated - Manufacturer ", "Purchase Agreement Ended - Proposer RENEWED"}, typesOf(events)); diff != "" {
		t.Error(diff)
	}
	if got := events[0].Detail.Agreement; got.Intent != "RENEW" || got.PreviousAgreementID != a.ID {
		t.Errorf("renewal %+v", got)
	}
	if _, err := w.sim.Cancel(t.Context(), renewed.ID); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Purchase Agreement Ended - Proposer CANCELLED", "License Deprovisioned - Manufacturer "}, typesOf(w.drain(t))); diff != "" {
		t.Error(diff)
	}
}

func TestDeliveryOfEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	deliver := func(how awssim.EventDelivery) {
		t.Helper()
		if err := w.sim.SetSwitches(awssim.Switches{EventDelivery: how}); err != nil {
			t.Fatal(err)
		}
	}
	deliver(awssim.DeliverTwice)
	w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	if events := w.drain(t); len(events) != 4 || events[0].ID != events[1].ID {
		t.Errorf("twice: %+v", events)
	}
	deliver(awssim.DeliverNever)
	w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	if events := w.drain(t); len(events) != 0 {
		t.Errorf("never: %+v", events)
	}
	deliver(awssim.DeliverHeld)
	w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	if events := w.drain(t); len(events) != 0 {
		t.Errorf("held: %+v", events)
	}
	if n, err := w.sim.ReleaseEvents(t.Context(), true); err != nil || n != 2 {
		t.Errorf("released %d, %v", n, err)
	}
	if diff := cmp.Diff([]string{"License Updated - Manufacturer ", "Purchase Agreement Created - Proposer PENDING"}, typesOf(w.drain(t))); diff != "" {
		t.Error(diff)
	}
	if err := w.sim.SetSwitches(awssim.Switches{EventDelivery: "maybe"}); err == nil {
		t.Error("an unknown delivery was accepted")
	}
}

func TestLegacyListingNotifiesBySNS(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *awssim.Config) { c.Legacy = true })
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	if _, err := w.sim.Cancel(t.Context(), a.ID); err != nil {
		t.Fatal(err)
	}
	events, err := w.sim.Events(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for i := range events {
		var envelope struct{ Message string }
		var message map[string]string
		if err := json.Unmarshal([]byte(events[len(events)-1-i].Body), &envelope); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(envelope.Message), &message); err != nil {
			t.Fatal(err)
		}
		if message["customer-identifier"] != a.CustomerIdentifier {
			t.Errorf("message %v", message)
		}
		actions = append(actions, message["action"])
	}
	want := []string{"subscribe-success", "entitlement-updated", "unsubscribe-pending", "unsubscribe-success", "entitlement-updated"}
	if diff := cmp.Diff(want, actions); diff != "" {
		t.Error(diff)
	}
}
