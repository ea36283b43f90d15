package main

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// TestOperatorSeesAndReinstates: an operator sees what AWS did not list, and lets a subscription go on that has ended by mistake;
// the audit and the read model know of it.
func TestOperatorSeesAndReinstates(t *testing.T) {
	t.Parallel()
	r := openReadModels(t, projections.SubscriptionsProjection())
	r.maintain(t)
	const licence = "arn:aws:license-manager:us-east-1:294406891311:license:l-mistaken"
	id, at := domain.SubscriptionIDForLicence(licence), time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
	happens := func(expected int64, event domain.Event) {
		t.Helper()
		_, err := r.store.Append(t.Context(), domain.SubscriptionStream(id), expected, []commands.Proposed{{ID: uuid.New(), Event: event, Meta: domain.Metadata{Actor: domain.ActorSystem}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	happens(commands.NoStream, domain.SubscriptionStarted{
		SubscriptionID: id, CustomerID: domain.CustomerIDForSubscription(id), Plan: domain.PlanStarter, Limit: 1000, StartedAt: at,
		Marketplace: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: licence},
	})
	status := func() domain.SubscriptionStatus { // none before the read model is there
		row, _, _ := projections.NewSubscriptions(r.pool).Subscription(t.Context(), id)
		return row.Status
	}
	awaittest.Until(t, "the start", func() bool { return status() == domain.StatusActive })

	gap := domain.EntitlementGap{Missing: 2, MissingSince: at, Withheld: true}
	if err := postgres.NewEntitlementGaps(r.pool).Remember(t.Context(), map[uuid.UUID]domain.EntitlementGap{id: gap}, "", at); err != nil {
		t.Fatal(err)
	}
	missing := []string{"subscription", "missing", "--eventstore", r.flags.EventStore, "--postgres", r.flags.Postgres}
	if code, out, errOut := runLine(missing...); code != 0 || !strings.Contains(out, id.String()) || !strings.Contains(out, "l-mistaken") || !strings.Contains(out, "true") {
		t.Errorf("missing = %d\n%s%s", code, out, errOut)
	}
	var listed []missingSubscription
	_, out, _ := runLine(slices.Concat(missing, []string{"--json"})...)
	if err := json.Unmarshal([]byte(out), &listed); err != nil || len(listed) != 1 || listed[0].Account != "123456789012" || !listed[0].Withheld {
		t.Errorf("missing --json: %v\n%s", err, out)
	}

	reinstate := func(args ...string) (int, string, string) {
		return runLine(slices.Concat([]string{"subscription", "reinstate", "--eventstore", r.flags.EventStore}, args)...)
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"what goes on":     {[]string{id.String(), "--why", "why"}, exitFailure, "is active: only one that has ended"},
		"nobody":           {[]string{uuid.NewString(), "--why", "why"}, exitFailure, "there is no subscription"},
		"what is no id":    {[]string{"agmt-1", "--why", "why"}, exitFailure, "write its id as"},
		"without a reason": {[]string{id.String()}, exitUsage, "--why"},
	} {
		if code, _, errOut := reinstate(c.args...); code != c.code || !strings.Contains(errOut, c.says) {
			t.Errorf("%s: %d, %s", name, code, errOut)
		}
	}
	happens(0, domain.SubscriptionEnded{SubscriptionID: id, Reason: "no entitlement", EndedAt: at})
	awaittest.Until(t, "the end", func() bool { return status() == domain.StatusEnded })
	if code, _, errOut := reinstate(id.String(), "--why", "  "); code != exitFailure || !strings.Contains(errOut, "Say why") {
		t.Errorf("a reason that is none: %d, %s", code, errOut)
	}
	if code, out, errOut := reinstate(licence, "--why", "AWS case 1234"); code != 0 || !strings.Contains(out, id.String()+" is active") {
		t.Errorf("reinstate = %d\n%s%s", code, out, errOut)
	}
	awaittest.Until(t, "the reinstatement", func() bool { return status() == domain.StatusActive })
	if _, out, _ := runLine("audit", "--json", "--eventstore", r.flags.EventStore); !strings.Contains(out, "subscription reinstated: AWS case 1234") || !strings.Contains(out, "operator") {
		t.Errorf("the audit does not tell of it:\n%s", out)
	}
}
