package domain

import (
	"time"

	"github.com/google/uuid"
)

// MailAddressClaimed says that a verified mail address is the login name of an account.
type MailAddressClaimed struct {
	CustomerID uuid.UUID `json:"customerId"`
	ClaimedAt  time.Time `json:"claimedAt"`
	SecretID   string    `json:"secretId,omitempty"` // that the stream's hash is keyed with; empty of the one before secrets had ids
}

// MailAddressReleased says that the address may be used by another account.
type MailAddressReleased struct {
	CustomerID uuid.UUID `json:"customerId"`
	ReleasedAt time.Time `json:"releasedAt"`
}

// EventType names the event in the log.
func (MailAddressClaimed) EventType() string { return "MailAddressClaimed" }

// EventType names the event in the log.
func (MailAddressReleased) EventType() string { return "MailAddressReleased" }

func registerMailAddressEvents(r *Registry) {
	register[MailAddressClaimed](r, CategoryMailAddress)
	register[MailAddressReleased](r, CategoryMailAddress)
}

// ErrMailAddressTaken refuses a second account under one address.
var ErrMailAddressTaken = &Error{Kind: KindConflict, Code: "mail_address_taken", Field: "email",
	Message: "This mail address already belongs to an account. Use another address, or log in."}

// MailAddress is the state of one login name.
type MailAddress struct {
	Owner uuid.UUID // Nil when free
}

// Fold returns the state after one more event.
func (m MailAddress) Fold(event Event) MailAddress {
	switch e := event.(type) {
	case MailAddressClaimed:
		m.Owner = e.CustomerID
	case MailAddressReleased:
		m.Owner = uuid.Nil
	}
	return m
}

// Claim makes the address the login name of a customer, under the hash that a secret gives it. Theirs already, it records
// nothing.
func (m MailAddress) Claim(customer uuid.UUID, secretID string, at time.Time) ([]Event, error) {
	switch m.Owner {
	case uuid.Nil:
		return []Event{MailAddressClaimed{CustomerID: customer, ClaimedAt: at.UTC(), SecretID: secretID}}, nil
	case customer:
		return nil, nil
	}
	return nil, ErrMailAddressTaken
}

// Release gives the address back.
func (m MailAddress) Release(customer uuid.UUID, at time.Time) []Event {
	if m.Owner != customer {
		return nil
	}
	return []Event{MailAddressReleased{CustomerID: customer, ReleasedAt: at.UTC()}}
}
