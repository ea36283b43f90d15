package accounts

import (
	"context"
	"errors"

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
	ID      uuid.UUID // of the event that led to it: a mail sent again after a crash carries the same one
	To      string
	Subject string
	Text    string
	HTML    string
}

// Mailer hands mails to a delivery service. Send returns nil once the service has taken the mail over.
type Mailer interface {
	Send(ctx context.Context, mail Mail) error
}

// ErrUndeliverable says that to send the same mail again is pointless.
var ErrUndeliverable = errors.New("undeliverable")

// Undeliverable returns whether a failure to handle an event would only come again.
func Undeliverable(err error) bool { return errors.Is(err, ErrUndeliverable) }
