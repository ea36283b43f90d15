package keyring

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"fmt"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain/transparency"
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

// CheckpointSigners returns what signs checkpoints of a log, by each secret for audit signing that the ring holds now, the one
// in use first.
func CheckpointSigners(ring commands.Keyring) func(origin string) ([]transparency.Signer, error) {
	return func(origin string) ([]transparency.Signer, error) {
		var signers []transparency.Signer
		for _, secret := range ring.Secrets(commands.PurposeAuditSigning) {
			key, err := SigningKey(secret)
			if err != nil {
				return nil, err
			}
			signer, err := transparency.NewSigner(origin, key)
			if err != nil {
				return nil, err
			}
			signers = append(signers, signer)
		}
		return signers, nil
	}
}
