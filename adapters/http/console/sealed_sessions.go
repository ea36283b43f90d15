package console

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"

	"github.com/alexedwards/scs/v2"
)

// sealedSessions keeps sessions so that who reads the database, a backup of it or what a disk still holds of deleted rows learns
// nothing of the people: a session has what somebody typed, as their mail address. It is found by a hash of the token and sealed
// under a key of the token, which the browser alone has. What cannot be opened is no session.
type sealedSessions struct {
	store scs.Store
}

// Find implements scs.Store.
func (s sealedSessions) Find(token string) (data []byte, found bool, err error) {
	sealed, found, err := s.store.Find(tokenHash(token))
	if err != nil || !found {
		return nil, false, err
	}
	key, err := sessionKey(token)
	if err != nil {
		return nil, false, err
	}
	data, err = key.Open(nil, nil, sealed, nil)
	return data, err == nil, nil
}

// Commit implements scs.Store.
func (s sealedSessions) Commit(token string, data []byte, expiry time.Time) error {
	key, err := sessionKey(token)
	if err != nil {
		return err
	}
	return s.store.Commit(tokenHash(token), key.Seal(nil, nil, data, nil), expiry)
}

// Delete implements scs.Store.
func (s sealedSessions) Delete(token string) error { return s.store.Delete(tokenHash(token)) }

// tokenHash is what the database knows a token by: who reads it there cannot take the session over.
func tokenHash(token string) string {
	hash := sha256.Sum256([]byte(token))
	return base64.RawURLEncoding.EncodeToString(hash[:])
}

// sessionKey is what a session is sealed under.
func sessionKey(token string) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, []byte(token), nil, "liveness session", 32)
	if err != nil {
		return nil, fmt.Errorf("derive the key of a session: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up AES: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}
