package commands

import (
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// Config is what an Application is built from. All of it is required.
type Config struct {
	Store     EventStore
	Vault     Vault
	Barrier   Barrier
	Catalogue domain.Catalogue
	Secret    Secret           // at least 32 bytes; keys of the hashes and links are derived from it
	Now       func() time.Time // the wall clock; tests set their own
	Log       *slog.Logger
}

// Application is every command of the product: a method each, in a file of its name.
type Application struct {
	Executor
	vault     Vault
	barrier   Barrier
	catalogue domain.Catalogue
	secret    Secret
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
	if err := errors.Join(append(missing, c.Secret.Validate())...); err != nil {
		return nil, err
	}
	return &Application{
		vault: c.Vault, barrier: c.Barrier, catalogue: c.Catalogue,
		secret: c.Secret, log: c.Log,
		Executor: Executor{Store: c.Store, Now: c.Now},
	}, nil
}

// newKey draws an API key and what is stored of it.
func newKey(secret Secret) (key string, digest domain.KeyDigest, err error) {
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
	return key, domain.KeyDigest{Hash: secret.APIKeyHash(key), Prefix: key[:domain.KeyVisibleLength]}, nil
}
