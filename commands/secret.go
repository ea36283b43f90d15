package commands

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// Purpose is what a secret of the server is for. Each purpose has secrets of its own, so that one can be replaced, or leak,
// without the others.
type Purpose string

// The purposes of secrets.
const (
	PurposeAPIKeys      Purpose = "api-keys"      // digests of API keys, and of requests with an Idempotency-Key
	PurposeMailLookup   Purpose = "mail-lookup"   // what mail addresses are looked up by
	PurposeLinks        Purpose = "links"         // tokens in the links of mails
	PurposeVault        Purpose = "vault"         // wraps the keys of personal data
	PurposeSessions     Purpose = "sessions"      // how devices are known again, and whose attempts are counted
	PurposeAuditSigning Purpose = "audit-signing" // signs what is published of the log
)

// Purposes lists all purposes.
func Purposes() []Purpose {
	return []Purpose{PurposeAPIKeys, PurposeMailLookup, PurposeLinks, PurposeVault, PurposeSessions, PurposeAuditSigning}
}

// Secret is one of the server's secrets. It prints as its id, so that it cannot slip into a log.
type Secret struct {
	ID      string
	Key     []byte
	Created time.Time // zero when that is not known
}

// String returns the id.
func (s Secret) String() string { return s.ID }

// GoString returns the id.
func (s Secret) GoString() string { return s.ID }

// MAC returns a keyed hash of data. Every use has a label, so that a value made for one purpose is worthless for another.
func (s Secret) MAC(label string, data ...[]byte) []byte {
	m := hmac.New(sha256.New, s.Key)
	m.Write([]byte(label))
	for _, d := range data {
		m.Write([]byte{0})
		m.Write(d)
	}
	return m.Sum(nil)
}

// APIKeyHash returns what an API key is stored and looked up by.
func (s Secret) APIKeyHash(key string) string {
	return hex.EncodeToString(s.MAC("api-key", []byte(key)))
}

// Keyring holds the server's secrets.
//
// Secrets returns those of a purpose as they are now: first the one in use, which makes what is new, behind it every other
// one that something may have been made with. There is always one, and the same call may return others in the next moment.
type Keyring interface {
	Secrets(purpose Purpose) []Secret
}

// InUse returns the secret of a purpose that makes what is new.
func InUse(ring Keyring, purpose Purpose) Secret { return ring.Secrets(purpose)[0] }

// OneSecret is a key ring of a single secret for every purpose, which is never replaced.
type OneSecret []byte

// Secrets returns the one secret.
func (s OneSecret) Secrets(Purpose) []Secret { return []Secret{{ID: domain.EldestSecretID, Key: s}} }

// MinSecretLength is in bytes: a shorter secret could be guessed from what it makes.
const MinSecretLength = 32

// ValidateKeyring refuses a key ring that lacks a secret, or has one that is too short.
func ValidateKeyring(ring Keyring) error {
	if ring == nil {
		return errors.New("commands need a key ring")
	}
	for _, purpose := range Purposes() {
		secrets := ring.Secrets(purpose)
		if len(secrets) == 0 {
			return errors.New("the key ring holds no secret for " + string(purpose))
		}
		for _, secret := range secrets {
			if len(secret.Key) < MinSecretLength {
				return errors.New("secrets need at least 32 bytes; that for " + string(purpose) + " is shorter")
			}
		}
	}
	return nil
}
