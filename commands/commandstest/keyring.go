package commandstest

import (
	"crypto/sha256"
	"sync/atomic"

	"github.com/pas-ta/liveness/commands"
)

// Keyring is a key ring whose secrets tests replace, the same for every purpose.
type Keyring struct {
	secrets atomic.Pointer[[]commands.Secret]
}

var _ commands.Keyring = (*Keyring)(nil)

// NewKeyring returns a ring of the secrets with these ids; the first is in use.
func NewKeyring(ids ...string) *Keyring {
	k := &Keyring{}
	k.Hold(ids...)
	return k
}

// Hold replaces the secrets. An id stands for the same secret whenever it is held.
func (k *Keyring) Hold(ids ...string) {
	var secrets []commands.Secret
	for _, id := range ids {
		key := sha256.Sum256([]byte("secret " + id))
		secrets = append(secrets, commands.Secret{ID: id, Key: key[:]})
	}
	k.secrets.Store(&secrets)
}

// Secrets implements commands.Keyring.
func (k *Keyring) Secrets(commands.Purpose) []commands.Secret { return *k.secrets.Load() }
