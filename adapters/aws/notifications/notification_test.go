package notifications_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/aws/notifications"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/domain"
)

func TestParseEventBridge(t *testing.T) {
	t.Parallel()
	const body = `{"version":"0","id":"e-1","detail-type":"License Updated - Manufacturer","source":"aws.agreement-marketplace","account":"111122223333",
		"time":"2026-11-10T13:20:00Z","region":"us-east-1","resources":[],"detail":{"requestId":"r","catalog":"AWSMarketplace","agreement":{"id":"agmt-1"},
		"product":{"code":"n0123","id":"prod-1"},"license":{"arn":"aws:license-manager:us-east-1:294406891311:license:l-7"},"acceptor":{"accountId":"123456789012"},"new":{"field":1}}}`
	got, err := notifications.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	want := domain.MarketplaceEvent{Kind: domain.EntitlementChanged, Message: domain.MarketplaceNotified{
		NotificationID: "e-1", Type: "License Updated", HappenedAt: time.Date(2026, 11, 10, 13, 20, 0, 0, time.UTC),
		AgreementID: "agmt-1", LicenseID: "l-7", ProductCode: "n0123", AWSAccountID: "123456789012",
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		detailType, status string
		want               domain.MarketplaceEventKind
	}{
		{"Purchase Agreement Created - Proposer", "ACTIVE", domain.NothingChanged},
		{"License Updated - Manufacturer", "", domain.EntitlementChanged},
		{"Purchase Agreement Amended - Proposer", "ACTIVE", domain.EntitlementChanged},
		{"Purchase Agreement Ended - Proposer", "CANCELLED", domain.AgreementEnding},
		{"Purchase Agreement Ended - Manufacturer", "EXPIRED", domain.AgreementEnding},
		{"Purchase Agreement Ended - Proposer", "RENEWED", domain.EntitlementChanged},
		{"Purchase Agreement Ended - Proposer", "REPLACED", domain.EntitlementChanged},
		{"License Deprovisioned - Manufacturer", "", domain.LicenceEnded},
		{"Advisory Issued - Proposer", "", domain.NothingChanged},
		{"Something Of Tomorrow", "", domain.NothingChanged},
	} {
		body, err := json.Marshal(map[string]any{"id": "1", "source": "aws.agreement-marketplace", "detail-type": tt.detailType, "detail": map[string]any{"agreement": map[string]string{"status": tt.status}}})
		if err != nil {
			t.Fatal(err)
		}
		if got, err := notifications.Parse(string(body)); err != nil || got.Kind != tt.want {
			t.Errorf("%s %s: %s, %v, want %s", tt.detailType, tt.status, got.Kind, err, tt.want)
		}
	}
}

func TestParseSNS(t *testing.T) {
	t.Parallel()
	for action, want := range map[string]domain.MarketplaceEventKind{
		"subscribe-success": domain.EntitlementChanged, "entitlement-updated": domain.EntitlementChanged, "unsubscribe-pending": domain.AgreementEnding,
		"unsubscribe-success": domain.LicenceEnded, "subscribe-fail": domain.PurchaseRefused, "new-action": domain.NothingChanged,
	} {
		for _, message := range []string{
			`{"action":"` + action + `","customer-identifier":"X01","product-code":"n0123"}`,
			`  {"action": "` + action + `", "customer-identifier": "X01", "product-code": "n0123", "isFreeTrialTermPresent": "true", } `,
		} {
			body, err := json.Marshal(map[string]string{"Type": "Notification", "MessageId": "m-1", "Message": message, "Timestamp": "2026-11-10T13:20:00.123Z"})
			if err != nil {
				t.Fatal(err)
			}
			got, err := notifications.Parse(string(body))
			if err != nil || got.Kind != want || got.Message.NotificationID != "m-1" || got.Message.CustomerIdentifier != "X01" ||
				got.Message.ProductCode != "n0123" || got.Message.HappenedAt.IsZero() {
				t.Errorf("%s: %+v, %v", message, got, err)
			}
		}
	}
}

// An agreement says when its contract starts.
func TestParseStart(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Time{
		`"2026-12-01T00:00:00Z"`: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), `"2026-12-01T02:00:00+02:00"`: time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC),
		`"tomorrow"`: {}, `1796083200`: {}, `null`: {},
	} {
		body := `{"id":"e-1","detail-type":"Purchase Agreement Created - Proposer","source":"aws.agreement-marketplace","time":"2026-11-10T13:20:00Z",
			"detail":{"agreement":{"id":"agmt-1","startTime":` + text + `},"acceptor":{"accountId":"123456789012"}}}`
		if got, err := notifications.Parse(body); err != nil || got.Message.StartsAt != want || got.Message.AWSAccountID != "123456789012" {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
}

// SNS may deliver raw, without its envelope, and EventBridge may deliver through SNS.
func TestEnvelopesMakeNoDifference(t *testing.T) {
	t.Parallel()
	sent := time.Date(2026, 11, 10, 13, 20, 0, 0, time.UTC)
	sns := domain.MarketplaceEvent{Kind: domain.EntitlementChanged, Message: domain.MarketplaceNotified{
		NotificationID: "m-1", Type: "entitlement-updated", CustomerIdentifier: "X01", ProductCode: "n0123", HappenedAt: sent,
	}}
	eventBridge := domain.MarketplaceEvent{Kind: domain.LicenceEnded, Message: domain.MarketplaceNotified{
		NotificationID: "e-1", Type: "License Deprovisioned", LicenseID: "l-7", HappenedAt: sent.Add(-time.Minute),
	}}
	raw := ` {"action":"entitlement-updated","customer-identifier":"X01","product-code":"n0123",} `
	event := `{"id":"e-1","detail-type":"License Deprovisioned - Manufacturer","source":"aws.agreement-marketplace","time":"2026-11-10T13:19:00Z","detail":{"license":{"arn":"a:l-7"}}}`
	wrapped := func(text string) string {
		body, err := json.Marshal(map[string]string{"Type": "Notification", "MessageId": "m-1", "Message": text, "Timestamp": "2026-11-10T13:20:00Z"})
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	for name, c := range map[string]struct {
		body string
		want domain.MarketplaceEvent
	}{
		"SNS in its envelope": {wrapped(raw), sns}, "SNS, raw": {raw, sns},
		"EventBridge": {event, eventBridge}, "EventBridge through SNS": {wrapped(event), eventBridge},
	} {
		var got domain.MarketplaceEvent
		err := notifications.Handler(func(_ context.Context, n domain.MarketplaceEvent) error {
			got = n
			return nil
		})(t.Context(), notifications.Message{ID: "m-1", Body: c.body, SentAt: sent})
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v%s", name, err, diff)
		}
	}
}

func TestMalformed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		"", "null", "[]", "{}", "hello", `{"source":"aws.s3","id":"1","detail-type":"x"}`, `{"source":"aws.agreement-marketplace"}`,
		`{"source":"aws.agreement-marketplace","id":"1","detail-type":"x","time":"yesterday"}`, `{"Type":"Notification","MessageId":"1","Message":"hello","Timestamp":"2026-11-10T13:20:00Z"}`,
		`{"Type":"Notification","MessageId":"1","Message":"{}","Timestamp":"2026-11-10T13:20:00Z"}`, `{"Type":"SubscriptionConfirmation","MessageId":"1","Message":"x"}`,
	} {
		if got, err := notifications.Parse(body); !errors.Is(err, notifications.ErrMalformed) {
			t.Errorf("%s: %+v, %v", body, got, err)
		}
	}
}

// What the simulator's marketplace says is understood, of new listings and of old.
func TestParseWhatTheMarketplaceSends(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ legacy, raw bool }{"EventBridge": {}, "SNS": {legacy: true}, "SNS, raw": {true, true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			legacy := c.legacy
			q := newQueue(t, func(config *awssim.Config) { config.Legacy = legacy })
			if err := q.sim.SetSwitches(awssim.Switches{EventDelivery: awssim.DeliverOnce, RawDelivery: c.raw}); err != nil {
				t.Fatal(err)
			}
			a, err := q.sim.Subscribe(t.Context(), awssim.SubscribeRequest{Plan: "starter"})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := q.sim.Cancel(t.Context(), a.ID); err != nil {
				t.Fatal(err)
			}
			events, err := q.sim.Events(t.Context(), 100)
			if err != nil {
				t.Fatal(err)
			}
			kinds := map[domain.MarketplaceEventKind]bool{}
			for _, e := range events {
				n, err := notifications.Parse(e.Body)
				if err != nil {
					t.Fatal(err)
				}
				kinds[n.Kind] = true
				if n.Message.LicenseID != "" && !strings.HasSuffix(a.LicenseARN, ":"+n.Message.LicenseID) || legacy && n.Message.CustomerIdentifier != a.CustomerIdentifier {
					t.Errorf("notification %+v of %+v", n, a)
				}
			}
			for _, kind := range []domain.MarketplaceEventKind{domain.EntitlementChanged, domain.AgreementEnding, domain.LicenceEnded} {
				if !kinds[kind] {
					t.Errorf("no notification is %s", kind)
				}
			}
		})
	}
}

func FuzzParse(f *testing.F) {
	f.Add(`{"id":"1","source":"aws.agreement-marketplace","detail-type":"License Updated - Manufacturer","detail":{"license":{"arn":"a:b/c:"}}}`)
	f.Add(`{"action":"subscribe-success","customer-identifier":"y",}`)
	f.Add(`{"Type":"Notification","MessageId":"1","Message":" {\"action\":\"x\",\"customer-identifier\":\"y\",} ","Timestamp":"2026-11-10T13:20:00Z"}`)
	f.Fuzz(func(t *testing.T, body string) {
		n, err := notifications.Parse(body)
		if err != nil && !errors.Is(err, notifications.ErrMalformed) {
			t.Errorf("error %v is not ErrMalformed", err)
		}
		if err == nil && (n.Message.NotificationID == "" || n.Message.Type == "" && n.Message.CustomerIdentifier == "" || n.Kind == "") {
			t.Errorf("incomplete notification %+v", n)
		}
	})
}
