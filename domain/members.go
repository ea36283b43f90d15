package domain

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of the people of a customer:
//  1. A customer has people: accounts, each in a role. Until something is recorded, the account of the customer's own id,
//     once it is active, is the owner; so it was before there were roles.
//  2. Owners invite by mail, remove, change roles and pass the ownership on. Readers see everything and change nothing.
//  3. A customer that is not erased is never without an owner.
//  4. An invitation is valid for seven days and works once; another one to the same address replaces it.

// InvitationValidity is how long an invitation is valid.
const InvitationValidity = 168 * time.Hour

// Role says what a person may do for a customer.
type Role string

// The roles. Who has none has nothing to do with the customer.
const (
	RoleOwner  Role = "owner"
	RoleReader Role = "reader"
)

// MemberInvited says that an invitation is to be mailed. The link's secret follows from the id, as that of a verification
// does. Who has no account yet gets one of the invitation's id. The address is under a key of the invitation's own.
type MemberInvited struct {
	CustomerID   uuid.UUID  `json:"customerId"`
	InvitationID uuid.UUID  `json:"invitationId"`
	Role         Role       `json:"role"`
	Address      Ciphertext `json:"address"` // under the invitation's own key, not the customer's
	MailHash     string     `json:"mailHash"`
	ExpiresAt    time.Time  `json:"expiresAt"`
	InvitedAt    time.Time  `json:"invitedAt"`
}

// InvitationWithdrawn says that the invitation no longer works.
type InvitationWithdrawn struct {
	CustomerID   uuid.UUID `json:"customerId"`
	InvitationID uuid.UUID `json:"invitationId"`
	WithdrawnAt  time.Time `json:"withdrawnAt"`
}

// MemberJoined says that an account may act for the customer. Without an invitation it is the first owner, whose login the
// registration was attached to.
type MemberJoined struct {
	CustomerID   uuid.UUID `json:"customerId"`
	AccountID    uuid.UUID `json:"accountId"`
	Role         Role      `json:"role"`
	InvitationID uuid.UUID `json:"invitationId,omitzero"`
	JoinedAt     time.Time `json:"joinedAt"`
}

// MemberRoleChanged says that a person has another role.
type MemberRoleChanged struct {
	CustomerID uuid.UUID `json:"customerId"`
	AccountID  uuid.UUID `json:"accountId"`
	From       Role      `json:"from"`
	To         Role      `json:"to"`
	ChangedAt  time.Time `json:"changedAt"`
}

// OwnershipPassedOn says that an owner has made another person owner and is a reader from now on.
type OwnershipPassedOn struct {
	CustomerID uuid.UUID `json:"customerId"`
	From       uuid.UUID `json:"from"`
	To         uuid.UUID `json:"to"`
	PassedOnAt time.Time `json:"passedOnAt"`
}

// MemberRemoved says that an account may no longer act for the customer.
type MemberRemoved struct {
	CustomerID uuid.UUID `json:"customerId"`
	AccountID  uuid.UUID `json:"accountId"`
	RemovedAt  time.Time `json:"removedAt"`
}

// CustomerErased says that nobody acts for the customer any more, at the customer's request.
type CustomerErased struct {
	CustomerID uuid.UUID `json:"customerId"`
	ErasedAt   time.Time `json:"erasedAt"`
}

// EventType names the event in the log.
func (MemberInvited) EventType() string { return "MemberInvited" }

// EventType names the event in the log.
func (InvitationWithdrawn) EventType() string { return "InvitationWithdrawn" }

// EventType names the event in the log.
func (MemberJoined) EventType() string { return "MemberJoined" }

// EventType names the event in the log.
func (MemberRoleChanged) EventType() string { return "MemberRoleChanged" }

// EventType names the event in the log.
func (OwnershipPassedOn) EventType() string { return "OwnershipPassedOn" }

// EventType names the event in the log.
func (MemberRemoved) EventType() string { return "MemberRemoved" }

// EventType names the event in the log.
func (CustomerErased) EventType() string { return "CustomerErased" }

func registerMembersEvents(r *Registry) {
	register[MemberInvited](r, CategoryMembers)
	register[InvitationWithdrawn](r, CategoryMembers)
	register[MemberJoined](r, CategoryMembers)
	register[MemberRoleChanged](r, CategoryMembers)
	register[OwnershipPassedOn](r, CategoryMembers)
	register[MemberRemoved](r, CategoryMembers)
	register[CustomerErased](r, CategoryMembers)
}

// Refusals of what concerns the people of a customer.
var (
	ErrNotAMember = &Error{Kind: KindForbidden, Code: "not_a_member",
		Message: "You do not belong to this customer any more. Choose another one, or ask an owner to invite you."}
	ErrReadOnly = &Error{Kind: KindForbidden, Code: "read_only",
		Message: "You can see everything here but change nothing. Ask an owner to do it, or to make you an owner."}
	ErrNoSuchMember = &Error{Kind: KindNotFound, Code: "no_such_member",
		Message: "This person does not belong to the customer any more. Look at the list again."}
	ErrLastOwner = &Error{Kind: KindConflict, Code: "last_owner",
		Message: "This is the only owner, and a customer needs one. Make another person an owner first."}
	ErrAlreadyMember = &Error{Kind: KindConflict, Code: "already_member", Field: "email",
		Message: "This person belongs to the customer already."}
)

// Invitation is one that is open, or what became of it.
type Invitation struct {
	ID         uuid.UUID
	Role       Role
	Address    Ciphertext
	MailHash   string
	ExpiresAt  time.Time
	AcceptedBy uuid.UUID // Nil of one that nobody has used
	Withdrawn  bool

	OtherHashes []string // of the same address under other secrets; not kept
}

// Members is the state of the people of one customer.
type Members struct {
	CustomerID  uuid.UUID // Nil while nothing is recorded: see Of
	Roles       map[uuid.UUID]Role
	Invitations map[uuid.UUID]Invitation
	Erased      bool
}

// Of returns the people of a customer, also when nothing is recorded.
func (m Members) Of(customer uuid.UUID) Members {
	if m.CustomerID != uuid.Nil {
		return m
	}
	return Members{CustomerID: customer, Roles: map[uuid.UUID]Role{customer: RoleOwner}}
}

// Fold returns the state after one more event.
func (m Members) Fold(event Event) Members {
	switch e := event.(type) {
	case MemberInvited:
		return m.Of(e.CustomerID).withInvitation(Invitation{
			ID: e.InvitationID, Role: e.Role, Address: e.Address, MailHash: e.MailHash, ExpiresAt: e.ExpiresAt,
		})
	case InvitationWithdrawn:
		void := m.Invitations[e.InvitationID]
		void.ID, void.Withdrawn = e.InvitationID, true
		return m.Of(e.CustomerID).withInvitation(void)
	case MemberJoined:
		if e.InvitationID == uuid.Nil {
			return Members{CustomerID: e.CustomerID}.withRole(e.AccountID, e.Role)
		}
		accepted := m.Invitations[e.InvitationID]
		accepted.ID, accepted.AcceptedBy = e.InvitationID, e.AccountID
		return m.Of(e.CustomerID).withRole(e.AccountID, e.Role).withInvitation(accepted)
	case MemberRoleChanged:
		return m.Of(e.CustomerID).withRole(e.AccountID, e.To)
	case OwnershipPassedOn:
		return m.Of(e.CustomerID).withRole(e.From, RoleReader).withRole(e.To, RoleOwner)
	case MemberRemoved:
		m = m.Of(e.CustomerID)
		m.Roles = maps.Clone(m.Roles)
		delete(m.Roles, e.AccountID)
	case CustomerErased:
		m.CustomerID, m.Roles, m.Erased = e.CustomerID, nil, true
	}
	return m
}

// withRole and withInvitation copy, so that a state given out earlier stays what it was.
func (m Members) withRole(account uuid.UUID, role Role) Members {
	roles := map[uuid.UUID]Role{account: role}
	for other, r := range m.Roles {
		if other != account {
			roles[other] = r
		}
	}
	m.Roles = roles
	return m
}

func (m Members) withInvitation(invitation Invitation) Members {
	invitations := map[uuid.UUID]Invitation{invitation.ID: invitation}
	for id, i := range m.Invitations {
		if id != invitation.ID {
			invitations[id] = i
		}
	}
	m.Invitations = invitations
	return m
}

// Owners lists the accounts of the owners, always in the same order.
func (m Members) Owners() []uuid.UUID {
	var owners []uuid.UUID
	for account, role := range m.Roles {
		if role == RoleOwner {
			owners = append(owners, account)
		}
	}
	slices.SortFunc(owners, compareIDs)
	return owners
}

// HasOwnerBeside returns whether somebody else than an account owns the customer.
func (m Members) HasOwnerBeside(account uuid.UUID) bool {
	return slices.ContainsFunc(m.Owners(), func(owner uuid.UUID) bool { return owner != account })
}

func compareIDs(a, b uuid.UUID) int { return cmp.Compare(a.String(), b.String()) }

// MayChange returns nil for an owner, and else why the account may not change anything.
func (m Members) MayChange(account uuid.UUID) error {
	switch m.Roles[account] {
	case RoleOwner:
		return nil
	case RoleReader:
		return ErrReadOnly
	}
	return ErrNotAMember
}

// Invite invites the person at an address. Account is the one whose login name the address is, Nil when there is none.
func (m Members) Invite(invitation Invitation, account uuid.UUID, at time.Time) ([]Event, error) {
	if err := invitation.Role.check(); err != nil {
		return nil, err
	}
	if m.Roles[account] != "" {
		return nil, ErrAlreadyMember
	}
	hashes := slices.Concat(invitation.OtherHashes, []string{invitation.MailHash})
	return append(m.withdraw(func(i Invitation) bool { return slices.Contains(hashes, i.MailHash) }, at), MemberInvited{
		CustomerID: m.CustomerID, InvitationID: invitation.ID, Role: invitation.Role, Address: invitation.Address, MailHash: invitation.MailHash,
		ExpiresAt: at.Add(InvitationValidity).UTC(), InvitedAt: at.UTC(),
	}), nil
}

func (r Role) check() error {
	if r != RoleOwner && r != RoleReader {
		return Invalid("role", "The role is either \"owner\" or \"reader\".")
	}
	return nil
}

// WithdrawInvitation makes an invitation void. One that is not open records nothing.
func (m Members) WithdrawInvitation(id uuid.UUID, at time.Time) []Event {
	return m.withdraw(func(i Invitation) bool { return i.ID == id }, at)
}

func (m Members) withdraw(which func(Invitation) bool, at time.Time) []Event {
	var events []Event
	for _, i := range m.OpenInvitations() {
		if which(i) {
			events = append(events, InvitationWithdrawn{CustomerID: m.CustomerID, InvitationID: i.ID, WithdrawnAt: at.UTC()})
		}
	}
	return events
}

// OpenInvitations lists the invitations that were not used, expired or not, always in the same order.
func (m Members) OpenInvitations() []Invitation {
	var open []Invitation
	for _, i := range m.Invitations {
		if i.AcceptedBy == uuid.Nil && !i.Withdrawn && !m.Erased {
			open = append(open, i)
		}
	}
	slices.SortFunc(open, func(a, b Invitation) int { return compareIDs(a.ID, b.ID) })
	return open
}

// CheckInvitation returns an invitation, and why it may not be used.
func (m Members) CheckInvitation(id uuid.UUID, at time.Time) (Invitation, error) {
	invitation, known := m.Invitations[id]
	if !known || invitation.Withdrawn || m.Erased {
		return invitation, ErrLinkInvalid
	}
	if invitation.AcceptedBy != uuid.Nil {
		return invitation, ErrLinkUsed
	}
	if !at.Before(invitation.ExpiresAt) {
		return invitation, ErrLinkExpired
	}
	return invitation, nil
}

// Accept uses an invitation: the account may act for the customer.
func (m Members) Accept(id, account uuid.UUID, at time.Time) ([]Event, error) {
	invitation, err := m.CheckInvitation(id, at)
	if err != nil {
		return nil, err
	}
	if m.Roles[account] != "" {
		return nil, ErrAlreadyMember
	}
	return []Event{MemberJoined{
		CustomerID: m.CustomerID, AccountID: account, Role: invitation.Role, InvitationID: id, JoinedAt: at.UTC(),
	}}, nil
}

// Attach makes an account that exists already the owner of a customer whom nobody acts for yet. It is asked of what is
// recorded, without Of: the account of the customer's own id never becomes active. Attached already, it records nothing.
func (m Members) Attach(customer, account uuid.UUID, at time.Time) ([]Event, error) {
	if m.Roles[account] == RoleOwner {
		return nil, nil
	}
	if m.CustomerID != uuid.Nil {
		return nil, ErrAlreadyActive
	}
	return []Event{MemberJoined{CustomerID: customer, AccountID: account, Role: RoleOwner, JoinedAt: at.UTC()}}, nil
}

// ChangeRole gives a person another role.
func (m Members) ChangeRole(account uuid.UUID, to Role, at time.Time) ([]Event, error) {
	if err := to.check(); err != nil {
		return nil, err
	}
	from := m.Roles[account]
	if from == "" {
		return nil, ErrNoSuchMember
	}
	if from == to {
		return nil, nil
	}
	if m.isLastOwner(account) {
		return nil, ErrLastOwner
	}
	return []Event{MemberRoleChanged{CustomerID: m.CustomerID, AccountID: account, From: from, To: to, ChangedAt: at.UTC()}}, nil
}

func (m Members) isLastOwner(account uuid.UUID) bool {
	return slices.Equal(m.Owners(), []uuid.UUID{account})
}

// PassOwnershipOn makes another person the owner in an owner's place.
func (m Members) PassOwnershipOn(from, to uuid.UUID, at time.Time) ([]Event, error) {
	if err := m.MayChange(from); err != nil {
		return nil, err
	}
	if from == to || m.Roles[to] == "" {
		return nil, ErrNoSuchMember
	}
	return []Event{OwnershipPassedOn{CustomerID: m.CustomerID, From: from, To: to, PassedOnAt: at.UTC()}}, nil
}

// Remove takes a person's role away. Who has none is removed already.
func (m Members) Remove(account uuid.UUID, at time.Time) ([]Event, error) {
	if m.Roles[account] == "" {
		return nil, nil
	}
	if m.isLastOwner(account) {
		return nil, ErrLastOwner
	}
	return []Event{MemberRemoved{CustomerID: m.CustomerID, AccountID: account, RemovedAt: at.UTC()}}, nil
}

// Erase lets nobody act for the customer any more. Erased already, it records nothing.
func (m Members) Erase(at time.Time) []Event {
	if m.Erased {
		return nil
	}
	return []Event{CustomerErased{CustomerID: m.CustomerID, ErasedAt: at.UTC()}}
}
