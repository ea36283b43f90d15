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

	told := func(messages ...domain.MarketplaceNotified) (inbox domain.MarketplaceInbox) {
		for _, m := range messages {
			inbox = inbox.Fold(m)
		}
		return inbox
	}
	of := func(agreement string) domain.MarketplaceInbox {
		return told(domain.MarketplaceNotified{AgreementID: agreement, HappenedAt: noon})
	}
	begun := func(at time.Time) domain.MarketplaceInbox {
		return told(domain.MarketplaceNotified{Type: "subscribe-success", HappenedAt: at})
	}
	same := domain.Observation{Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: term}, Inbox: of("agmt-1")}
	other := domain.Observation{Entitled: domain.Entitlement{Plan: domain.PlanStandard, Limit: 5000, ExpiresAt: term}, Inbox: of("agmt-2")}
	longer := domain.Observation{Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: term.Add(1)}}
	none := domain.Observation{}

	message := func(kind domain.MarketplaceEventKind, agreement string, happened time.Time) domain.MarketplaceEvent {
		return domain.MarketplaceEvent{Kind: kind, Message: domain.MarketplaceNotified{Type: "T", AgreementID: agreement, HappenedAt: happened}}
	}
	changed := message(domain.EntitlementChanged, "", noon)
	bySNS := changed
	bySNS.Message.CustomerIdentifier = "X01"
	licenceEnds := message(domain.LicenceEnded, "", noon)
	agreementEnds := message(domain.AgreementEnding, "agmt-1", noon)
	anotherEnds := message(domain.AgreementEnding, "agmt-0", noon)
	cancelled := message(domain.AgreementEnding, "", noon.Add(-time.Minute))
	cancelled.Message.AgreementStatus = "CANCELLED"

	announced := func(m domain.MarketplaceEvent, o domain.Observation, at time.Time) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.FollowAnnouncement(m, o, at) })
	}
	ending := func(m domain.MarketplaceEvent, inbox domain.MarketplaceInbox, at time.Time) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.FollowEnd(m, inbox, at) })
	}
	unanswered := func(since, at time.Time) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.EndUnanswered(since, time.Hour, at) })
	}
	reinstated := domain.SubscriptionReinstated{SubscriptionID: subscription, Why: "AWS Marketplace: T", ReinstatedAt: noon}
	scheduled := domain.SubscriptionScheduled{SubscriptionID: subscription, CustomerID: domain.CustomerIDForSubscription(subscription), Marketplace: identity, StartsAt: term}
	started2 := started
	started2.CustomerID, started2.Marketplace = scheduled.CustomerID, identity
	moved := func(to time.Time) domain.SubscriptionScheduled {
		return domain.SubscriptionScheduled{SubscriptionID: subscription, CustomerID: scheduled.CustomerID, Marketplace: identity, StartsAt: to, ScheduledAt: noon}
	}
	newAgreement := message(domain.EntitlementChanged, "agmt-2", noon.Add(1))
	newAgreement.Message.LicenseID = domain.LicenceID(identity.LicenseARN)
	older := newAgreement
	older.Message.HappenedAt = noon
	ofAccount := message(domain.EntitlementChanged, "agmt-2", noon.Add(1))
	begins := message(domain.EntitlementChanged, "", noon.Add(1))
	begins.Message.Type = "subscribe-success"
	begunAgain := domain.SubscriptionReinstated{SubscriptionID: subscription, Why: "AWS Marketplace: subscribe-success", ReinstatedAt: noon}
	listed := func(o domain.Observation, before int, at time.Time) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.FollowListing(o.Entitled, before, at) })
	}
	play(t, []scenario[state]{
		{name: "takes over what AWS lists", given: events{started}, when: announced(changed, other, noon), then: events{grown, relinked}},
		{name: "records nothing when nothing differs", given: events{started}, when: announced(changed, same, noon)},
		{name: "waits when a change is announced and nothing is listed", given: events{started}, when: announced(changed, none, term.Add(-1))},
		{name: "is not ended by one empty answer after its term", given: events{started}, when: announced(changed, none, term)},
		{name: "ends when its term is over and nothing is listed, of SNS", given: events{started}, when: announced(bySNS, none, term), then: events{ended("T", noon)}},
		{name: "waits when its term is not over, of SNS", given: events{started}, when: announced(bySNS, none, term.Add(-1))},
		{name: "has no term that could be over", given: events{endless}, when: announced(bySNS, none, term)},

		{name: "ends with its licence", given: events{started}, when: ending(licenceEnds, of("agmt-1"), noon.Add(time.Hour)), then: events{ended("T", noon)}},
		{name: "ends with its agreement", given: events{started}, when: ending(agreementEnds, of(""), noon), then: events{ended("T", noon)}},
		{name: "ends with an agreement that messages have named", given: events{started}, when: ending(message(domain.AgreementEnding, "agmt-2", noon), of("agmt-2"), noon), then: events{ended("T", noon)}},
		{name: "ends for the reason that the message gives", given: events{started}, when: ending(cancelled, of("agmt-1"), noon), then: events{ended("T: CANCELLED", noon.Add(-time.Minute))}},
		{name: "ends not in the future", given: events{started}, when: ending(message(domain.LicenceEnded, "", noon.Add(1)), of(""), noon), then: events{ended("T", noon)}},
		{name: "ends now when the message has no time", given: events{started}, when: ending(message(domain.LicenceEnded, "", time.Time{}), of(""), noon), then: events{ended("T", noon)}},
		{name: "ends before it starts", given: events{scheduled}, when: ending(licenceEnds, of(""), noon), then: events{ended("T", noon)}},
		{name: "does not end with another agreement", given: events{started}, when: ending(anotherEnds, of("agmt-1"), noon)},
		{name: "does not end by a change", given: events{started}, when: ending(changed, of("agmt-1"), noon)},
		{name: "ends once", given: events{started, ended("T", noon)}, when: ending(licenceEnds, of(""), noon)},
		{name: "does not end with an agreement that another has followed", given: events{started}, when: ending(agreementEnds, of("agmt-2"), noon)},
		{name: "does not end by what came before it began again", given: events{started}, when: ending(licenceEnds, begun(noon.Add(1)), noon)},
		{name: "ends by what came as it began", given: events{started}, when: ending(licenceEnds, begun(noon), noon), then: events{ended("T", noon)}},
		{name: "does not end by what came before its reinstatement", given: events{started, ended("T", noon), domain.SubscriptionReinstated{ReinstatedAt: noon.Add(1)}}, when: ending(licenceEnds, of(""), noon)},
		{name: "ends by what came as it was reinstated", given: events{started, ended("T", noon), domain.SubscriptionReinstated{ReinstatedAt: noon}}, when: ending(licenceEnds, of(""), noon), then: events{ended("T", noon)}},
		{name: "ends by old news when nothing is listed", given: events{started}, when: announced(licenceEnds, none, noon), then: events{ended("T", noon)}},
		{name: "ends by old news of its agreement when nothing is listed", given: events{started}, when: announced(agreementEnds, none, noon), then: events{ended("T", noon)}},
		{name: "does not end with another agreement when nothing is listed", given: events{started}, when: announced(anotherEnds, none, noon)},
		{name: "follows AWS when another agreement ends", given: events{started}, when: announced(anotherEnds, other, noon), then: events{grown, relinked}},

		{name: "is not revived while its entitlement has not gone yet", given: events{started, unsubscribed}, when: announced(message(domain.EntitlementChanged, "agmt-1", noon.Add(1)), same, noon)},
		{name: "is not revived by an older message", given: events{started, unsubscribed}, when: announced(older, same, noon)},
		{name: "is not revived by a message that names no agreement", given: events{started, unsubscribed}, when: announced(message(domain.EntitlementChanged, "", noon.Add(1)), same, noon)},
		{name: "is not revived by an agreement of another licence", given: events{started, unsubscribed}, when: announced(ofAccount, same, noon)},
		{name: "is not revived by another end", given: events{started, unsubscribed}, when: announced(message(domain.AgreementEnding, "agmt-2", noon.Add(1)), same, noon)},
		{name: "goes on with a new agreement", given: events{started, unsubscribed}, when: announced(newAgreement, same, noon), then: events{renewed(term)}},
		{name: "goes on when it begins again", given: events{started, unsubscribed}, when: announced(begins, same, noon), then: events{renewed(term)}},
		{name: "comes back with a new agreement", given: events{started, ended("T", noon)}, when: announced(newAgreement, other, noon), then: events{reinstated, grown, relinked}},
		{name: "comes back when it begins again", given: events{started, ended("T", noon)}, when: announced(begins, same, noon), then: events{begunAgain}},
		{name: "does not come back when nothing is listed", given: events{started, ended("T", noon)}, when: announced(newAgreement, none, noon)},
		{name: "does not come back without a known agreement", given: events{started2, ended("T", noon)}, when: announced(newAgreement, none, noon)},

		{name: "starts when AWS lists it", given: events{scheduled}, when: announced(changed, domain.Observation{Entitled: same.Entitled}, noon), then: events{started2}},
		{name: "starts with its agreement", given: events{scheduled}, when: announced(changed, same, noon), then: events{started2,
			domain.AgreementLinked{SubscriptionID: subscription, AgreementID: "agmt-1", LinkedAt: noon}}},
		{name: "waits for its start", given: events{scheduled}, when: announced(changed, none, noon)},
		{name: "is scheduled anew", given: events{scheduled}, when: announced(changed, domain.Observation{StartsAt: term.Add(1)}, noon), then: events{moved(term.Add(1))}},
		{name: "is not scheduled once it has started", given: events{started}, when: announced(changed, domain.Observation{StartsAt: term.Add(1)}, noon)},

		{name: "ends when its term is over and AWS does not answer", given: events{started}, when: unanswered(term, term.Add(time.Hour)), then: events{ended("the term is over and AWS does not answer", term.Add(time.Hour))}},
		{name: "is served for a while after its term", given: events{started}, when: unanswered(noon, term.Add(time.Hour-1))},
		{name: "is served for a while without an answer", given: events{started}, when: unanswered(term.Add(1), term.Add(time.Hour))},
		{name: "is served while AWS answers", given: events{started}, when: unanswered(time.Time{}, term.Add(2*time.Hour))},
		{name: "is served without a term", given: events{endless}, when: unanswered(noon, term.Add(2*time.Hour))},

		{name: "follows another listing", given: events{started}, when: listed(other, 0, noon), then: events{grown}},
		{name: "follows a longer term", given: events{started}, when: listed(longer, 0, noon), then: events{renewed(term.Add(1))}},
		{name: "is not ended by one empty answer", given: events{started}, when: listed(none, 0, term.Add(time.Hour))},
		{name: "is ended by the second", given: events{started}, when: listed(none, 1, term.Add(time.Hour)), then: events{ended("no entitlement", term)}},
		{name: "is ended by a later one, before its term is over", given: events{started}, when: listed(none, 2, noon), then: events{ended("no entitlement", noon)}},
		{name: "stays ending while the same term is listed", given: events{started, unsubscribed}, when: listed(other, 0, noon)},
		{name: "stays ending when no term was known", given: events{endless, unsubscribed}, when: listed(longer, 0, noon)},
		{name: "goes on with a later term", given: events{started, unsubscribed}, when: listed(longer, 0, noon), then: events{renewed(term.Add(1))}},
		{name: "is not revived by a listing", given: events{started, ended("T", noon)}, when: listed(longer, 0, noon)},
	})
}

// Whoever has left, or has never come, is not asked about; nor is AWS for an announcement that revives nobody.
func TestWhomAMessageConcerns(t *testing.T) {
	t.Parallel()
	left := domain.Subscription{Marketplace: domain.MarketplaceIdentity{AgreementID: "agmt-1", LicenseARN: "l-1"}, LeftAt: noon}
	with := func(status domain.SubscriptionStatus) domain.Subscription {
		s := left
		s.Status = status
		return s
	}
	again := domain.MarketplaceEvent{Kind: domain.EntitlementChanged, Message: domain.MarketplaceNotified{AgreementID: "agmt-2", LicenseID: "l-1", HappenedAt: noon.Add(1)}}
	late, other := again, again
	late.Message.HappenedAt, other.Message.LicenseID = noon, "l-2"
	for name, c := range map[string]struct {
		subscription domain.Subscription
		message      domain.MarketplaceEvent
		want         bool
	}{
		"active": {with(domain.StatusActive), late, true}, "ending": {with(domain.StatusEnding), late, true}, "scheduled": {with(domain.StatusScheduled), late, true},
		"ended": {with(domain.StatusEnded), late, false}, "ended and back": {with(domain.StatusEnded), again, true}, "unknown": {domain.Subscription{}, again, false},
		"ended, of an unknown agreement": {domain.Subscription{Status: domain.StatusEnded, LeftAt: noon, Marketplace: domain.MarketplaceIdentity{LicenseARN: "l-1"}}, again, false},
		"ended, another licence":         {with(domain.StatusEnded), other, false},
	} {
		if got := c.subscription.Follows(c.message); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestListedAfterEnd(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status domain.SubscriptionStatus
		at     time.Time
		want   bool
	}{
		"it may not have gone yet": {domain.StatusEnded, noon.Add(time.Hour - 1), false}, "an hour later": {domain.StatusEnded, noon.Add(time.Hour), true},
		"it is served": {domain.StatusActive, noon.Add(time.Hour), false},
	} {
		if got := (domain.Subscription{Status: c.status, EndedAt: noon}).ListedAfterEnd(c.at); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
