package keyring

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/pas-ta/liveness/commands"
)

// SigningKey returns the Ed25519 key that a secret for audit signing stands for. Its public half may be published, and has
// to be kept when the secret is retired: what was signed is checked with it.
func SigningKey(secret commands.Secret) (ed25519.PrivateKey, error) {
	seed, err := hkdf.Key(sha256.New, secret.Key, nil, "liveness audit signing", ed25519.SeedSize)
	if err != nil {
		return nil, fmt.Errorf("derive the key that signs audits: %w", err)
	}
	return ed25519.NewKeyFromSeed(seed), nil
}
