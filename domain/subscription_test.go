package domain_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestSubscription(t *testing.T) {
	t.Parallel()
	subscription := domain.SubscriptionIDForLicence(identity.LicenseARN)
	entitled := domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: noon.AddDate(0, 1, 0)}
	started := domain.SubscriptionStarted{
		SubscriptionID: subscription, CustomerID: domain.CustomerIDForSubscription(subscription), Marketplace: identity,
		Plan: domain.PlanStarter, Limit: 1000, Overage: domain.OverageContinue, StartedAt: noon, ExpiresAt: entitled.ExpiresAt,
	}
	stopped := domain.OverageSwitched{SubscriptionID: subscription, From: domain.OverageContinue, To: domain.OverageStop, SwitchedAt: noon}
	unsubscribed := domain.UnsubscribeRequested{SubscriptionID: subscription, RequestedAt: noon}
	ended := domain.SubscriptionEnded{SubscriptionID: subscription, Reason: "cancelled", EndedAt: noon}
	type state = domain.Subscription

	start := recorded(func(s state) []domain.Event { return s.Start(identity, entitled, noon) })
	follow := func(e domain.Entitlement) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.FollowEntitlement(e, noon) })
	}
	switchTo := func(to domain.OveragePolicy, ceiling ...int64) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) {
			if len(ceiling) > 0 {
				return s.SwitchOverage(to, &ceiling[0], noon)
			}
			return s.SwitchOverage(to, nil, noon)
		}
	}
	bounded := func(ceiling int64) domain.OverageSwitched {
		return domain.OverageSwitched{SubscriptionID: subscription, From: domain.OverageContinue, To: domain.OverageContinue, Ceiling: ceiling, SwitchedAt: noon}
	}
	link := recorded(func(s state) []domain.Event { return s.LinkAgreement("agmt-1", noon) })
	reinstated := domain.SubscriptionReinstated{SubscriptionID: subscription, Why: "AWS case 1234", ReinstatedAt: noon}
	reinstate := func(why string) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.Reinstate(why, noon) }
	}
	scheduled := func(at time.Time) domain.SubscriptionScheduled {
		return domain.SubscriptionScheduled{
			SubscriptionID: subscription, CustomerID: started.CustomerID, Marketplace: identity, StartsAt: at, ScheduledAt: noon,
		}
	}
	schedule := func(at time.Time) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.Schedule(identity, at, noon) })
	}
	later := noon.AddDate(0, 0, 7)
	end := recorded(func(s state) []domain.Event { return s.End("cancelled", noon) })
	bigger := domain.Entitlement{Plan: domain.PlanStandard, Limit: 5000, ExpiresAt: entitled.ExpiresAt}
	longer := domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: noon.AddDate(0, 2, 0)}

	play(t, []scenario[state]{
		{name: "starts with continue", when: start, then: []domain.Event{started}},
		{name: "starts once", given: []domain.Event{started}, when: start},
		{name: "follows another plan", given: []domain.Event{started}, when: follow(bigger), then: []domain.Event{domain.PlanChanged{
			SubscriptionID: subscription, FromPlan: domain.PlanStarter, FromLimit: 1000, Plan: domain.PlanStandard, Limit: 5000, ChangedAt: noon}}},
		{name: "follows a renewal", given: []domain.Event{started}, when: follow(longer), then: []domain.Event{domain.SubscriptionRenewed{
			SubscriptionID: subscription, ExpiresAt: longer.ExpiresAt, RenewedAt: noon}}},
		{name: "is quiet about the same entitlement", given: []domain.Event{started}, when: follow(entitled)},
		{name: "withdraws no cancellation for the same term", given: []domain.Event{started, unsubscribed}, when: follow(entitled)},
		{name: "withdraws a cancellation for a later one", given: []domain.Event{started, unsubscribed}, when: follow(longer), then: []domain.Event{
			domain.SubscriptionRenewed{SubscriptionID: subscription, ExpiresAt: longer.ExpiresAt, RenewedAt: noon}}},
		{name: "does not revive what has ended", given: []domain.Event{started, ended}, when: follow(bigger)},
		{name: "switches to stop", given: []domain.Event{started}, when: switchTo(domain.OverageStop), then: []domain.Event{stopped}},
		{name: "is quiet about the same switch", given: []domain.Event{started, stopped}, when: switchTo(domain.OverageStop)},
		{name: "goes on up to a ceiling", given: []domain.Event{started}, when: switchTo(domain.OverageContinue, 1), then: []domain.Event{bounded(1)}},
		{name: "goes on up to the highest ceiling", given: []domain.Event{started}, when: switchTo(domain.OverageContinue, domain.MaxCeiling),
			then: []domain.Event{bounded(domain.MaxCeiling)}},
		{name: "raises a ceiling", given: []domain.Event{started, bounded(1)}, when: switchTo(domain.OverageContinue, 2), then: []domain.Event{
			domain.OverageSwitched{SubscriptionID: subscription, From: domain.OverageContinue, FromCeiling: 1, To: domain.OverageContinue, Ceiling: 2, SwitchedAt: noon}}},
		{name: "is quiet about the same ceiling", given: []domain.Event{started, bounded(2)}, when: switchTo(domain.OverageContinue, 2)},
		{name: "removes a ceiling", given: []domain.Event{started, bounded(2)}, when: switchTo(domain.OverageContinue), then: []domain.Event{
			domain.OverageSwitched{SubscriptionID: subscription, From: domain.OverageContinue, FromCeiling: 2, To: domain.OverageContinue, SwitchedAt: noon}}},
		{name: "stops instead of a ceiling", given: []domain.Event{started, bounded(2)}, when: switchTo(domain.OverageStop), then: []domain.Event{
			domain.OverageSwitched{SubscriptionID: subscription, From: domain.OverageContinue, FromCeiling: 2, To: domain.OverageStop, SwitchedAt: noon}}},
		{name: "goes on up to a ceiling instead of stopping", given: []domain.Event{started, stopped}, when: switchTo(domain.OverageContinue, 2), then: []domain.Event{
			domain.OverageSwitched{SubscriptionID: subscription, From: domain.OverageStop, To: domain.OverageContinue, Ceiling: 2, SwitchedAt: noon}}},
		{name: "forgets the ceiling with stop", given: []domain.Event{started, bounded(2), stopped}, when: switchTo(domain.OverageContinue), then: []domain.Event{
			domain.OverageSwitched{SubscriptionID: subscription, From: domain.OverageStop, To: domain.OverageContinue, SwitchedAt: noon}}},
		{name: "knows no ceiling of none", given: []domain.Event{started}, when: switchTo(domain.OverageContinue, 0), refused: domain.Invalid("ceiling", "")},
		{name: "knows no ceiling below", given: []domain.Event{started}, when: switchTo(domain.OverageContinue, -1), refused: domain.Invalid("ceiling", "")},
		{name: "knows no higher ceiling", given: []domain.Event{started}, when: switchTo(domain.OverageContinue, domain.MaxCeiling+1), refused: domain.Invalid("ceiling", "")},
		{name: "has no ceiling with stop", given: []domain.Event{started}, when: switchTo(domain.OverageStop, 5), refused: domain.Invalid("ceiling", "")},
		{name: "knows two settings with a ceiling too", given: []domain.Event{started}, when: switchTo("maybe", 5), refused: domain.Invalid("overage", "")},
		{name: "knows two settings", given: []domain.Event{started}, when: switchTo("maybe"), refused: domain.ErrInvalidRequest},
		{name: "switches nothing after the end", given: []domain.Event{started, ended}, when: switchTo(domain.OverageStop), refused: domain.ErrSubscriptionInactive},
		{name: "links its agreement", given: []domain.Event{started}, when: link, then: []domain.Event{
			domain.AgreementLinked{SubscriptionID: subscription, AgreementID: "agmt-1", LinkedAt: noon}}},
		{name: "links it once", given: []domain.Event{started, domain.AgreementLinked{SubscriptionID: subscription, AgreementID: "agmt-1"}}, when: link},
		{name: "links no agreement without a name", given: []domain.Event{started}, when: recorded(func(s state) []domain.Event { return s.LinkAgreement("", noon) })},
		{name: "links no agreement before it starts", when: link},
		{name: "ends", given: []domain.Event{started, unsubscribed}, when: end, then: []domain.Event{ended}},
		{name: "ends once", given: []domain.Event{started, ended}, when: end},
		{name: "never ends what never started", when: end},
		{name: "ends before it starts", given: []domain.Event{scheduled(later)}, when: end, then: []domain.Event{ended}},
		{name: "is reinstated", given: []domain.Event{started, ended}, when: reinstate("AWS case 1234"), then: []domain.Event{reinstated}},
		{name: "is reinstated for a reason", given: []domain.Event{started, ended}, when: reinstate(" "), refused: domain.ErrInvalidRequest},
		{name: "is not reinstated while it goes on", given: []domain.Event{started}, when: reinstate("why"), refused: domain.ErrNotEnded},
		{name: "is reinstated once", given: []domain.Event{started, ended, reinstated}, when: reinstate("why"), refused: domain.ErrNotEnded},
		{name: "ends again", given: []domain.Event{started, ended, reinstated}, when: end, then: []domain.Event{ended}},
		{name: "is scheduled", when: schedule(later), then: []domain.Event{scheduled(later)}},
		{name: "is scheduled once", given: []domain.Event{scheduled(later)}, when: schedule(later)},
		{name: "is scheduled anew", given: []domain.Event{scheduled(later)}, when: schedule(later.Add(1)), then: []domain.Event{scheduled(later.Add(1))}},
		{name: "is not scheduled once it has started", given: []domain.Event{scheduled(later), started}, when: schedule(later.Add(1))},
		{name: "starts when it was scheduled", given: []domain.Event{scheduled(later)}, when: start, then: []domain.Event{started}},
		{name: "serves nothing before it starts", given: []domain.Event{scheduled(later)}, when: switchTo(domain.OverageStop), refused: domain.ErrSubscriptionInactive},
	})
}

// What was written without a ceiling stays the same to the letter; what has one says so.
func TestASwitchIsWrittenAsBeforeUnlessItHasACeiling(t *testing.T) {
	t.Parallel()
	registry := domain.NewRegistry()
	for want, event := range map[string]domain.OverageSwitched{
		`{"subscriptionId":"00000000-0000-0000-0000-000000000001","from":"stop","to":"continue","switchedAt":"2026-11-22T12:00:00Z"}`: {
			SubscriptionID: id(1), From: domain.OverageStop, To: domain.OverageContinue, SwitchedAt: noon},
		`{"subscriptionId":"00000000-0000-0000-0000-000000000001","from":"continue","fromCeiling":7,"to":"continue","ceiling":9,"switchedAt":"2026-11-22T12:00:00Z"}`: {
			SubscriptionID: id(1), From: domain.OverageContinue, FromCeiling: 7, To: domain.OverageContinue, Ceiling: 9, SwitchedAt: noon},
	} {
		data, version, err := registry.Encode(event)
		if err != nil || string(data) != want || version != 1 {
			t.Errorf("version %d, %v:\n%s\nwant\n%s", version, err, data, want)
		}
		if got, err := registry.Decode(event.EventType(), version, data); err != nil || got != domain.Event(event) {
			t.Errorf("%+v, %v", got, err)
		}
	}
}

func TestLicenceNamesOneSubscriptionHoweverWritten(t *testing.T) {
	t.Parallel()
	full := domain.SubscriptionIDForLicence("arn:aws:license-manager:us-east-1:1:license:l-abc")
	for _, other := range []string{"aws:license-manager:us-east-1:1:license:l-abc", "arn:aws:license-manager::1:license/l-abc", "l-abc"} {
		if got := domain.SubscriptionIDForLicence(other); got != full {
			t.Errorf("%s names %s, want %s", other, got, full)
		}
	}
	if domain.SubscriptionIDForLicence("l-abd") == full {
		t.Error("two licences name one subscription")
	}
}

func TestDisplayID(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]domain.MarketplaceIdentity{
		"agmt-1": {AgreementID: "agmt-1", LicenseARN: identity.LicenseARN}, domain.LicenceID(identity.LicenseARN): {LicenseARN: identity.LicenseARN},
	} {
		if got := m.DisplayID(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

// A renewal without a new term keeps the one before.
func TestSubscriptionFoldsARenewal(t *testing.T) {
	t.Parallel()
	ending := domain.Subscription{Status: domain.StatusEnding, ExpiresAt: noon}
	if s := ending.Fold(domain.SubscriptionRenewed{}); s.Status != domain.StatusActive || !s.ExpiresAt.Equal(noon) {
		t.Errorf("%+v", s)
	}
	if s := ending.Fold(domain.SubscriptionRenewed{ExpiresAt: noon.Add(1)}); !s.ExpiresAt.Equal(noon.Add(1)) {
		t.Errorf("%+v", s)
	}
}

// What has ended and goes on is as it was before, and knows when; what had not started waits for its start again.
func TestSubscriptionFoldsItsReinstatement(t *testing.T) {
	t.Parallel()
	running := domain.Subscription{Status: domain.StatusActive, Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: noon}
	ended := running.Fold(domain.SubscriptionEnded{EndedAt: noon})
	if ended.Serves() || ended.Registers() || ended.Ends != 1 || !ended.LeftAt.Equal(noon) || !ended.EndedAt.Equal(noon) {
		t.Errorf("ended: %+v", ended)
	}
	want := running
	want.Ends, want.ReinstatedAt = 1, noon.Add(time.Hour)
	if got := ended.Fold(domain.SubscriptionReinstated{ReinstatedAt: noon.Add(time.Hour)}); got != want || !got.Serves() {
		t.Errorf("reinstated: %+v, want %+v", got, want)
	}
	scheduled := domain.Subscription{}.Fold(domain.SubscriptionScheduled{StartsAt: noon})
	if scheduled.Serves() || !scheduled.Registers() || !scheduled.StartsAt.Equal(noon) {
		t.Errorf("scheduled: %+v", scheduled)
	}
	if scheduled.DueToStart(noon.Add(-1)) || !scheduled.DueToStart(noon) || (domain.Subscription{Status: domain.StatusActive}).DueToStart(noon) {
		t.Error("what is scheduled is due to start when its time has come")
	}
	if got := scheduled.Fold(domain.SubscriptionEnded{}).Fold(domain.SubscriptionReinstated{}); got.Status != domain.StatusScheduled {
		t.Errorf("reinstated before it started: %+v", got)
	}
}

// Reinstated is who goes on after an end, and neither who never ended nor who has ended again.
func TestReinstated(t *testing.T) {
	t.Parallel()
	for want, subscriptions := range map[bool][]domain.Subscription{
		true:  {{Status: domain.StatusActive, Ends: 1}, {Status: domain.StatusEnding, Ends: 2}},
		false: {{Status: domain.StatusActive}, {Status: domain.StatusEnded, Ends: 1}, {Status: domain.StatusEnded, Ends: 2}, {}},
	} {
		for _, s := range subscriptions {
			if s.Reinstated() != want {
				t.Errorf("%q after %d ends: reinstated is %t, want %t", s.Status, s.Ends, !want, want)
			}
		}
	}
}
