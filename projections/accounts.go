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

// AccountsProjection keeps every customer's account. Personal data stays encrypted in it and is decrypted when it is shown.
func AccountsProjection() engine.Projection {
	return engine.Projection{
		Name:    "accounts",
		Version: 3,
		Tables: `
			create table accounts (
				customer_id             uuid primary key,
				subscription_id         uuid not null,
				status                  text not null,
				person                  text not null, -- sealed
				mail_hash               text not null, -- keyed hash of the address; empty of an erased one
				registered_at           timestamptz not null,
				verification_expires_at timestamptz,
				activated_at            timestamptz,
				password_set_at         timestamptz,
				erased_at               timestamptz,
				attached_to             uuid,        -- the account whose the customer is; null when it is this one's
				new_email               text,        -- sealed; null when no change is asked for
				new_email_expires_at    timestamptz,
				revision                bigint not null -- of the last event in the row
			);
			create index accounts_subscription on accounts (subscription_id);
			create index accounts_attached on accounts (attached_to);
			create index accounts_mail_hash on accounts (mail_hash);`,
		Events: types(
			domain.AccountRegistered{}, domain.RegistrationCorrected{}, domain.VerificationRequested{}, domain.EmailVerified{},
			domain.PasswordSet{}, domain.AccountActivated{}, domain.PasswordResetRequested{}, domain.PersonalDataErased{},
			domain.RegistrationAttached{}, domain.EmailChangeRequested{}, domain.EmailChanged{},
		),
		Apply: applyEach(changeAccount),
	}
}

// AccountStatus is where an account stands in its life.
type AccountStatus string

// The statuses of an account.
const (
	AccountRegistered AccountStatus = "registered" // waits for the verification link to be used
	AccountActive     AccountStatus = "active"
	AccountAttached   AccountStatus = "attached" // the registration of a customer that is another account's
	AccountErased     AccountStatus = "erased"   // closed, personal data unreadable
)

func changeAccount(s *statements, r domain.Recorded) {
	const update, newer = "update accounts set revision = $2, ", " where customer_id = $1 and revision < $2"
	switch e := r.Event.(type) {
	case domain.AccountRegistered:
		s.add(`
			insert into accounts (customer_id, subscription_id, status, person, mail_hash, registered_at, revision)
			values ($1, $2, $3, $4, $5, $6, $7)
			on conflict (customer_id) do nothing`,
			e.CustomerID, e.SubscriptionID, AccountRegistered, e.Person, e.MailHash, e.RegisteredAt, r.Revision)
	case domain.RegistrationCorrected:
		s.add(update+"person = $3, mail_hash = $4"+newer, e.CustomerID, r.Revision, e.Person, e.MailHash)
	case domain.VerificationRequested:
		s.add(update+"verification_expires_at = $3"+newer, e.CustomerID, r.Revision, e.ExpiresAt)
	case domain.PasswordSet:
		s.add(update+"password_set_at = $3, new_email = null"+newer, e.CustomerID, r.Revision, e.SetAt)
	case domain.AccountActivated:
		s.add(update+"status = $3, activated_at = $4"+newer, e.CustomerID, r.Revision, AccountActive, e.ActivatedAt)
	case domain.RegistrationAttached:
		s.add(update+"status = $3, attached_to = $4"+newer, e.CustomerID, r.Revision, AccountAttached, e.AccountID)
	case domain.EmailChangeRequested:
		s.add(update+"new_email = $3, new_email_expires_at = $4"+newer, e.CustomerID, r.Revision, e.Address, e.ExpiresAt)
	case domain.EmailChanged:
		s.add(update+"person = $3, mail_hash = $4, new_email = null"+newer, e.CustomerID, r.Revision, e.Person, e.MailHash)
	case domain.PersonalDataErased:
		s.add(update+"status = $3, person = '', mail_hash = '', new_email = null, erased_at = $4"+newer, e.CustomerID, r.Revision, AccountErased, e.ErasedAt)
	}
}

// AccountView is an account as the console shows it. Times that are not known are zero; so is the person of an erased one.
type AccountView struct {
	CustomerID            uuid.UUID
	SubscriptionID        uuid.UUID
	Status                AccountStatus
	Person                accounts.Person
	RegisteredAt          time.Time
	VerificationExpiresAt time.Time
	ActivatedAt           time.Time
	PasswordSetAt         time.Time
	ErasedAt              time.Time
	NewEmail              string    // that a link was mailed to and that is not the login name yet; empty when there is none
	NewEmailExpiresAt     time.Time // of that link
}

// Accounts answers questions about accounts.
type Accounts struct {
	pool  *pgxpool.Pool
	vault accounts.Vault
}

// NewAccounts queries through pool and opens personal data with vault.
func NewAccounts(pool *pgxpool.Pool, vault accounts.Vault) *Accounts {
	return &Accounts{pool: pool, vault: vault}
}

// Account returns a customer's account; false when it is not known.
func (a *Accounts) Account(ctx context.Context, customer uuid.UUID) (AccountView, bool, error) {
	var v AccountView
	var ciphertext domain.Ciphertext
	var newEmail *domain.Ciphertext
	var verification, activated, password, erased, newEmailExpires *time.Time
	err := a.pool.QueryRow(ctx, `
		select customer_id, subscription_id, status, person, registered_at, verification_expires_at, activated_at, password_set_at, erased_at,
			new_email, new_email_expires_at
		from accounts.accounts where customer_id = $1`, customer).
		Scan(&v.CustomerID, &v.SubscriptionID, &v.Status, &ciphertext, &v.RegisteredAt, &verification, &activated, &password, &erased,
			&newEmail, &newEmailExpires)
	if errors.Is(err, pgx.ErrNoRows) {
		return AccountView{}, false, nil
	}
	if err != nil {
		return AccountView{}, false, fmt.Errorf("read account %s: %w", customer, err)
	}
	v.VerificationExpiresAt, v.ActivatedAt = orZero(verification), orZero(activated)
	v.PasswordSetAt, v.ErasedAt = orZero(password), orZero(erased)
	if v.Status == AccountErased {
		return v, true, nil
	}
	v.Person, err = accounts.DecryptPerson(ctx, a.vault, customer, ciphertext)
	if err == nil && newEmail != nil {
		var address []byte
		address, err = a.vault.Decrypt(ctx, customer, *newEmail)
		v.NewEmail, v.NewEmailExpiresAt = string(address), orZero(newEmailExpires)
	}
	if errors.Is(err, accounts.ErrErased) { // the key is already destroyed, the event not yet here
		v.Status = AccountErased
		return v, true, nil
	}
	if err != nil {
		return AccountView{}, false, fmt.Errorf("read account %s: %w", customer, err)
	}
	return v, true, nil
}

// AttachedTo lists the customers whose registrations were attached to an account.
func (a *Accounts) AttachedTo(ctx context.Context, account uuid.UUID) ([]uuid.UUID, error) {
	rows, _ := a.pool.Query(ctx, "select customer_id from accounts.accounts where attached_to = $1 order by registered_at, customer_id", account)
	return collected(rows, "registrations", pgx.RowTo[uuid.UUID])
}

// WaitingFor lists the customers that were registered with an address, by its hashes, and wait for the link to be used.
func (a *Accounts) WaitingFor(ctx context.Context, mailHashes []string) ([]uuid.UUID, error) {
	rows, _ := a.pool.Query(ctx, `
		select customer_id from accounts.accounts where mail_hash = any($1) and status = $2 order by registered_at, customer_id`,
		mailHashes, AccountRegistered)
	return collected(rows, "registrations", pgx.RowTo[uuid.UUID])
}
