package domain

import (
	"maps"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of an account:
//  1. A subscription has one account. Until it is active its details may be corrected, and each registration or resend
//     sends a new verification link that replaces the one before.
//  2. A link is valid for 24 hours and works once; setting the password with it verifies the address and activates the
//     account in one step, so that a mail scanner that merely opens the link uses nothing up.
//  3. A password reset link is valid for one hour and works once; any new password makes it void.
//  4. Erasing the personal data closes the account. The events stay; what was sealed in them becomes unreadable.
//  5. An address is looked up by a keyed hash. When the server's secret is replaced it gets another one, and is the same address.
//  6. A registration whose address is another account's login name may be attached to that account instead: it then never
//     becomes an account of its own.
//  7. What is under a legal hold is not erased before the last hold is released (legalhold.go).

// How long the links in mails are valid.
const (
	VerificationValidity  = 24 * time.Hour
	PasswordResetValidity = time.Hour
)

// Ciphertext is personal data under the customer's own key, as opaque text. With the key destroyed it is noise.
type Ciphertext string

// An account's events name it customerId: the account of who registered a subscription has the id of its customer. That of
// somebody who was invited has an id of its own.

// AccountRegistered says that a person filled in the onboarding screen, or accepted an invitation.
type AccountRegistered struct {
	CustomerID     uuid.UUID  `json:"customerId"`
	SubscriptionID uuid.UUID  `json:"subscriptionId"` // Nil of somebody who was invited
	Person         Ciphertext `json:"person"`         // names, mail address, company and website
	MailHash       string     `json:"mailHash"`       // keyed hash of the mail address, for look-up at login
	RegisteredAt   time.Time  `json:"registeredAt"`
}

// RegistrationCorrected says that the details were entered again before the account was activated.
type RegistrationCorrected struct {
	CustomerID  uuid.UUID  `json:"customerId"`
	Person      Ciphertext `json:"person"`
	MailHash    string     `json:"mailHash"`
	CorrectedAt time.Time  `json:"correctedAt"`
}

// VerificationRequested says that a verification link is to be mailed. The link's secret follows from the id and the
// server's key; it cannot be derived from the log.
type VerificationRequested struct {
	CustomerID     uuid.UUID `json:"customerId"`
	VerificationID uuid.UUID `json:"verificationId"`
	ExpiresAt      time.Time `json:"expiresAt"`
	RequestedAt    time.Time `json:"requestedAt"`
}

// EmailVerified says that the link was used, so the address belongs to the person.
type EmailVerified struct {
	CustomerID     uuid.UUID `json:"customerId"`
	VerificationID uuid.UUID `json:"verificationId"`
	VerifiedAt     time.Time `json:"verifiedAt"`
}

// PasswordCause says what led to a new password.
type PasswordCause string

// The causes of a new password.
const (
	PasswordActivation PasswordCause = "activation"
	PasswordReset      PasswordCause = "reset"
	PasswordChange     PasswordCause = "change"
)

// PasswordSet says that the account has a new password. The account was activated, or the password reset or changed.
type PasswordSet struct {
	CustomerID   uuid.UUID     `json:"customerId"`
	PasswordHash Ciphertext    `json:"passwordHash"` // argon2id, encrypted as personal data
	Cause        PasswordCause `json:"cause"`
	SetAt        time.Time     `json:"setAt"`
}

// AccountActivated says that the account may be used.
type AccountActivated struct {
	CustomerID     uuid.UUID `json:"customerId"`
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	ActivatedAt    time.Time `json:"activatedAt"`
}

// RegistrationAttached says that the link was used by somebody who has a login: the customer is that account's from now on.
type RegistrationAttached struct {
	CustomerID     uuid.UUID `json:"customerId"`
	AccountID      uuid.UUID `json:"accountId"`
	VerificationID uuid.UUID `json:"verificationId"`
	AttachedAt     time.Time `json:"attachedAt"`
}

// PasswordResetRequested says that a reset link is to be mailed.
type PasswordResetRequested struct {
	CustomerID  uuid.UUID `json:"customerId"`
	ResetID     uuid.UUID `json:"resetId"`
	ExpiresAt   time.Time `json:"expiresAt"`
	RequestedAt time.Time `json:"requestedAt"`
}

// MailAddressRehashed says that an address of the account is looked up by another hash as well: that under another secret of
// the server.
type MailAddressRehashed struct {
	CustomerID uuid.UUID `json:"customerId"`
	Former     string    `json:"former"` // that the account knows the address by
	MailHash   string    `json:"mailHash"`
	SecretID   string    `json:"secretId,omitempty"`
	RehashedAt time.Time `json:"rehashedAt"`
}

// PersonalDataErased says that the customer's key was destroyed on request.
type PersonalDataErased struct {
	CustomerID   uuid.UUID `json:"customerId"`
	WithCustomer bool      `json:"withCustomer,omitempty"` // the customer that was registered with the account is being erased
	ErasedAt     time.Time `json:"erasedAt"`
}

// EventType names the event in the log.
func (AccountRegistered) EventType() string { return "AccountRegistered" }

// EventType names the event in the log.
func (RegistrationCorrected) EventType() string { return "RegistrationCorrected" }

// EventType names the event in the log.
func (VerificationRequested) EventType() string { return "VerificationRequested" }

// EventType names the event in the log.
func (EmailVerified) EventType() string { return "EmailVerified" }

// EventType names the event in the log.
func (PasswordSet) EventType() string { return "PasswordSet" }

// EventType names the event in the log.
func (AccountActivated) EventType() string { return "AccountActivated" }

// EventType names the event in the log.
func (RegistrationAttached) EventType() string { return "RegistrationAttached" }

// EventType names the event in the log.
func (PasswordResetRequested) EventType() string { return "PasswordResetRequested" }

// EventType names the event in the log.
func (MailAddressRehashed) EventType() string { return "MailAddressRehashed" }

// EventType names the event in the log.
func (PersonalDataErased) EventType() string { return "PersonalDataErased" }

func registerAccountEvents(r *Registry) {
	registerSecondFactorEvents(r)
	registerLegalHoldEvents(r)
	register[EmailChangeRequested](r, CategoryAccount)
	register[EmailChanged](r, CategoryAccount)
	register[AccountRegistered](r, CategoryAccount)
	register[RegistrationCorrected](r, CategoryAccount)
	register[VerificationRequested](r, CategoryAccount)
	register[EmailVerified](r, CategoryAccount)
	register[PasswordSet](r, CategoryAccount)
	register[AccountActivated](r, CategoryAccount)
	register[RegistrationAttached](r, CategoryAccount)
	register[PasswordResetRequested](r, CategoryAccount)
	register[MailAddressRehashed](r, CategoryAccount)
	register[PersonalDataErased](r, CategoryAccount)
}

// Refusals of an account. They do not say whether an account exists.
var (
	ErrLinkInvalid   = &Error{Kind: KindInvalid, Code: "link_invalid", Message: "This link is not valid. Open the newest mail from us, or ask for a new link."}
	ErrLinkExpired   = &Error{Kind: KindInvalid, Code: "link_expired", Message: "This link has expired. Ask for a new one."}
	ErrLinkUsed      = &Error{Kind: KindConflict, Code: "link_used", Message: "This link was already used. Log in with your mail address and password."}
	ErrAlreadyActive = &Error{Kind: KindConflict, Code: "already_active", Message: "This subscription already has an active account. Log in with its mail address."}
	ErrAccountErased = &Error{Kind: KindConflict, Code: "account_erased",
		Message: "The account of this subscription was closed, and its personal data erased, at somebody's request. It cannot be set up again. Contact support."}
	ErrNotRegistered = &Error{Kind: KindNotFound, Code: "not_registered", Message: "There is no account here yet. Start from AWS Marketplace."}
)

// Account is the state of one customer's account.
type Account struct {
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	Person         Ciphertext
	MailHash       string
	MailHashes     []string          // of every address that it ever had or was to have, oldest first
	Rehashed       map[string]string // hashes under other secrets, and by which one the event that brought the address knows it
	PasswordHash   Ciphertext
	Active         bool
	Erased         bool
	CustomerErased bool // it is being erased, or is; not known of what was erased before this was recorded

	VerificationID      uuid.UUID // of the newest link
	VerificationExpires time.Time
	VerificationUsed    uuid.UUID // the link that activated the account, or attached its registration
	AttachedTo          uuid.UUID // the account whose the customer is instead, Nil when it is this one's
	ResetID             uuid.UUID // of the newest reset link, Nil when none is open
	ResetExpires        time.Time
	Change              EmailChange // the newest that is asked for, zero when none is open
	ChangeUsed          uuid.UUID   // the link that gave the account its present address, if one did
	SecondFactor        SecondFactor
	Holds               LegalHolds
}

// CustomerKeyID names the key of personal data that is the customer's own.
func CustomerKeyID(customer uuid.UUID) uuid.UUID { return DerivedID(customer, "key of personal data") }

// SealingKey returns the key that seals what people write for a customer from now on: that of who registered it, and once this is
// erased and others act for the customer, the customer's own.
func (a Account) SealingKey(customer uuid.UUID) uuid.UUID {
	if a.Erased {
		return CustomerKeyID(customer)
	}
	return customer
}

// Fold returns the state after one more event.
func (a Account) Fold(event Event) Account {
	a.SecondFactor, a.Holds = a.SecondFactor.fold(event), a.Holds.fold(event)
	switch e := event.(type) {
	case AccountRegistered:
		a = Account{CustomerID: e.CustomerID, SubscriptionID: e.SubscriptionID, Person: e.Person}.withAddress(e.MailHash)
	case RegistrationCorrected:
		a.Person = e.Person
		a = a.withAddress(e.MailHash)
	case VerificationRequested:
		a.VerificationID, a.VerificationExpires = e.VerificationID, e.ExpiresAt
	case EmailVerified:
		a.VerificationUsed = e.VerificationID
	case PasswordSet:
		a.PasswordHash, a.ResetID, a.Change = e.PasswordHash, uuid.Nil, EmailChange{}
	case AccountActivated:
		a.Active = true
	case RegistrationAttached:
		a.AttachedTo, a.VerificationUsed = e.AccountID, e.VerificationID
	case PasswordResetRequested:
		a.ResetID, a.ResetExpires = e.ResetID, e.ExpiresAt
	case PersonalDataErased:
		a.Active, a.Erased, a.CustomerErased = false, true, a.CustomerErased || e.WithCustomer
		a.Person, a.PasswordHash, a.ResetID, a.Change = "", "", uuid.Nil, EmailChange{}
	case EmailChangeRequested:
		a.Change = EmailChange{ID: e.ChangeID, Address: e.Address, MailHash: e.MailHash, ExpiresAt: e.ExpiresAt}
		a = a.knownBy(e.MailHash)
	case MailAddressRehashed:
		rehashed := map[string]string{e.MailHash: a.firstHash(e.Former)}
		maps.Copy(rehashed, a.Rehashed)
		a.Rehashed = rehashed
		a = a.knownBy(e.MailHash)
	case EmailChanged:
		a.Person, a.ResetID, a.Change, a.ChangeUsed = e.Person, uuid.Nil, EmailChange{}, e.ChangeID
		a = a.withAddress(e.MailHash)
	}
	return a
}

// withAddress returns the account with another address.
func (a Account) withAddress(mailHash string) Account {
	a.MailHash = mailHash
	return a.knownBy(mailHash)
}

// knownBy copies, so that a state given out earlier stays what it was.
func (a Account) knownBy(mailHash string) Account {
	if !slices.Contains(a.MailHashes, mailHash) {
		a.MailHashes = append(slices.Clone(a.MailHashes), mailHash)
	}
	return a
}

// MayHold returns whether an address may be the account's login name: it is the account's, or becomes so when the link that
// was mailed last is used.
func (a Account) MayHold(mailHash string, at time.Time) bool {
	if a.Active && a.Change.ID != uuid.Nil && a.sameAddress(mailHash, a.Change.MailHash) && at.Before(a.Change.ExpiresAt) {
		return true
	}
	return a.sameAddress(mailHash, a.MailHash) && (a.Active || a.isPending() && at.Before(a.VerificationExpires))
}

// sameAddress returns whether two hashes are of one address, as far as the account knows.
func (a Account) sameAddress(hash, other string) bool { return a.firstHash(hash) == a.firstHash(other) }

// firstHash returns by which hash the account first knew the address that a hash is of.
func (a Account) firstHash(hash string) string {
	if first, rehashed := a.Rehashed[hash]; rehashed {
		return first
	}
	return hash
}

// AddressHash is what an address is looked up by under one secret.
type AddressHash struct {
	SecretID string
	Hash     string
}

// RehashAddress notes by which hashes an address of the account is looked up, of which it knows one. Those that it knows
// already, and those of an address that is none of its own, it does not record.
func (a Account) RehashAddress(known string, hashes []AddressHash, at time.Time) []Event {
	if !slices.Contains(a.MailHashes, known) {
		return nil
	}
	var events []Event
	for _, h := range hashes {
		if !slices.Contains(a.MailHashes, h.Hash) {
			events = append(events, MailAddressRehashed{
				CustomerID: a.CustomerID, Former: known, MailHash: h.Hash, SecretID: h.SecretID, RehashedAt: at.UTC(),
			})
		}
	}
	return events
}

// isPending returns whether the registration waits for its link to be used.
func (a Account) isPending() bool {
	return a.Registered() && !a.Settled()
}

// Settled returns whether the registration has come to its end: the account was activated, erased since perhaps, or the
// customer is another account's.
func (a Account) Settled() bool { return a.Active || a.Erased || a.AttachedTo != uuid.Nil }

// Registered returns whether the onboarding screen was ever filled in.
func (a Account) Registered() bool { return a.CustomerID != uuid.Nil }

// Register takes the details of the onboarding screen and asks for a verification link.
func (a Account) Register(customer, subscription uuid.UUID, person Ciphertext, mailHash string, verification uuid.UUID, at time.Time) ([]Event, error) {
	requested := VerificationRequested{CustomerID: customer, VerificationID: verification, ExpiresAt: at.Add(VerificationValidity).UTC(), RequestedAt: at.UTC()}
	switch {
	case a.Erased:
		return nil, ErrAccountErased
	case a.Settled():
		return nil, ErrAlreadyActive
	case a.Registered():
		return []Event{RegistrationCorrected{CustomerID: customer, Person: person, MailHash: mailHash, CorrectedAt: at.UTC()}, requested}, nil
	}
	return []Event{
		AccountRegistered{CustomerID: customer, SubscriptionID: subscription, Person: person, MailHash: mailHash, RegisteredAt: at.UTC()},
		requested,
	}, nil
}

// ResendVerification asks for a fresh link; older ones no longer work.
func (a Account) ResendVerification(verification uuid.UUID, at time.Time) ([]Event, error) {
	switch {
	case !a.Registered():
		return nil, ErrNotRegistered
	case a.Erased:
		return nil, ErrAccountErased
	case a.Settled():
		return nil, ErrAlreadyActive
	}
	return []Event{VerificationRequested{
		CustomerID: a.CustomerID, VerificationID: verification, ExpiresAt: at.Add(VerificationValidity).UTC(), RequestedAt: at.UTC(),
	}}, nil
}

// CheckVerification returns whether a verification link may still be used.
func (a Account) CheckVerification(verification uuid.UUID, at time.Time) error {
	if !a.Registered() {
		return ErrLinkInvalid
	}
	if a.Erased {
		return ErrAccountErased
	}
	if a.Settled() && a.VerificationUsed == verification {
		return ErrLinkUsed
	}
	if a.Settled() {
		return ErrAlreadyActive
	}
	if a.VerificationID != verification {
		return ErrLinkInvalid
	}
	if !at.Before(a.VerificationExpires) {
		return ErrLinkExpired
	}
	return nil
}

// Activate uses the link: the address is verified, the password set, the account active.
func (a Account) Activate(verification uuid.UUID, password Ciphertext, at time.Time) ([]Event, error) {
	if err := a.CheckVerification(verification, at); err != nil {
		return nil, err
	}
	return []Event{
		EmailVerified{CustomerID: a.CustomerID, VerificationID: verification, VerifiedAt: at.UTC()},
		PasswordSet{CustomerID: a.CustomerID, PasswordHash: password, Cause: PasswordActivation, SetAt: at.UTC()},
		AccountActivated{CustomerID: a.CustomerID, SubscriptionID: a.SubscriptionID, ActivatedAt: at.UTC()},
	}, nil
}

// Attach uses the link for an account that exists already. Attached to it already, it records nothing.
func (a Account) Attach(verification, account uuid.UUID, at time.Time) ([]Event, error) {
	if a.AttachedTo == account && a.VerificationUsed == verification && !a.Erased {
		return nil, nil
	}
	if err := a.CheckVerification(verification, at); err != nil {
		return nil, err
	}
	return []Event{RegistrationAttached{CustomerID: a.CustomerID, AccountID: account, VerificationID: verification, AttachedAt: at.UTC()}}, nil
}

// AcceptInvitation registers somebody who was invited and activates the account at once: the mailed link that led here has
// verified the address.
func (a Account) AcceptInvitation(invitation uuid.UUID, person Ciphertext, mailHash string, password Ciphertext, at time.Time) ([]Event, error) {
	if a.Registered() {
		return nil, ErrLinkUsed
	}
	return []Event{
		AccountRegistered{CustomerID: invitation, Person: person, MailHash: mailHash, RegisteredAt: at.UTC()},
		EmailVerified{CustomerID: invitation, VerificationID: invitation, VerifiedAt: at.UTC()},
		PasswordSet{CustomerID: invitation, PasswordHash: password, Cause: PasswordActivation, SetAt: at.UTC()},
		AccountActivated{CustomerID: invitation, ActivatedAt: at.UTC()},
	}, nil
}

// RequestPasswordReset asks for a reset link. For an account that is not active it records nothing.
func (a Account) RequestPasswordReset(reset uuid.UUID, at time.Time) []Event {
	if !a.Active {
		return nil
	}
	return []Event{PasswordResetRequested{
		CustomerID: a.CustomerID, ResetID: reset, ExpiresAt: at.Add(PasswordResetValidity).UTC(), RequestedAt: at.UTC(),
	}}
}

// CheckReset returns whether a reset link may still be used.
func (a Account) CheckReset(reset uuid.UUID, at time.Time) error {
	if !a.Active || a.ResetID == uuid.Nil || a.ResetID != reset {
		return ErrLinkInvalid
	}
	if !at.Before(a.ResetExpires) {
		return ErrLinkExpired
	}
	return nil
}

// ResetPassword uses a reset link.
func (a Account) ResetPassword(reset uuid.UUID, password Ciphertext, at time.Time) ([]Event, error) {
	if err := a.CheckReset(reset, at); err != nil {
		return nil, err
	}
	return []Event{PasswordSet{CustomerID: a.CustomerID, PasswordHash: password, Cause: PasswordReset, SetAt: at.UTC()}}, nil
}

// ChangePassword sets another password; that the old one was given is checked before, it needs the hash.
func (a Account) ChangePassword(password Ciphertext, at time.Time) ([]Event, error) {
	if !a.Active {
		return nil, ErrNotRegistered
	}
	return []Event{PasswordSet{CustomerID: a.CustomerID, PasswordHash: password, Cause: PasswordChange, SetAt: at.UTC()}}, nil
}

// ErasePersonalData closes the account. What is erased already it does not record again; the customer that was registered with it
// may be erased later than the account.
func (a Account) ErasePersonalData(withCustomer bool, at time.Time) ([]Event, error) {
	switch {
	case !a.Registered() || a.Erased && (a.CustomerErased || !withCustomer):
		return nil, nil
	case a.Holds.Any():
		return nil, ErrLegalHold
	}
	return []Event{PersonalDataErased{CustomerID: a.CustomerID, WithCustomer: withCustomer, ErasedAt: at.UTC()}}, nil
}
