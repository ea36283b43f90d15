package commands

import (
	"context"
	"fmt"

	"github.com/pas-ta/liveness/domain"
)

// KeyAuthenticator tells whose API key a request carries.
type KeyAuthenticator struct {
	directory KeyDirectory
	secret    secrets
}

// NewKeyAuthenticator looks keys up in directory under the hash that secret gives them.
func NewKeyAuthenticator(directory KeyDirectory, secret []byte) *KeyAuthenticator {
	return &KeyAuthenticator{directory: directory, secret: secrets(secret)}
}

// AuthenticateKey finds the owner of a key, or returns ErrInvalidAPIKey. It asks the directory every time: a key that was
// regenerated must be refused by every node from the moment the new one is shown, so no node may remember the old one.
func (a *KeyAuthenticator) AuthenticateKey(ctx context.Context, key string) (KeyOwner, error) {
	if !domain.WellFormedKey(key) {
		return KeyOwner{}, domain.ErrInvalidAPIKey
	}
	owner, found, err := a.directory.FindKey(ctx, a.secret.keyHash(key))
	if err != nil {
		return KeyOwner{}, unavailable(fmt.Errorf("look up API key: %w", err))
	}
	if !found {
		return KeyOwner{}, domain.ErrInvalidAPIKey
	}
	return owner, nil
}
