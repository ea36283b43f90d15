package postgres_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

var secret = bytes.Repeat([]byte("secret"), 6)

func newVault(t *testing.T, pool *pgxpool.Pool, secret []byte) *postgres.Vault {
	t.Helper()
	vault, err := postgres.NewVault(pool, commands.OneSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	return vault
}

func TestVaultEncryptsAndDecrypts(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	vault, elsewhere := newVault(t, pool, secret), newVault(t, pool, secret)
	customer := uuid.New()
	for _, plain := range []string{"", "山田 太郎", strings.Repeat("long ", 10_000)} {
		ciphertext, err := vault.Encrypt(t.Context(), customer, []byte(plain))
		if err != nil {
			t.Fatal(err)
		}
		if plain != "" && strings.Contains(string(ciphertext), plain) {
			t.Error("the ciphertext shows the plain text")
		}
		decrypted, err := elsewhere.Decrypt(t.Context(), customer, ciphertext)
		if err != nil || string(decrypted) != plain {
			t.Errorf("Decrypt = %.20q, %v", decrypted, err)
		}
	}
	one, _ := vault.Encrypt(t.Context(), customer, []byte("same"))
	two, _ := vault.Encrypt(t.Context(), customer, []byte("same"))
	if one == two {
		t.Error("encrypting the same twice gives the same text")
	}
}

// TestVaultRefuses: what was tampered with, belongs to another customer or to another secret does not open.
func TestVaultRefuses(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	vault, customer, other := newVault(t, pool, secret), uuid.New(), uuid.New()
	ciphertext, err := vault.Encrypt(t.Context(), customer, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Encrypt(t.Context(), other, []byte("plain")); err != nil {
		t.Fatal(err)
	}
	flipped := []byte(ciphertext)
	flipped[len(flipped)/2] ^= 1
	for name, try := range map[string]struct {
		customer   uuid.UUID
		ciphertext domain.Ciphertext
	}{
		"another customer's": {other, ciphertext},
		"nobody's":           {uuid.New(), ciphertext},
		"tampered":           {customer, domain.Ciphertext(flipped)},
		"cut off":            {customer, ciphertext[:len(ciphertext)/2]},
		"a version ahead":    {customer, "v2." + ciphertext[3:]},
		"not encrypted":      {customer, "plain"},
		"empty":              {customer, ""},
		"prefix only":        {customer, "v1."},
	} {
		decrypted, err := vault.Decrypt(t.Context(), try.customer, try.ciphertext)
		if err == nil || errors.Is(err, accounts.ErrErased) {
			t.Errorf("%s: Open = %q, %v", name, decrypted, err)
		}
	}
	stranger := newVault(t, pool, bytes.Repeat([]byte("other"), 8))
	if _, err := stranger.Decrypt(t.Context(), customer, ciphertext); err == nil || !strings.Contains(err.Error(), "secret") {
		t.Errorf("Decrypt with another secret = %v", err)
	}
	if _, err := postgres.NewVault(pool, commands.OneSecret("short")); err == nil {
		t.Error("a short secret is taken")
	}
	// A row moved to another customer, by somebody who can write the database, is worthless there.
	if _, err := pool.Exec(t.Context(), `
		update personal_data_keys set wrapped_key = (select wrapped_key from personal_data_keys where customer_id = $1) where customer_id = $2`, customer, other); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.Decrypt(t.Context(), other, ciphertext); err == nil {
		t.Error("a key that was moved to another customer opens")
	}
}

func TestVaultDestroys(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	vault, elsewhere := newVault(t, pool, secret), newVault(t, pool, secret)
	known, unknown := uuid.New(), uuid.New()
	ciphertext, err := vault.Encrypt(t.Context(), known, []byte("plain"))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // may be repeated
		for _, customer := range []uuid.UUID{known, unknown} {
			if err := elsewhere.Destroy(t.Context(), customer); err != nil {
				t.Fatal(err)
			}
			if _, err := vault.Encrypt(t.Context(), customer, []byte("again")); !errors.Is(err, accounts.ErrErased) {
				t.Errorf("Encrypt after the erasure = %v", err)
			}
		}
		if _, err := vault.Decrypt(t.Context(), known, ciphertext); !errors.Is(err, accounts.ErrErased) {
			t.Errorf("Decrypt after the erasure = %v", err)
		}
	}
	living := uuid.New()
	if _, err := vault.Encrypt(t.Context(), living, []byte("plain")); err != nil {
		t.Fatal(err)
	}
	destroyed, err := vault.Destroyed(t.Context(), []uuid.UUID{known, unknown, living, uuid.New()})
	if age := time.Since(destroyed[known]); err != nil || len(destroyed) != 2 || destroyed[unknown].IsZero() || age < -time.Minute || age > time.Hour {
		t.Errorf("destroyed are %v, %v", destroyed, err)
	}
	if err := vault.Destroy(t.Context(), living); err != nil {
		t.Fatal(err)
	}
	var keys int
	if err := pool.QueryRow(t.Context(), "select count(wrapped_key) from personal_data_keys").Scan(&keys); err != nil || keys != 0 {
		t.Errorf("%d keys are left, %v", keys, err)
	}
}

// TestVaultFirstEncryptsAtOnce: of first calls at the same time one makes the key, and all texts can be read.
func TestVaultFirstEncryptsAtOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	customer := uuid.New()
	var mu sync.Mutex
	ciphertext := map[domain.Ciphertext]string{}
	var encrypting sync.WaitGroup
	for n := range 12 {
		vault := newVault(t, pool, secret)
		encrypting.Go(func() {
			plain := fmt.Sprint(n)
			text, err := vault.Encrypt(t.Context(), customer, []byte(plain))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			ciphertext[text] = plain
			mu.Unlock()
		})
	}
	encrypting.Wait()
	vault := newVault(t, pool, secret)
	for text, plain := range ciphertext {
		if decrypted, err := vault.Decrypt(t.Context(), customer, text); err != nil || string(decrypted) != plain {
			t.Errorf("Decrypt = %q, %v; want %q", decrypted, err, plain)
		}
	}
}
