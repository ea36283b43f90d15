package commands

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
)

// Secret is the server's secret, of which the keys of hashes and links are derived.
type Secret []byte

// minSecretLength is in bytes: a shorter secret could be guessed from what it makes.
const minSecretLength = 32

// Validate refuses a secret that is too short.
func (s Secret) Validate() error {
	if len(s) < minSecretLength {
		return errors.New("commands need a secret of at least 32 bytes")
	}
	return nil
}

// MAC returns a keyed hash of data. Every use has a label, so that a value made for one purpose is worthless for another.
func (s Secret) MAC(label string, data ...[]byte) []byte {
	m := hmac.New(sha256.New, s)
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
