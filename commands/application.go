package commands

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Config is what an Application is built from. All of it is required.
type Config struct {
	Store     EventStore
	Vault     Vault
	Barrier   Barrier
	Catalogue domain.Catalogue
	Secret    []byte           // at least 32 bytes; keys of the hashes and links are derived from it
	Now       func() time.Time // the wall clock; tests set their own
	Log       *slog.Logger
}

// Application is every command of the product: a method each, in a file of its name.
type Application struct {
	store     EventStore
	vault     Vault
	barrier   Barrier
	catalogue domain.Catalogue
	secret    secrets
	now       func() time.Time
	log       *slog.Logger
}

// New builds the application, or says what is missing.
func New(c Config) (*Application, error) {
	var missing []error
	for name, absent := range map[string]bool{
		"Store": c.Store == nil, "Vault": c.Vault == nil, "Barrier": c.Barrier == nil, "Now": c.Now == nil, "Log": c.Log == nil,
		"Catalogue": len(c.Catalogue.Plans()) == 0,
	} {
		if absent {
			missing = append(missing, fmt.Errorf("commands need %s", name))
		}
	}
	if len(c.Secret) < 32 {
		missing = append(missing, errors.New("commands need a secret of at least 32 bytes"))
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	return &Application{
		store: c.Store, vault: c.Vault, barrier: c.Barrier, catalogue: c.Catalogue,
		secret: secrets(c.Secret), now: c.Now, log: c.Log,
	}, nil
}

// Origin says where a command comes from; it ends up in the metadata of its events.
type Origin struct {
	CommandID     uuid.UUID // also the seed of the event ids: a repeated command writes the same events
	CorrelationID uuid.UUID
	Actor         string
}

// NewOrigin starts a chain of events on behalf of actor.
func NewOrigin(actor string) Origin {
	id := uuid.New()
	return Origin{CommandID: id, CorrelationID: id, Actor: actor}
}

// secrets is the server's secret. Every use has a label, so that a value made for one purpose is worthless for another.
type secrets []byte

func (s secrets) mac(label string, data ...[]byte) []byte {
	m := hmac.New(sha256.New, s)
	m.Write([]byte(label))
	for _, d := range data {
		m.Write([]byte{0})
		m.Write(d)
	}
	return m.Sum(nil)
}

func (s secrets) keyHash(key string) string { return hex.EncodeToString(s.mac("api-key", []byte(key))) }

// newKey draws an API key and what is stored of it.
func (s secrets) newKey() (key string, digest domain.KeyDigest, err error) {
	letters := make([]byte, 0, domain.KeyLength-len(domain.KeyPrefix))
	buffer := make([]byte, 64)
	for len(letters) < cap(letters) {
		if _, err := rand.Read(buffer); err != nil {
			return "", domain.KeyDigest{}, fmt.Errorf("draw an API key: %w", err)
		}
		for _, b := range buffer {
			// Values past the last whole multiple of the alphabet are dropped; keeping them would favour its beginning.
			if limit := 256 - 256%len(domain.KeyAlphabet); int(b) < limit && len(letters) < cap(letters) {
				letters = append(letters, domain.KeyAlphabet[int(b)%len(domain.KeyAlphabet)])
			}
		}
	}
	key = domain.KeyPrefix + string(letters)
	return key, domain.KeyDigest{Hash: s.keyHash(key), Prefix: key[:domain.KeyVisibleLength]}, nil
}
