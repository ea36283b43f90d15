package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of changing an account's work email:
//  1. The new address is the login name once a link that was mailed to it is used; the link is valid for 24 hours and works
//     once. Asking again replaces it, and any new password makes it void.
//  2. The old address is told. Reset links that were mailed to it are void.

// EmailChangeValidity is how long the link to a new address is valid.
const EmailChangeValidity = VerificationValidity

// EmailChangeRequested says that a link is to be mailed to the new address. The link is void once there is another password.
type EmailChangeRequested struct {
	CustomerID  uuid.UUID  `json:"customerId"`
	ChangeID    uuid.UUID  `json:"changeId"`
	Address     Ciphertext `json:"address"`
	MailHash    string     `json:"mailHash"`
	ExpiresAt   time.Time  `json:"expiresAt"`
	RequestedAt time.Time  `json:"requestedAt"`
}

// EmailChanged says that the link was used: the account has another login name. The old address is told.
type EmailChanged struct {
	CustomerID uuid.UUID  `json:"customerId"`
	ChangeID   uuid.UUID  `json:"changeId"`
	Person     Ciphertext `json:"person"` // with the new address
	Former     Ciphertext `json:"former"` // the person with the old address, who is told
	MailHash   string     `json:"mailHash"`
	ChangedAt  time.Time  `json:"changedAt"`
}

// EventType names the event in the log.
func (EmailChangeRequested) EventType() string { return "EmailChangeRequested" }

// EventType names the event in the log.
func (EmailChanged) EventType() string { return "EmailChanged" }

// EmailChange is a change of the work email that waits for its link to be used.
type EmailChange struct {
	ID        uuid.UUID
	Address   Ciphertext
	MailHash  string
	ExpiresAt time.Time

	OtherHashes []string // of the same address under other secrets
}

// ErrSameEmail refuses a change that is none.
var ErrSameEmail = &Error{Kind: KindInvalid, Code: "same_email", Field: "email",
	Message: "This is your work email already. Enter the new one."}

// RequestEmailChange asks for a link to a new address; that the password was given is checked before, it needs the hash.
func (a Account) RequestEmailChange(change EmailChange, at time.Time) ([]Event, error) {
	if !a.Active {
		return nil, ErrNotRegistered
	}
	if slices.ContainsFunc(append(change.OtherHashes, change.MailHash), func(hash string) bool { return a.sameAddress(hash, a.MailHash) }) {
		return nil, ErrSameEmail
	}
	return []Event{EmailChangeRequested{
		CustomerID: a.CustomerID, ChangeID: change.ID, Address: change.Address, MailHash: change.MailHash,
		ExpiresAt: at.Add(EmailChangeValidity).UTC(), RequestedAt: at.UTC(),
	}}, nil
}

// CheckEmailChange returns why the link to a new address may not be used any more; nil while it may.
func (a Account) CheckEmailChange(change uuid.UUID, at time.Time) error {
	if a.Active && change != uuid.Nil && a.ChangeUsed == change {
		return ErrLinkUsed
	}
	if !a.Active || a.Change.ID == uuid.Nil || a.Change.ID != change {
		return ErrLinkInvalid
	}
	if !at.Before(a.Change.ExpiresAt) {
		return ErrLinkExpired
	}
	return nil
}

// ChangeEmail uses the link.
func (a Account) ChangeEmail(change uuid.UUID, person Ciphertext, at time.Time) ([]Event, error) {
	if err := a.CheckEmailChange(change, at); err != nil {
		return nil, err
	}
	return []Event{EmailChanged{
		CustomerID: a.CustomerID, ChangeID: change, Person: person, Former: a.Person, MailHash: a.Change.MailHash, ChangedAt: at.UTC(),
	}}, nil
}
