package audit_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

func TestPeopleOfACustomer(t *testing.T) {
	t.Parallel()
	log, subscription := honestLog(t)
	customer, grace := domain.CustomerIDForSubscription(subscription), uuid.UUID{15: 1}
	joined := domain.MemberJoined{CustomerID: customer, AccountID: grace, Role: domain.RoleReader, InvitationID: grace}
	stream := domain.MembersStream(customer)
	for _, event := range []domain.Event{
		domain.MemberInvited{CustomerID: customer, InvitationID: grace, Role: domain.RoleReader},
		domain.MemberInvited{CustomerID: customer, InvitationID: uuid.UUID{15: 2}, Role: domain.RoleOwner},
		domain.InvitationWithdrawn{CustomerID: customer, InvitationID: uuid.UUID{15: 2}}, joined,
		domain.OwnershipPassedOn{CustomerID: customer, From: customer, To: grace},
		domain.MemberRoleChanged{CustomerID: customer, AccountID: customer, From: domain.RoleReader, To: domain.RoleOwner},
		domain.MemberRemoved{CustomerID: customer, AccountID: grace},
	} {
		log.write(stream, event)
	}
	people := func() (changes, findings []string) {
		a := audit.New()
		for _, recorded := range log.events {
			a.Observe(recorded)
		}
		for _, change := range a.Changes() {
			if change.Position > log.events[0].Position && change.SubscriptionID == subscription && !strings.Contains(change.What, "calls") && !strings.Contains(change.What, "behaviour") && !strings.Contains(change.What, "plan") {
				changes = append(changes, change.What)
			}
		}
		for _, finding := range a.Findings() {
			findings = append(findings, finding.Problem)
		}
		return changes, findings
	}
	changes, findings := people()
	want := []string{
		"a person was invited as reader", "a person was invited as owner", "an invitation was withdrawn", "account " + grace.String() + " joined as reader",
		"ownership passed on from account " + customer.String() + " to " + grace.String(), "account " + customer.String() + " is owner instead of reader",
		"account " + grace.String() + " was removed",
	}
	if diff := cmp.Diff(want, changes); diff != "" || len(findings) != 0 {
		t.Errorf("findings %v, changes (-want +got):\n%s", findings, diff)
	}
	log.write(stream, domain.MemberRemoved{CustomerID: customer, AccountID: customer})
	log.write(domain.MembersStream(grace), joined)
	_, findings = people()
	if diff := cmp.Diff([]string{"customer " + customer.String() + " has no owner", "MemberJoined stands outside its stream " + stream}, findings); diff != "" {
		t.Errorf("findings (-want +got):\n%s", diff)
	}
	log, _ = honestLog(t)
	log.write(stream, domain.CustomerErased{CustomerID: customer})
	if changes, findings = people(); len(findings) != 0 || !cmp.Equal(changes, []string{"customer erased"}) {
		t.Errorf("an erased customer needs no owner: %v, %v", changes, findings)
	}
}
