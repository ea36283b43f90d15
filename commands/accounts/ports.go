package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// KeysReadModel is the read model that every node finds keys in; commands wait for it before they show a key.
const KeysReadModel = "api_keys"

// Vault encrypts personal data under a key per customer that is kept outside the log.
//
// Decrypt returns ErrErased once the customer's key is destroyed. Destroy may be repeated.
type Vault interface {
	Encrypt(ctx context.Context, customer uuid.UUID, plaintext []byte) (domain.Ciphertext, error)
	Decrypt(ctx context.Context, customer uuid.UUID, ciphertext domain.Ciphertext) ([]byte, error)
	Destroy(ctx context.Context, customer uuid.UUID) error
}

// ErrErased says that the key of the personal data no longer exists.
var ErrErased = errors.New("personal data is erased")

// Mail is a message to one person, as text and as HTML.
type Mail struct {
	ID         uuid.UUID // of the event that led to it: a mail sent again after a crash carries the same one
	Kind       string    // what it tells, for people who look after mails: a MailKind… constant
	CustomerID uuid.UUID // whose it is
	Recipient  string    // keyed hash of the address
	Source     MailSource
	To         string
	Subject    string
	Text       string
	HTML       string
}

// MailSource is where the event stands that called for a mail.
type MailSource struct {
	EventID  uuid.UUID
	Stream   string
	Revision uint64
}

// Mailer hands mails to a delivery service. Send returns nil once the service has taken the mail over.
type Mailer interface {
	Send(ctx context.Context, mail Mail) error
}

// MailRegister is a Mailer that keeps what becomes of mails. Expired says that the mails which an event called for are not
// sent any more, if they were not.
type MailRegister interface {
	Expired(ctx context.Context, event uuid.UUID) error
}

// ErrUndeliverable says that to send the same mail to the same recipient again is pointless. What else a delivery service
// says of itself, of us or of our login is for an operator to put right, and no reason to give a mail up.
var ErrUndeliverable = errors.New("undeliverable")

// Undeliverable returns whether a failure to handle an event would only come again.
func Undeliverable(err error) bool { return errors.Is(err, ErrUndeliverable) }

// ErrDeferred says that the recipient's server wants the mail later; the delivery service itself works.
var ErrDeferred = errors.New("deferred")

// UndeliverableCause is what is wrong with a recipient.
type UndeliverableCause string

// What is wrong with a recipient.
const (
	CauseAddress    UndeliverableCause = "address"    // it is no address
	CauseNoDomain   UndeliverableCause = "no-domain"  // nobody takes mails for the part behind the @
	CauseNoMailbox  UndeliverableCause = "no-mailbox" // its server does not know it
	CauseDisabled   UndeliverableCause = "disabled"   // its server takes nothing for it
	CauseFull       UndeliverableCause = "full"
	CauseSuppressed UndeliverableCause = "suppressed" // the delivery service gave it up after earlier mails
	CauseRejected   UndeliverableCause = "rejected"   // refused without saying why
	CauseComplaint  UndeliverableCause = "complaint"  // the recipient called a mail of ours spam
)

// UndeliverableError is a mail that its recipient will never get. It names no address: it is logged.
type UndeliverableError struct {
	Cause  UndeliverableCause
	Answer string // of the recipient's server, numbers only: "550 5.1.1"
}

// Error returns the cause and the answer.
func (e *UndeliverableError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("undeliverable (%s) %s", e.Cause, e.Answer))
}

// Is says that it is an ErrUndeliverable.
func (e *UndeliverableError) Is(target error) bool { return target == ErrUndeliverable }

// Delivery is what became of a mail.
type Delivery struct {
	Known   bool                // it was tried
	Sent    bool                // the delivery service has taken it
	Refused *UndeliverableError // its recipient will never get it
}

// Deliveries says what became of the mail that an event called for, for the pages that wait for it.
type Deliveries interface {
	Delivery(ctx context.Context, event uuid.UUID) (Delivery, error)
	// DeliveryTo says it of the newest mail that came to something, to an address by its keyed hash.
	DeliveryTo(ctx context.Context, recipient string) (Delivery, error)
}
