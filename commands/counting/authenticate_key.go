package counting

import (
	"context"
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// KeyAuthenticator finds whose API key a request carries.
type KeyAuthenticator struct {
	directory KeyDirectory
	secret    commands.Secret
	now       func() time.Time
	recent    *lru.Cache[string, seenOwner] // by hash
}

// seenOwner is what the directory said, and when it was asked.
type seenOwner struct {
	owner KeyOwner
	asked time.Time
}

// mostRecentKeys bounds how many keys are remembered; a key takes some 300 bytes.
const mostRecentKeys = 8192

// NewKeyAuthenticator looks keys up in directory under the hash that secret gives them.
func NewKeyAuthenticator(directory KeyDirectory, secret commands.Secret, now func() time.Time) *KeyAuthenticator {
	recent, err := lru.New[string, seenOwner](mostRecentKeys)
	if err != nil {
		panic(err) // only a size below 1 is refused
	}
	return &KeyAuthenticator{directory: directory, secret: secret, now: now, recent: recent}
}

// AuthenticateKey returns the owner of a key, or ErrInvalidAPIKey. What was found may be MaxStaleness old;
// RegenerateKey outlasts that. A key that was not found is looked for again each time, so that a new one works at once.
func (a *KeyAuthenticator) AuthenticateKey(ctx context.Context, key string) (KeyOwner, error) {
	if !domain.WellFormedKey(key) {
		return KeyOwner{}, domain.ErrInvalidAPIKey
	}
	hash, asked := a.secret.APIKeyHash(key), a.now()
	if known, ok := a.recent.Get(hash); ok && commands.Fresh(known.asked, asked) {
		return known.owner, nil
	}
	owner, found, err := a.directory.FindKey(ctx, hash)
	if err != nil {
		return KeyOwner{}, commands.Unavailable(fmt.Errorf("look up API key: %w", err))
	}
	if !found {
		a.recent.Remove(hash)
		return KeyOwner{}, domain.ErrInvalidAPIKey
	}
	a.recent.Add(hash, seenOwner{owner, asked})
	return owner, nil
}
