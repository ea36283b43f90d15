package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// MembersProjection keeps which account may act for which customers, and who is invited. Addresses stay encrypted in it.
func MembersProjection() engine.Projection {
	return engine.Projection{
		Name:    accounts.MembersReadModel,
		Version: 1,
		Tables: `
			create table members (
				customer_id uuid not null,
				account_id  uuid not null,
				role        text,                 -- null of who was removed
				since       timestamptz not null,
				revision    bigint not null,      -- of the last event in the row; -1 when none of the customer's people led to it
				primary key (customer_id, account_id)
			);
			create index members_account on members (account_id);
			create table invitations (
				invitation_id uuid primary key,
				customer_id   uuid not null,
				role          text not null,
				address       text not null,      -- sealed
				mail_hash     text not null,
				invited_at    timestamptz not null,
				expires_at    timestamptz not null,
				open          boolean not null,
				revision      bigint not null     -- of the last event in the row
			);
			create index invitations_customer on invitations (customer_id);
			create index invitations_mail_hash on invitations (mail_hash);`,
		Events: types(
			domain.AccountActivated{}, domain.MemberInvited{}, domain.InvitationWithdrawn{}, domain.MemberJoined{},
			domain.MemberRoleChanged{}, domain.OwnershipPassedOn{}, domain.MemberRemoved{}, domain.CustomerErased{},
		),
		Apply: applyEach(changeMembers),
	}
}

func changeMembers(s *statements, r domain.Recorded) {
	setRole := func(customer, account uuid.UUID, role any) {
		s.add("update members set role = $3, revision = $4 where customer_id = $1 and account_id = $2 and revision < $4",
			customer, account, role, r.Revision)
	}
	closeInvitation := func(id uuid.UUID) {
		s.add("update invitations set open = false, revision = $2 where invitation_id = $1 and revision < $2", id, r.Revision)
	}
	switch e := r.Event.(type) {
	case domain.AccountActivated:
		if e.SubscriptionID != uuid.Nil { // the account of the customer's own id is the owner until something is recorded
			s.add("insert into members (customer_id, account_id, role, since, revision) values ($1, $1, $2, $3, -1) on conflict do nothing",
				e.CustomerID, domain.RoleOwner, e.ActivatedAt)
		}
	case domain.MemberInvited:
		s.add(`
			insert into invitations (invitation_id, customer_id, role, address, mail_hash, invited_at, expires_at, open, revision)
			values ($1, $2, $3, $4, $5, $6, $7, true, $8)
			on conflict do nothing`,
			e.InvitationID, e.CustomerID, e.Role, e.Address, e.MailHash, e.InvitedAt, e.ExpiresAt, r.Revision)
	case domain.InvitationWithdrawn:
		closeInvitation(e.InvitationID)
	case domain.MemberJoined:
		closeInvitation(e.InvitationID)
		s.add(`
			insert into members as m (customer_id, account_id, role, since, revision) values ($1, $2, $3, $4, $5)
			on conflict (customer_id, account_id) do update set role = excluded.role, since = excluded.since, revision = excluded.revision
			where m.revision < excluded.revision`,
			e.CustomerID, e.AccountID, e.Role, e.JoinedAt, r.Revision)
	case domain.MemberRoleChanged:
		setRole(e.CustomerID, e.AccountID, e.To)
	case domain.OwnershipPassedOn:
		setRole(e.CustomerID, e.From, domain.RoleReader)
		setRole(e.CustomerID, e.To, domain.RoleOwner)
	case domain.MemberRemoved:
		setRole(e.CustomerID, e.AccountID, nil)
	case domain.CustomerErased:
		s.add("update members set role = null, revision = $2 where customer_id = $1 and revision < $2", e.CustomerID, r.Revision)
		s.add("update invitations set open = false, revision = $2 where customer_id = $1 and revision < $2", e.CustomerID, r.Revision)
	}
}

// Member says that an account may act for a customer.
type Member struct {
	CustomerID uuid.UUID
	AccountID  uuid.UUID
	Role       domain.Role
	Since      time.Time
}

// PendingInvitation is one that nobody has used yet; it may have expired.
type PendingInvitation struct {
	ID        uuid.UUID
	Role      domain.Role
	Email     string
	InvitedAt time.Time
	ExpiresAt time.Time
}

// Members answers who may act for whom.
type Members struct {
	pool  *pgxpool.Pool
	vault accounts.Vault
}

// NewMembers queries through pool and opens addresses with vault.
func NewMembers(pool *pgxpool.Pool, vault accounts.Vault) *Members {
	return &Members{pool: pool, vault: vault}
}

// CustomersOf lists the customers that an account may act for, in the order it began to.
func (m *Members) CustomersOf(ctx context.Context, account uuid.UUID) ([]Member, error) {
	return m.list(ctx, "account_id = $1", account)
}

// PeopleOf lists the accounts that may act for a customer, in the order they began to.
func (m *Members) PeopleOf(ctx context.Context, customer uuid.UUID) ([]Member, error) {
	return m.list(ctx, "customer_id = $1", customer)
}

// EverActedFor lists the customers that an account acts for, or did before it was removed or the customer erased.
func (m *Members) EverActedFor(ctx context.Context, account uuid.UUID) ([]uuid.UUID, error) {
	rows, _ := m.pool.Query(ctx, "select customer_id from members.members where account_id = $1 order by since, customer_id", account)
	return collected(rows, "members", pgx.RowTo[uuid.UUID])
}

func (m *Members) list(ctx context.Context, where string, id uuid.UUID) ([]Member, error) {
	rows, _ := m.pool.Query(ctx, `
		select customer_id, account_id, role, since from members.members
		where role is not null and `+where+` order by since, customer_id, account_id`, id)
	return collected(rows, "members", pgx.RowToStructByPos[Member])
}

// InvitationsOf lists a customer's invitations that nobody has used yet, oldest first.
func (m *Members) InvitationsOf(ctx context.Context, customer uuid.UUID) ([]PendingInvitation, error) {
	rows, _ := m.pool.Query(ctx, `
		select invitation_id, role, address, invited_at, expires_at from members.invitations
		where customer_id = $1 and open order by invited_at, invitation_id`, customer)
	sealed, err := collected(rows, "invitations", pgx.RowToStructByPos[PendingInvitation])
	if err != nil {
		return nil, err
	}
	var pending []PendingInvitation
	for _, invitation := range sealed {
		email, err := m.vault.Decrypt(ctx, invitation.ID, domain.Ciphertext(invitation.Email))
		if errors.Is(err, accounts.ErrErased) { // withdrawn, and the event is not here yet
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read invitation %s: %w", invitation.ID, err)
		}
		invitation.Email = string(email)
		pending = append(pending, invitation)
	}
	return pending, nil
}

// SentInvitation names an invitation of a customer.
type SentInvitation struct {
	CustomerID   uuid.UUID
	InvitationID uuid.UUID
}

// InvitationsTo lists the invitations to addresses that nobody has used yet, by the addresses' hashes.
func (m *Members) InvitationsTo(ctx context.Context, mailHashes []string) ([]SentInvitation, error) {
	rows, _ := m.pool.Query(ctx, `
		select customer_id, invitation_id from members.invitations
		where open and mail_hash = any($1) order by invited_at, invitation_id`, mailHashes)
	return collected(rows, "invitations", pgx.RowToStructByPos[SentInvitation])
}
