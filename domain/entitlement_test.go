package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestEntitlementOfAContract(t *testing.T) {
	t.Parallel()
	type contract = []domain.ContractEntitlement
	term := noon.AddDate(0, 1, 0)
	for name, c := range map[string]struct {
		contract contract
		want     domain.Entitlement
		err      error
	}{
		"a plan":                  {contract{{Dimension: "standard", Quantity: 1, ExpiresAt: term}}, domain.Entitlement{Plan: domain.PlanStandard, Limit: 5_000, ExpiresAt: term}, nil},
		"quantity is no limit":    {contract{{Dimension: "starter", Quantity: 7}}, domain.Entitlement{Plan: domain.PlanStarter, Limit: 1_000}, nil},
		"enterprise by contract":  {contract{{Dimension: "enterprise", Quantity: 250_000}}, domain.Entitlement{Plan: domain.PlanEnterprise, Limit: 250_000}, nil},
		"enterprise, unit of one": {contract{{Dimension: "enterprise", Quantity: 1}}, domain.Entitlement{Plan: domain.PlanEnterprise, Limit: 100_000}, nil},
		"enterprise, two calls":   {contract{{Dimension: "enterprise", Quantity: 2}}, domain.Entitlement{Plan: domain.PlanEnterprise, Limit: 2}, nil},
		"both, around an upgrade": {contract{{Dimension: "business", Quantity: 1}, {Dimension: "starter", Quantity: 1}}, domain.Entitlement{Plan: domain.PlanBusiness, Limit: 30_000}, nil},
		"the first of two alike": {contract{{Dimension: "starter", Quantity: 1, ExpiresAt: term}, {Dimension: "starter", Quantity: 1}},
			domain.Entitlement{Plan: domain.PlanStarter, Limit: 1_000, ExpiresAt: term}, nil},
		"a metered dimension too": {contract{{Dimension: "starter_over", Quantity: 0}, {Dimension: "starter", Quantity: 1}}, domain.Entitlement{Plan: domain.PlanStarter, Limit: 1_000}, nil},
		"nothing":                 {nil, domain.Entitlement{}, nil},
		"only unknown dimensions": {contract{{Dimension: "platinum", Quantity: 1}}, domain.Entitlement{}, &domain.Error{Code: "unknown_plan"}},
	} {
		got, err := domain.DefaultCatalogue().Entitlement(c.contract)
		if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) || got.None() != (c.want.Plan == "") {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func TestFollowingAnEntitlement(t *testing.T) {
	t.Parallel()
	type state = domain.Subscription
	type events = []domain.Event
	subscription := domain.SubscriptionIDForLicence(identity.LicenseARN)
	term := noon.AddDate(0, 1, 0)
	linked := identity
	linked.AgreementID = "agmt-1"
	started := domain.SubscriptionStarted{SubscriptionID: subscription, Marketplace: linked, Plan: domain.PlanStarter, Limit: 1000, Overage: domain.OverageContinue, StartedAt: noon, ExpiresAt: term}
	endless := started
	endless.ExpiresAt = time.Time{}
	unsubscribed := domain.UnsubscribeRequested{SubscriptionID: subscription, RequestedAt: noon}
	renewed := func(until time.Time) domain.SubscriptionRenewed {
		return domain.SubscriptionRenewed{SubscriptionID: subscription, ExpiresAt: until, RenewedAt: noon}
	}
	ended := func(reason string, at time.Time) domain.SubscriptionEnded {
		return domain.SubscriptionEnded{SubscriptionID: subscription, Reason: reason, EndedAt: at}
	}
	grown := domain.PlanChanged{SubscriptionID: subscription, FromPlan: domain.PlanStarter, FromLimit: 1000, Plan: domain.PlanStandard, Limit: 5000, ChangedAt: noon}
	relinked := domain.AgreementLinked{SubscriptionID: subscription, AgreementID: "agmt-2", LinkedAt: noon}

	same := domain.Observation{Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: term}, AgreementID: "agmt-1"}
	other := domain.Observation{Entitled: domain.Entitlement{Plan: domain.PlanStandard, Limit: 5000, ExpiresAt: term}, AgreementID: "agmt-2"}
	longer := domain.Observation{Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: term.Add(1)}}
	none := domain.Observation{}

	message := func(kind domain.MarketplaceEventKind, agreement string, happened time.Time) domain.MarketplaceEvent {
		return domain.MarketplaceEvent{Kind: kind, Message: domain.MarketplaceNotified{Type: "T", AgreementID: agreement, HappenedAt: happened}}
	}
	changed := message(domain.EntitlementChanged, "", noon)
	licenceEnds := message(domain.LicenceEnded, "", noon)
	agreementEnds := message(domain.AgreementEnding, "agmt-1", noon)
	anotherEnds := message(domain.AgreementEnding, "agmt-0", noon)
	cancelled := message(domain.AgreementEnding, "", noon.Add(-time.Minute))
	cancelled.Message.AgreementStatus = "CANCELLED"

	announced := func(m domain.MarketplaceEvent, o domain.Observation, at time.Time, wantAgain bool) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) {
			got, again := s.FollowAnnouncement(m, o, at)
			if again != wantAgain {
				t.Errorf("AWS is to be asked again: %t, want %t", again, wantAgain)
			}
			return got, nil
		}
	}
	listed := func(o domain.Observation, before int, at time.Time) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.FollowListing(o.Entitled, before, at) })
	}
	play(t, []scenario[state]{
		{name: "takes over what AWS lists", given: events{started}, when: announced(changed, other, noon, false), then: events{grown, relinked}},
		{name: "records nothing when nothing differs", given: events{started}, when: announced(changed, same, noon, false)},
		{name: "waits when a change is announced and nothing is listed", given: events{started}, when: announced(changed, none, term.Add(-1), false)},
		{name: "ends when its term is over and nothing is listed", given: events{started}, when: announced(changed, none, term, false), then: events{ended("T", noon)}},
		{name: "has no term that could be over", given: events{endless}, when: announced(changed, none, term, false)},
		{name: "ends with its licence", given: events{started}, when: announced(licenceEnds, none, noon.Add(time.Hour), false), then: events{ended("T", noon)}},
		{name: "ends with its agreement", given: events{started}, when: announced(agreementEnds, none, noon, false), then: events{ended("T", noon)}},
		{name: "ends for the reason that the message gives", given: events{started}, when: announced(cancelled, none, noon, false), then: events{ended("T: CANCELLED", noon.Add(-time.Minute))}},
		{name: "ends not in the future", given: events{started}, when: announced(message(domain.LicenceEnded, "", noon.Add(1)), none, noon, false), then: events{ended("T", noon)}},
		{name: "ends now when the message has no time", given: events{started}, when: announced(message(domain.LicenceEnded, "", time.Time{}), none, noon, false), then: events{ended("T", noon)}},
		{name: "does not end with another agreement", given: events{started}, when: announced(anotherEnds, none, noon, false)},
		{name: "follows AWS when another agreement ends", given: events{started}, when: announced(anotherEnds, other, noon, false), then: events{grown, relinked}},
		{name: "ends once", given: events{started, ended("T", noon)}, when: announced(licenceEnds, none, noon, false)},
		{name: "is ending while its ended licence is listed", given: events{started}, when: announced(licenceEnds, same, noon, true), then: events{unsubscribed}},
		{name: "is asked about for 15 minutes", given: events{started, unsubscribed}, when: announced(licenceEnds, same, noon.Add(15*time.Minute-1), true)},
		{name: "goes on when AWS lists it after that", given: events{started, unsubscribed}, when: announced(licenceEnds, same, noon.Add(15*time.Minute), false), then: events{
			domain.SubscriptionRenewed{SubscriptionID: subscription, ExpiresAt: term, RenewedAt: noon.Add(15 * time.Minute)}}},
		{name: "is asked about no more when it has ended", given: events{started, ended("T", noon)}, when: announced(licenceEnds, same, noon, false)},
		{name: "is ending with its agreement while it is listed", given: events{started}, when: announced(agreementEnds, other, noon, false), then: events{unsubscribed}},
		{name: "withdraws a cancellation", given: events{started, unsubscribed}, when: announced(changed, same, noon, false), then: events{renewed(term)}},

		{name: "follows another listing", given: events{started}, when: listed(other, 0, noon), then: events{grown}},
		{name: "follows a longer term", given: events{started}, when: listed(longer, 0, noon), then: events{renewed(term.Add(1))}},
		{name: "is not ended by one empty answer", given: events{started}, when: listed(none, 0, term.Add(time.Hour))},
		{name: "is ended by the second", given: events{started}, when: listed(none, 1, term.Add(time.Hour)), then: events{ended("no entitlement", term)}},
		{name: "is ended by a later one, before its term is over", given: events{started}, when: listed(none, 2, noon), then: events{ended("no entitlement", noon)}},
		{name: "stays ending while the same term is listed", given: events{started, unsubscribed}, when: listed(other, 0, noon)},
		{name: "goes on with a later term", given: events{started, unsubscribed}, when: listed(longer, 0, noon), then: events{renewed(term.Add(1))}},
		{name: "is not revived by a listing", given: events{started, ended("T", noon)}, when: listed(longer, 0, noon)},
	})
}
