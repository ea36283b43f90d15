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
	ring      commands.Keyring
	now       func() time.Time
	recent    *lru.Cache[string, seenOwner] // by the hash under the secret in use

	// Rehash is told of keys that are known under another secret than the one in use, each time one is looked for. It
	// does not wait. Nil leaves them as they are.
	Rehash func(RehashKey)
}

// seenOwner is what the directory said, and when it was asked.
type seenOwner struct {
	owner KeyOwner
	asked time.Time
}

// mostRecentKeys bounds how many keys are remembered; a key takes some 300 bytes.
const mostRecentKeys = 8192

// NewKeyAuthenticator looks keys up in directory under the hashes that the secrets of ring give them.
func NewKeyAuthenticator(directory KeyDirectory, ring commands.Keyring, now func() time.Time) *KeyAuthenticator {
	recent, err := lru.New[string, seenOwner](mostRecentKeys)
	if err != nil {
		panic(err) // only a size below 1 is refused
	}
	return &KeyAuthenticator{directory: directory, ring: ring, now: now, recent: recent}
}

// AuthenticateKey returns the owner of a key, or ErrInvalidAPIKey. What was found may be MaxStaleness old;
// RegenerateKey outlasts that. A key that was not found is looked for again each time, so that a new one works at once.
func (a *KeyAuthenticator) AuthenticateKey(ctx context.Context, key string) (KeyOwner, error) {
	if !domain.WellFormedKey(key) {
		return KeyOwner{}, domain.ErrInvalidAPIKey
	}
	secrets, asked := a.ring.Secrets(commands.PurposeAPIKeys), a.now()
	hash := secrets[0].APIKeyHash(key)
	if known, ok := a.recent.Get(hash); ok && commands.Fresh(known.asked, asked) {
		return known.owner, nil
	}
	hashes := []string{hash}
	for _, secret := range secrets[1:] {
		hashes = append(hashes, secret.APIKeyHash(key))
	}
	owner, by, err := a.directory.FindKey(ctx, hashes)
	if err != nil {
		return KeyOwner{}, commands.Unavailable(fmt.Errorf("look up API key: %w", err))
	}
	if by == "" {
		a.recent.Remove(hash)
		return KeyOwner{}, domain.ErrInvalidAPIKey
	}
	a.recent.Add(hash, seenOwner{owner, asked})
	if by != hash && a.Rehash != nil {
		a.Rehash(RehashKey{CustomerID: owner.CustomerID, Slot: owner.Slot, Former: by, Key: domain.NewKeyDigest(key, hash, secrets[0].ID)})
	}
	return owner, nil
}
