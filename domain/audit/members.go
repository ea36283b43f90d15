package audit

import (
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// followMembers takes an event on the people of a customer: who might have changed what, and that there always was an owner.
func (a *Audit) followMembers(r domain.Recorded, customer uuid.UUID, format string, args ...any) {
	subscription := a.customers[customer]
	if want := domain.MembersStream(customer); r.Stream != want {
		a.find(r, subscription, "%s stands outside its stream %s", r.Event.EventType(), want)
		return
	}
	members := a.members[customer].Fold(r.Event)
	a.members[customer] = members
	a.change(r, subscription, format, args...)
	if len(members.Owners()) == 0 && !members.Erased {
		a.find(r, subscription, "customer %s has no owner", customer)
	}
}

// observeMembers returns whether an event is on the people of a customer, and follows it.
func (a *Audit) observeMembers(r domain.Recorded) bool {
	switch e := r.Event.(type) {
	case domain.MemberInvited:
		a.followMembers(r, e.CustomerID, "a person was invited as %s", e.Role)
	case domain.InvitationWithdrawn:
		a.followMembers(r, e.CustomerID, "an invitation was withdrawn")
	case domain.MemberJoined:
		a.followMembers(r, e.CustomerID, "account %s joined as %s", e.AccountID, e.Role)
	case domain.MemberRoleChanged:
		a.followMembers(r, e.CustomerID, "account %s is %s instead of %s", e.AccountID, e.To, e.From)
	case domain.OwnershipPassedOn:
		a.followMembers(r, e.CustomerID, "ownership passed on from account %s to %s", e.From, e.To)
	case domain.MemberRemoved:
		a.followMembers(r, e.CustomerID, "account %s was removed", e.AccountID)
	case domain.CustomerErased:
		a.followMembers(r, e.CustomerID, "customer erased")
	default:
		return false
	}
	return true
}
