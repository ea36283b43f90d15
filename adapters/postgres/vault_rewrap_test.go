package postgres_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
)

// rotatedVault is a vault whose secrets a test replaces.
type rotatedVault struct {
	*postgres.Vault
	t    *testing.T
	pool *pgxpool.Pool
	ring *commandstest.Keyring
}

func newRotatedVault(t *testing.T) rotatedVault {
	t.Helper()
	v := rotatedVault{t: t, pool: pgtest.Pool(t), ring: commandstest.NewKeyring("older")}
	var err error
	if v.Vault, err = postgres.NewVault(v.pool, v.ring); err != nil {
		t.Fatal(err)
	}
	return v
}

// encrypt encrypts an id for the customer of that id.
func (v rotatedVault) encrypt(customer uuid.UUID) domain.Ciphertext {
	v.t.Helper()
	ciphertext, err := v.Encrypt(v.t.Context(), customer, customer[:])
	if err != nil {
		v.t.Fatal(err)
	}
	return ciphertext
}

func (v rotatedVault) wantReadable(customer uuid.UUID, ciphertext domain.Ciphertext) {
	v.t.Helper()
	if plain, err := v.Decrypt(v.t.Context(), customer, ciphertext); err != nil || string(plain) != string(customer[:]) {
		v.t.Errorf("Decrypt = %q, %v", plain, err)
	}
}

func (v rotatedVault) wantRewrapped(want int, says ...string) {
	v.t.Helper()
	n, err := v.Rewrap(v.t.Context())
	if n != want || (err != nil) != (len(says) > 0) {
		v.t.Errorf("Rewrap = %d, %v; want %d", n, err, want)
	}
	for _, text := range says {
		if err != nil && !strings.Contains(err.Error(), text) {
			v.t.Errorf("Rewrap says %v, and not %q", err, text)
		}
	}
}

func (v rotatedVault) wantWrapped(want map[string]int64) {
	v.t.Helper()
	counts, err := v.WrappedUnder(v.t.Context())
	if diff := cmp.Diff(want, counts); err != nil || diff != "" {
		v.t.Errorf("%v, wrapped under (-want +got):\n%s", err, diff)
	}
}

// Every key comes under the secret in use, in as many batches as it takes, and what was encrypted before is read without the
// older secret. Destroyed keys stay destroyed.
func TestRewrap(t *testing.T) {
	t.Parallel()
	v := newRotatedVault(t)
	const customers = 1003 // three batches
	written := map[uuid.UUID]domain.Ciphertext{}
	for range customers {
		customer := uuid.New()
		written[customer] = v.encrypt(customer)
	}
	gone := uuid.New()
	lost := v.encrypt(gone)
	if err := v.Destroy(t.Context(), gone); err != nil {
		t.Fatal(err)
	}
	v.wantRewrapped(0)
	v.ring.Hold("newer", "older")
	recent := uuid.New()
	written[recent] = v.encrypt(recent)
	v.wantWrapped(map[string]int64{"older": customers, "newer": 1})
	v.wantRewrapped(customers)
	v.wantRewrapped(0)
	v.wantWrapped(map[string]int64{"newer": customers + 1})
	v.ring.Hold("newer")
	for customer, ciphertext := range written {
		v.wantReadable(customer, ciphertext)
	}
	if _, err := v.Decrypt(t.Context(), gone, lost); !errors.Is(err, accounts.ErrErased) {
		t.Error("a key that was destroyed is back")
	}
	v.ring.Hold("older")
	for customer, ciphertext := range written {
		if _, err := v.Decrypt(t.Context(), customer, ciphertext); err == nil || !strings.Contains(err.Error(), "newer") {
			t.Errorf("with the older secret alone: %v", err)
		}
		break
	}
}

// A key that cannot be unwrapped keeps no other from being wrapped again, stays as it is and is named.
func TestRewrapOfWhatCannotBeUnwrapped(t *testing.T) {
	t.Parallel()
	v := newRotatedVault(t)
	foreign, good, broken := uuid.New(), uuid.New(), uuid.New()
	v.ring.Hold("lost")
	v.encrypt(foreign)
	v.ring.Hold("older")
	ciphertext := v.encrypt(good)
	v.encrypt(broken)
	if _, err := v.pool.Exec(t.Context(), "update personal_data_keys set wrapped_key = '\\x00' where customer_id = $1", broken); err != nil {
		t.Fatal(err)
	}
	v.ring.Hold("newer", "older")
	for range 2 {
		v.wantRewrapped(map[bool]int{true: 1}[v.underOlder(good)], foreign.String(), "lost", broken.String())
	}
	v.wantWrapped(map[string]int64{"newer": 1, "older": 1, "lost": 1})
	v.wantReadable(good, ciphertext)
}

func (v rotatedVault) underOlder(customer uuid.UUID) (under bool) {
	v.t.Helper()
	if err := v.pool.QueryRow(v.t.Context(), "select secret_id = 'older' from personal_data_keys where customer_id = $1", customer).Scan(&under); err != nil {
		v.t.Fatal(err)
	}
	return under
}

// A person who is erased between the look at their key and its change stays erased.
func TestErasedWhileKeysAreRewrapped(t *testing.T) {
	t.Parallel()
	v := newRotatedVault(t)
	customer := uuid.New()
	ciphertext := v.encrypt(customer)
	v.ring.Hold("newer", "older")
	erasure, err := v.pool.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = erasure.Rollback(context.WithoutCancel(t.Context())) }()
	if _, err := erasure.Exec(t.Context(), "update personal_data_keys set wrapped_key = null, destroyed_at = now() where customer_id = $1", customer); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		v.wantRewrapped(0)
	}()
	v.awaitBlocked(done)
	if err := erasure.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	<-done
	if _, err := v.Decrypt(t.Context(), customer, ciphertext); !errors.Is(err, accounts.ErrErased) {
		t.Errorf("Decrypt = %v", err)
	}
}

// awaitBlocked waits until something waits for another's row.
func (v rotatedVault) awaitBlocked(done <-chan struct{}) {
	v.t.Helper()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for {
		var waiting bool
		if err := v.pool.QueryRow(v.t.Context(), `
			select exists (select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock')`).Scan(&waiting); err != nil {
			v.t.Fatal(err)
		}
		if waiting {
			return
		}
		select {
		case <-look.C:
		case <-done:
			v.t.Fatal("the key was wrapped again without a look at the erasure")
		}
	}
}
