package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
)

// wantSecrets fails unless a ring is taken, or refused with all of says.
func (v rotatedVault) wantSecrets(ring commands.Keyring, says ...string) {
	v.t.Helper()
	err := postgres.CheckSecrets(v.t.Context(), v.pool, ring)
	if errors.Is(err, postgres.ErrOtherSecrets) != (len(says) > 0) || err != nil && len(says) == 0 {
		v.t.Errorf("the check says %v, want %q", err, says)
		return
	}
	for _, want := range says {
		if !strings.Contains(err.Error(), want) {
			v.t.Errorf("the check says %v, want %q", err, want)
		}
	}
}

func TestSecretsThatTheDatabaseWasNotWrittenWith(t *testing.T) {
	t.Parallel()
	v := newRotatedVault(t)
	secret := commands.OneSecret(strings.Repeat("1", 32))
	v.wantSecrets(secret) // of an empty database any is right
	v.wantSecrets(secret)
	other := commands.OneSecret(strings.Repeat("2", 32))
	v.wantSecrets(other, "is another", "for api-keys", "for vault")
	v.wantSecrets(secret)
	v.wantSecrets(commandstest.NewKeyring("drawn"), "is missing", "for links")
}

func TestSecretsOfADatabaseThatHasNotedNone(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		ring commands.Keyring
		says []string
	}{
		"its own":           {commandstest.NewKeyring("older"), nil},
		"one of another id": {commandstest.NewKeyring("newer"), []string{"older", "is missing", "2 keys of personal data"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newRotatedVault(t)
			v.encrypt(uuid.New())
			v.encrypt(uuid.New())
			v.wantSecrets(tt.ring, tt.says...)
		})
	}
	t.Run("another of the same id", func(t *testing.T) {
		t.Parallel()
		pool := pgtest.Pool(t)
		vault, err := postgres.NewVault(pool, commands.OneSecret(strings.Repeat("1", 32)))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := vault.Encrypt(t.Context(), uuid.New(), []byte("Ada")); err != nil {
			t.Fatal(err)
		}
		err = postgres.CheckSecrets(t.Context(), pool, commands.OneSecret(strings.Repeat("2", 32)))
		if !errors.Is(err, postgres.ErrOtherSecrets) || !strings.Contains(err.Error(), "is another than that under which 1 keys") {
			t.Errorf("the check says %v", err)
		}
		if err := postgres.CheckSecrets(t.Context(), pool, commands.OneSecret(strings.Repeat("1", 32))); err != nil {
			t.Errorf("with its own secret: %v", err)
		}
	})
}

// A secret may be missing once it was retired, whether it had been noted or not.
func TestRetiredSecretsMayBeMissing(t *testing.T) {
	t.Parallel()
	for name, noted := range map[string]bool{"noted": true, "not noted": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newRotatedVault(t)
			v.encrypt(uuid.New())
			if noted {
				v.wantSecrets(v.ring)
			}
			newer := commandstest.NewKeyring("newer")
			v.wantSecrets(newer, "older", "is missing")
			for id, want := range map[string]bool{"older": true, "never": false} {
				if known, err := postgres.NoteRetired(t.Context(), v.pool, id); err != nil || known != want {
					t.Errorf("retiring %s: known: %t, %v", id, known, err)
				}
			}
			v.wantSecrets(newer)
			v.wantSecrets(commandstest.NewKeyring("newer", "older")) // it may still be there, in a file that was not brought to every node
		})
	}
}
