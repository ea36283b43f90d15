package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

var secret = bytes.Repeat([]byte("secret"), 6)

func newVault(t *testing.T, pool *pgxpool.Pool, secret []byte) *postgres.Vault {
	t.Helper()
	vault, err := postgres.NewVault(pool, secret)
	if err != nil {
		t.Fatal(err)
	}
	return vault
}

func TestVaultSealsAndOpens(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	vault, elsewhere := newVault(t, pool, secret), newVault(t, pool, secret)
	customer := uuid.New()
	for _, plain := range []string{"", "山田 太郎", strings.Repeat("long ", 10_000)} {
		sealed, err := vault.Seal(t.Context(), customer, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		if plain != "" && strings.Contains(string(sealed), plain) {
			t.Error("the sealed form shows the plain text")
		}
		opened, err := elsewhere.Open(t.Context(), customer, sealed)
		if err != nil || string(opened) != plain {
			t.Errorf("Open = %.20q, %v", opened, err)
		}
	}
	one, _ := vault.Seal(t.Context(), customer, []byte("same"))
	two, _ := vault.Seal(t.Context(), customer, []byte("same"))
	if one == two {
		t.Error("sealing the same twice gives the same text")
	}
}

// TestVaultRefuses: what was tampered with, belongs to another customer or to another secret does not open.
func TestVaultRefuses(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	vault, customer, other := newVault(t, pool, secret), uuid.New(), uuid.New()
	sealed, err := vault.Seal(t.Context(), customer, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Seal(t.Context(), other, []byte("plain")); err != nil {
		t.Fatal(err)
	}
	flipped := []byte(sealed)
	flipped[len(flipped)/2] ^= 1
	for name, try := range map[string]struct {
		customer uuid.UUID
		sealed   domain.Sealed
	}{
		"another customer's": {other, sealed},
		"nobody's":           {uuid.New(), sealed},
		"tampered":           {customer, domain.Sealed(flipped)},
		"cut off":            {customer, sealed[:len(sealed)/2]},
		"a version ahead":    {customer, "v2." + sealed[3:]},
		"not sealed":         {customer, "plain"},
		"empty":              {customer, ""},
		"prefix only":        {customer, "v1."},
	} {
		opened, err := vault.Open(t.Context(), try.customer, try.sealed)
		if err == nil || errors.Is(err, accounts.ErrErased) {
			t.Errorf("%s: Open = %q, %v", name, opened, err)
		}
	}
	stranger := newVault(t, pool, bytes.Repeat([]byte("other"), 8))
	if _, err := stranger.Open(t.Context(), customer, sealed); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("Open with another secret = %v", err)
	}
	if _, err := postgres.NewVault(pool, []byte("short")); err == nil {
		t.Error("a short secret is taken")
	}
	// A row moved to another customer, by somebody who can write the database, is worthless there.
	if _, err := pool.Exec(t.Context(), `
		update personal_data_keys set wrapped_key = (select wrapped_key from personal_data_keys where customer_id = $1) where customer_id = $2`, customer, other); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Open(t.Context(), other, sealed); err == nil {
		t.Error("a key that was moved to another customer opens")
	}
}

func TestVaultDestroys(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	vault, elsewhere := newVault(t, pool, secret), newVault(t, pool, secret)
	known, unknown := uuid.New(), uuid.New()
	sealed, err := vault.Seal(t.Context(), known, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // may be repeated
		for _, customer := range []uuid.UUID{known, unknown} {
			if err := elsewhere.Destroy(t.Context(), customer); err != nil {
				t.Fatal(err)
			}
			if _, err := vault.Seal(t.Context(), customer, []byte("again")); !errors.Is(err, accounts.ErrErased) {
				t.Errorf("Seal after the erasure = %v", err)
			}
		}
		if _, err := vault.Open(t.Context(), known, sealed); !errors.Is(err, accounts.ErrErased) {
			t.Errorf("Open after the erasure = %v", err)
		}
	}
	var keys int
	if err := pool.QueryRow(t.Context(), "select count(wrapped_key) from personal_data_keys").Scan(&keys); err != nil || keys != 0 {
		t.Errorf("%d keys are left, %v", keys, err)
	}
}

// TestVaultFirstSealsAtOnce: of first seals at the same time one makes the key, and all texts open.
func TestVaultFirstSealsAtOnce(t *testing.T) {
	t.Parallel()
	pool := migrated(t)
	customer := uuid.New()
	var mu sync.Mutex
	sealed := map[domain.Sealed]string{}
	var sealing sync.WaitGroup
	for n := range 12 {
		vault := newVault(t, pool, secret)
		sealing.Go(func() {
			plain := fmt.Sprint(n)
			text, err := vault.Seal(t.Context(), customer, []byte(plain))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			sealed[text] = plain
			mu.Unlock()
		})
	}
	sealing.Wait()
	vault := newVault(t, pool, secret)
	for text, plain := range sealed {
		if opened, err := vault.Open(t.Context(), customer, text); err != nil || string(opened) != plain {
			t.Errorf("Open = %q, %v; want %q", opened, err, plain)
		}
	}
}
