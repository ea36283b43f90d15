package domain_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// The people of the customer id(2): the account of its own id, and others.
var (
	founder   = id(2)
	colleague = id(20)
	stranger  = id(21)
)

// members folds what has happened to the people of the customer id(2).
func members(events ...domain.Event) domain.Members {
	var m domain.Members
	for _, event := range events {
		m = m.Fold(event)
	}
	return m.Of(id(2))
}

func invited(invitation uuid.UUID, role domain.Role, mailHash string) domain.MemberInvited {
	return domain.MemberInvited{
		CustomerID: id(2), InvitationID: invitation, Role: role, Address: "address", MailHash: mailHash,
		ExpiresAt: noon.Add(7 * 24 * time.Hour), InvitedAt: noon,
	}
}

func joined(account uuid.UUID, role domain.Role) domain.MemberJoined {
	return domain.MemberJoined{CustomerID: id(2), AccountID: account, Role: role, InvitationID: account, JoinedAt: noon}
}

func withdrawn(invitation uuid.UUID) domain.InvitationWithdrawn {
	return domain.InvitationWithdrawn{CustomerID: id(2), InvitationID: invitation, WithdrawnAt: noon}
}

func roleChanged(account uuid.UUID, from, to domain.Role) domain.MemberRoleChanged {
	return domain.MemberRoleChanged{CustomerID: id(2), AccountID: account, From: from, To: to, ChangedAt: noon}
}

func TestMembers(t *testing.T) {
	t.Parallel()
	type state = domain.Members
	of := func(decide func(state) ([]domain.Event, error)) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return decide(s.Of(id(2))) }
	}
	invite := func(role domain.Role, mailHash string, account uuid.UUID) func(state) ([]domain.Event, error) {
		return of(func(s state) ([]domain.Event, error) {
			return s.Invite(domain.Invitation{ID: id(30), Role: role, Address: "address", MailHash: mailHash}, account, noon)
		})
	}
	withdraw := of(recorded(func(s state) []domain.Event { return s.WithdrawInvitation(colleague, noon) }))
	accept := func(invitation, account uuid.UUID, at time.Time) func(state) ([]domain.Event, error) {
		return of(func(s state) ([]domain.Event, error) { return s.Accept(invitation, account, at) })
	}
	attach := func(account uuid.UUID) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.Attach(id(2), account, noon) }
	}
	change := func(account uuid.UUID, to domain.Role) func(state) ([]domain.Event, error) {
		return of(func(s state) ([]domain.Event, error) { return s.ChangeRole(account, to, noon) })
	}
	passOn := func(from, to uuid.UUID) func(state) ([]domain.Event, error) {
		return of(func(s state) ([]domain.Event, error) { return s.PassOwnershipOn(from, to, noon) })
	}
	remove := func(account uuid.UUID) func(state) ([]domain.Event, error) {
		return of(func(s state) ([]domain.Event, error) { return s.Remove(account, noon) })
	}
	erase := of(recorded(func(s state) []domain.Event { return s.Erase(noon) }))

	attached := domain.MemberJoined{CustomerID: id(2), AccountID: stranger, Role: domain.RoleOwner, JoinedAt: noon}
	erased := domain.CustomerErased{CustomerID: id(2), ErasedAt: noon}
	passedOn := domain.OwnershipPassedOn{CustomerID: id(2), From: founder, To: colleague, PassedOnAt: noon}
	removed := domain.MemberRemoved{CustomerID: id(2), AccountID: colleague, RemovedAt: noon}
	asReader := []domain.Event{invited(colleague, domain.RoleReader, "mail"), joined(colleague, domain.RoleReader)}
	asOwner := []domain.Event{invited(colleague, domain.RoleOwner, "mail"), joined(colleague, domain.RoleOwner)}
	lastMoment := joined(colleague, domain.RoleReader)
	lastMoment.JoinedAt = noon.Add(7*24*time.Hour - 1)
	with := func(events []domain.Event, more ...domain.Event) []domain.Event { return slices.Concat(events, more) }

	play(t, []scenario[state]{
		{name: "invites a reader", when: invite(domain.RoleReader, "mail", uuid.Nil), then: []domain.Event{invited(id(30), domain.RoleReader, "mail")}},
		{name: "invites an owner", when: invite(domain.RoleOwner, "mail", stranger), then: []domain.Event{invited(id(30), domain.RoleOwner, "mail")}},
		{name: "invites in no other role", when: invite("admin", "mail", uuid.Nil), refused: domain.ErrInvalidRequest},
		{name: "invites in a role", when: invite("", "mail", uuid.Nil), refused: domain.ErrInvalidRequest},
		{name: "invites nobody who belongs to it", when: invite(domain.RoleReader, "mail", founder), refused: domain.ErrAlreadyMember},
		{name: "invites no reader again", given: asReader, when: invite(domain.RoleOwner, "mail", colleague), refused: domain.ErrAlreadyMember},
		{name: "another invitation to an address replaces the first", given: []domain.Event{invited(id(32), domain.RoleOwner, "mail"), invited(id(31), domain.RoleOwner, "other"), invited(colleague, domain.RoleOwner, "mail")},
			when: invite(domain.RoleReader, "mail", uuid.Nil), then: []domain.Event{withdrawn(colleague), withdrawn(id(32)), invited(id(30), domain.RoleReader, "mail")}},
		{name: "a used invitation is not replaced", given: with(asReader, removed), when: invite(domain.RoleReader, "mail", colleague), then: []domain.Event{invited(id(30), domain.RoleReader, "mail")}},
		{name: "withdraws", given: []domain.Event{invited(id(31), domain.RoleReader, "mail"), invited(colleague, domain.RoleReader, "other")}, when: withdraw, then: []domain.Event{withdrawn(colleague)}},
		{name: "withdraws once", given: []domain.Event{invited(colleague, domain.RoleReader, "mail"), withdrawn(colleague)}, when: withdraw},
		{name: "withdraws nothing that was used", given: asReader, when: withdraw},
		{name: "withdraws nothing unknown", when: withdraw},
		{name: "joins with an account of its own", given: asReader[:1], when: accept(colleague, colleague, noon), then: asReader[1:]},
		{name: "joins as owner", given: asOwner[:1], when: accept(colleague, colleague, noon), then: asOwner[1:]},
		{name: "joins to the last moment", given: asReader[:1], when: accept(colleague, colleague, lastMoment.JoinedAt), then: []domain.Event{lastMoment}},
		{name: "an invitation expires", given: asReader[:1], when: accept(colleague, colleague, noon.Add(7*24*time.Hour)), refused: domain.ErrLinkExpired},
		{name: "an invitation works once", given: asReader, when: accept(colleague, stranger, noon), refused: domain.ErrLinkUsed},
		{name: "a withdrawn invitation is void", given: with(asReader[:1], withdrawn(colleague)), when: accept(colleague, colleague, noon), refused: domain.ErrLinkInvalid},
		{name: "an invitation of an erased customer is void", given: with(asReader[:1], erased), when: accept(colleague, colleague, noon), refused: domain.ErrLinkInvalid},
		{name: "withdraws nothing of an erased customer", given: with(asReader[:1], erased), when: withdraw},
		{name: "an unknown invitation is void", when: accept(colleague, colleague, noon), refused: domain.ErrLinkInvalid},
		{name: "joins once", given: asReader[:1], when: accept(colleague, founder, noon), refused: domain.ErrAlreadyMember},
		{name: "attaches", when: attach(stranger), then: []domain.Event{attached}},
		{name: "attaches once", given: []domain.Event{attached}, when: attach(stranger)},
		{name: "attaches nothing that has people", given: []domain.Event{attached}, when: attach(colleague), refused: domain.ErrAlreadyActive},
		{name: "attaches no reader", given: asReader, when: attach(colleague), refused: domain.ErrAlreadyActive},
		{name: "attaches nothing erased", given: []domain.Event{erased}, when: attach(stranger), refused: domain.ErrAlreadyActive},
		{name: "makes an owner", given: asReader, when: change(colleague, domain.RoleOwner), then: []domain.Event{roleChanged(colleague, domain.RoleReader, domain.RoleOwner)}},
		{name: "makes a reader", given: asOwner, when: change(colleague, domain.RoleReader), then: []domain.Event{roleChanged(colleague, domain.RoleOwner, domain.RoleReader)}},
		{name: "the founder may become a reader", given: asOwner, when: change(founder, domain.RoleReader), then: []domain.Event{roleChanged(founder, domain.RoleOwner, domain.RoleReader)}},
		{name: "changes nothing to the same role", given: asReader, when: change(colleague, domain.RoleReader)},
		{name: "changes nobody to another role", given: asReader, when: change(colleague, "admin"), refused: domain.ErrInvalidRequest},
		{name: "changes nobody unknown", when: change(colleague, domain.RoleReader), refused: domain.ErrNoSuchMember},
		{name: "the last owner stays owner", given: asReader, when: change(founder, domain.RoleReader), refused: domain.ErrLastOwner},
		{name: "an attached owner stays owner", given: []domain.Event{attached}, when: change(stranger, domain.RoleReader), refused: domain.ErrLastOwner},
		{name: "passes the ownership on", given: asReader, when: passOn(founder, colleague), then: []domain.Event{passedOn}},
		{name: "passes it on to an owner", given: asOwner, when: passOn(founder, colleague), then: []domain.Event{passedOn}},
		{name: "passes it on to nobody unknown", when: passOn(founder, colleague), refused: domain.ErrNoSuchMember},
		{name: "passes it on to nobody removed", given: with(asReader, removed), when: passOn(founder, colleague), refused: domain.ErrNoSuchMember},
		{name: "passes it not on to oneself", given: asReader, when: passOn(founder, founder), refused: domain.ErrNoSuchMember},
		{name: "passes on only what one has", given: asReader, when: passOn(colleague, founder), refused: domain.ErrReadOnly},
		{name: "passes it on once", given: with(asReader, passedOn), when: passOn(founder, colleague), refused: domain.ErrReadOnly},
		{name: "removes a reader", given: asReader, when: remove(colleague), then: []domain.Event{removed}},
		{name: "removes an owner", given: asOwner, when: remove(colleague), then: []domain.Event{removed}},
		{name: "removes the founder", given: asOwner, when: remove(founder), then: []domain.Event{domain.MemberRemoved{CustomerID: id(2), AccountID: founder, RemovedAt: noon}}},
		{name: "removes once", given: with(asReader, removed), when: remove(colleague)},
		{name: "removes nobody unknown", when: remove(stranger)},
		{name: "the last owner stays", given: asReader, when: remove(founder), refused: domain.ErrLastOwner},
		{name: "the last owner stays when nothing was recorded", when: remove(founder), refused: domain.ErrLastOwner},
		{name: "the last owner stays after passing on", given: with(asReader, passedOn), when: remove(colleague), refused: domain.ErrLastOwner},
		{name: "erases", given: asReader, when: erase, then: []domain.Event{erased}},
		{name: "erases what nothing was recorded of", when: erase, then: []domain.Event{erased}},
		{name: "erases once", given: []domain.Event{erased}, when: erase},
	})
}

func TestWhoMayChange(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		of      domain.Members
		account uuid.UUID
		want    error
	}{
		"the founder, with nothing recorded":  {members(), founder, nil},
		"somebody else":                       {members(), stranger, domain.ErrNotAMember},
		"nobody":                              {members(), uuid.Nil, domain.ErrNotAMember},
		"a reader":                            {members(invited(colleague, domain.RoleReader, "mail"), joined(colleague, domain.RoleReader)), colleague, domain.ErrReadOnly},
		"the founder beside a reader":         {members(invited(colleague, domain.RoleReader, "mail"), joined(colleague, domain.RoleReader)), founder, nil},
		"a second owner":                      {members(invited(colleague, domain.RoleOwner, "mail"), joined(colleague, domain.RoleOwner)), colleague, nil},
		"who was made owner":                  {members(joined(colleague, domain.RoleReader), roleChanged(colleague, domain.RoleReader, domain.RoleOwner)), colleague, nil},
		"the founder, removed":                {members(joined(colleague, domain.RoleOwner), domain.MemberRemoved{CustomerID: id(2), AccountID: founder}), founder, domain.ErrNotAMember},
		"the founder, who passed it on":       {members(joined(colleague, domain.RoleReader), domain.OwnershipPassedOn{CustomerID: id(2), From: founder, To: colleague}), founder, domain.ErrReadOnly},
		"to whom it was passed on":            {members(joined(colleague, domain.RoleReader), domain.OwnershipPassedOn{CustomerID: id(2), From: founder, To: colleague}), colleague, nil},
		"whose login it was attached to":      {members(domain.MemberJoined{CustomerID: id(2), AccountID: stranger, Role: domain.RoleOwner}), stranger, nil},
		"the own account beside an attached":  {members(domain.MemberJoined{CustomerID: id(2), AccountID: stranger, Role: domain.RoleOwner}), founder, domain.ErrNotAMember},
		"the founder of an erased customer":   {members(domain.CustomerErased{CustomerID: id(2)}), founder, domain.ErrNotAMember},
		"the founder, after a withdrawn mail": {members(withdrawn(colleague)), founder, nil},
	} {
		if got := c.of.MayChange(c.account); got != c.want { //nolint:errorlint // exactly this refusal
			t.Errorf("%s: %v, want %v", name, got, c.want)
		}
	}
}

func TestOwnersAndInvitationsAreListedInOrder(t *testing.T) {
	t.Parallel()
	m := members(
		invited(id(9), domain.RoleReader, "a"), invited(id(8), domain.RoleOwner, "b"), invited(id(7), domain.RoleReader, "c"),
		domain.MemberJoined{CustomerID: id(2), AccountID: id(8), Role: domain.RoleOwner, InvitationID: id(8)},
		domain.MemberJoined{CustomerID: id(2), AccountID: id(1), Role: domain.RoleOwner, InvitationID: id(6)}, joined(id(5), domain.RoleReader),
	)
	if diff := cmp.Diff([]uuid.UUID{id(1), id(2), id(8)}, m.Owners()); diff != "" {
		t.Errorf("owners (-want +got):\n%s", diff)
	}
	expires := noon.Add(7 * 24 * time.Hour)
	if diff := cmp.Diff([]domain.Invitation{
		{ID: id(7), Role: domain.RoleReader, Address: "address", MailHash: "c", ExpiresAt: expires},
		{ID: id(9), Role: domain.RoleReader, Address: "address", MailHash: "a", ExpiresAt: expires},
	}, m.OpenInvitations()); diff != "" {
		t.Errorf("open invitations (-want +got):\n%s", diff)
	}
	used, err := m.CheckInvitation(id(8), noon)
	if used.AcceptedBy != id(8) || used.MailHash != "b" || err == nil {
		t.Errorf("used: %+v, %v", used, err)
	}
}

// A state that was given out stays what it was, whatever happens afterwards.
func TestMembersAreNotChangedBehindOnesBack(t *testing.T) {
	t.Parallel()
	before := members(invited(colleague, domain.RoleReader, "mail"), invited(id(31), domain.RoleReader, "other"), joined(colleague, domain.RoleReader))
	want := members(invited(colleague, domain.RoleReader, "mail"), invited(id(31), domain.RoleReader, "other"), joined(colleague, domain.RoleReader))
	for _, event := range []domain.Event{
		invited(id(32), domain.RoleOwner, "third"), withdrawn(id(31)), joined(stranger, domain.RoleOwner), roleChanged(colleague, domain.RoleReader, domain.RoleOwner),
		domain.OwnershipPassedOn{CustomerID: id(2), From: founder, To: colleague}, domain.MemberRemoved{CustomerID: id(2), AccountID: colleague}, domain.CustomerErased{CustomerID: id(2)},
	} {
		before.Fold(event)
		if diff := cmp.Diff(want, before); diff != "" {
			t.Errorf("%s changed the state before it (-want +got):\n%s", event.EventType(), diff)
		}
	}
}
