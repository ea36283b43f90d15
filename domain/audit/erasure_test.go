package audit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// Nothing is erased while a legal hold stands; who put it there, and what was erased and certified, is told.
func TestErasureAndLegalHolds(t *testing.T) {
	t.Parallel()
	subscription := domain.SubscriptionIDForLicence(identity.LicenseARN)
	customer, hold, other := domain.CustomerIDForSubscription(subscription), uuid.UUID{15: 1}, uuid.UUID{15: 2}
	placed := func(id uuid.UUID) domain.Event { return domain.LegalHoldPlaced{CustomerID: customer, HoldID: id} }
	released := func(id uuid.UUID) domain.Event {
		return domain.LegalHoldReleased{CustomerID: customer, HoldID: id}
	}
	delayed := domain.ErasureDelayed{CustomerID: customer, SubjectID: other}
	erased := domain.PersonalDataErased{CustomerID: customer}
	certified := domain.ErasureCertified{SubjectID: customer, Keys: []uuid.UUID{customer, other}}
	early := []string{"account " + customer.String() + " was erased while a legal hold stood"}
	for name, c := range map[string]struct {
		events            []domain.Event
		changes, findings []string
	}{
		"erased and certified": {[]domain.Event{erased, certified}, []string{
			"personal data of account " + customer.String() + " erased", "erasure of " + customer.String() + " certified, with 2 keys",
		}, nil},
		"after the release": {[]domain.Event{placed(hold), delayed, released(hold), erased}, []string{
			"account " + customer.String() + " put under legal hold " + hold.String(),
			"erasure of " + other.String() + " waits for the legal hold on account " + customer.String(),
			"legal hold " + hold.String() + " on account " + customer.String() + " released",
			"personal data of account " + customer.String() + " erased",
		}, nil},
		"under a hold":                      {[]domain.Event{placed(hold), erased}, nil, early},
		"under the second of two":           {[]domain.Event{placed(hold), placed(other), released(hold), erased}, nil, early},
		"after both":                        {[]domain.Event{placed(hold), placed(other), released(hold), released(other), erased}, nil, nil},
		"under one placed after another":    {[]domain.Event{placed(hold), released(hold), placed(other), erased}, nil, early},
		"after what was never placed, once": {[]domain.Event{released(hold), placed(hold), erased}, nil, early},
	} {
		log, _ := honestLog(t)
		before := len(log.events)
		for _, event := range c.events {
			stream := domain.AccountStream(customer)
			if event.EventType() == "ErasureCertified" {
				stream = domain.ErasureStream(customer)
			}
			log.write(stream, event)
		}
		a := audit.New()
		for _, recorded := range log.events {
			a.Observe(recorded)
		}
		var changes, findings []string
		for _, change := range a.Changes() {
			if change.Position > log.events[before-1].Position && change.SubscriptionID == subscription {
				changes = append(changes, change.What)
			}
		}
		for _, finding := range a.Findings() {
			findings = append(findings, finding.Problem)
		}
		if c.changes != nil && !cmp.Equal(c.changes, changes) || !cmp.Equal(c.findings, findings) {
			t.Errorf("%s: findings %q, changes\n%s", name, findings, strings.Join(changes, "\n"))
		}
	}
}
