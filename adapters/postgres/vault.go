package postgres

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

const (
	keyBytes          = 32 // AES-256
	ciphertextVersion = "v1."
)

// Vault encrypts personal data with AES-256-GCM under a random key per customer. The keys are in Postgres, wrapped under a
// key that is derived from one of the server's secrets, whose id stands beside: neither the database nor the secrets alone
// open anything.
//
// It remembers no keys. A destroyed key is therefore gone on every node at once; the price is one primary-key read per
// call, which happens when a person's data is shown or entered and never on the way of a check.
//
// Postgres keeps the old version of a destroyed key's row until its next vacuum, and backups keep it as long as they are
// kept themselves.
type Vault struct {
	pool *pgxpool.Pool
	ring commands.Keyring
}

var (
	_ accounts.Vault         = (*Vault)(nil)
	_ accounts.DestroyedKeys = (*Vault)(nil)
)

// NewVault returns the vault over pool. Keys are wrapped under the secret of ring that is in use; what is wrapped under one that
// ring does not hold cannot be read.
func NewVault(pool *pgxpool.Pool, ring commands.Keyring) (*Vault, error) {
	if err := commands.ValidateKeyring(ring); err != nil {
		return nil, fmt.Errorf("the vault cannot wrap keys: %w", err)
	}
	return &Vault{pool: pool, ring: ring}, nil
}

// Encrypt encrypts plaintext for a customer, who gets a key at the first call. It returns ErrErased once that is destroyed.
func (v *Vault) Encrypt(ctx context.Context, customer uuid.UUID, plaintext []byte) (domain.Ciphertext, error) {
	key, err := v.key(ctx, customer)
	if errors.Is(err, pgx.ErrNoRows) {
		if err = v.create(ctx, customer); err == nil {
			key, err = v.key(ctx, customer) // read back: of two first calls one key has won
		}
	}
	if err != nil {
		return "", err
	}
	return domain.Ciphertext(ciphertextVersion + base64.RawURLEncoding.EncodeToString(encrypt(key, plaintext, customer))), nil
}

// Decrypt decrypts what Encrypt gave for the same customer. It returns ErrErased when the key is destroyed.
func (v *Vault) Decrypt(ctx context.Context, customer uuid.UUID, ciphertext domain.Ciphertext) ([]byte, error) {
	text, known := strings.CutPrefix(string(ciphertext), ciphertextVersion)
	if !known {
		return nil, errors.New("encrypted personal data has an unknown form")
	}
	data, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("encrypted personal data is damaged: it is not base64")
	}
	key, err := v.key(ctx, customer)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("customer %s has no personal-data key: is this the database that belongs to the log?", customer)
	}
	if err != nil {
		return nil, err
	}
	plaintext, err := decrypt(key, data, customer)
	if err != nil {
		return nil, fmt.Errorf("open personal data of customer %s: %w", customer, err)
	}
	return plaintext, nil
}

// Destroy makes everything encrypted for a customer unreadable for ever. A customer without a key gets none afterwards.
func (v *Vault) Destroy(ctx context.Context, customer uuid.UUID) error {
	_, err := v.pool.Exec(ctx, `
		insert into personal_data_keys (customer_id, wrapped_key, destroyed_at) values ($1, null, now())
		on conflict (customer_id) do update set wrapped_key = null, destroyed_at = excluded.destroyed_at
		where personal_data_keys.destroyed_at is null`, customer)
	if err != nil {
		return fmt.Errorf("destroy the personal-data key of customer %s: %w", customer, err)
	}
	return nil
}

// Destroyed returns which of the customers' keys are destroyed, and since when.
func (v *Vault) Destroyed(ctx context.Context, customers []uuid.UUID) (map[uuid.UUID]time.Time, error) {
	rows, _ := v.pool.Query(ctx, "select customer_id, destroyed_at from personal_data_keys where destroyed_at is not null and customer_id = any($1)", customers)
	destroyed := map[uuid.UUID]time.Time{}
	var customer uuid.UUID
	var at time.Time
	if _, err := pgx.ForEachRow(rows, []any{&customer, &at}, func() error {
		destroyed[customer] = at.UTC()
		return nil
	}); err != nil {
		return nil, fmt.Errorf("read which personal-data keys are destroyed: %w", err)
	}
	return destroyed, nil
}

func (v *Vault) create(ctx context.Context, customer uuid.UUID) error {
	key := make([]byte, keyBytes)
	if _, err := rand.Read(key); err != nil {
		return fmt.Errorf("draw a personal-data key: %w", err)
	}
	secret := commands.InUse(v.ring, commands.PurposeVault)
	wrap, err := wrapping(secret)
	if err != nil {
		return err
	}
	if _, err := v.pool.Exec(ctx, `
		insert into personal_data_keys (customer_id, wrapped_key, secret_id) values ($1, $2, $3)
		on conflict (customer_id) do nothing`, customer, encrypt(wrap, key, customer), secret.ID); err != nil {
		return fmt.Errorf("store the personal-data key of customer %s: %w", customer, err)
	}
	return nil
}

// key reads a customer's key; pgx.ErrNoRows when none was ever made.
func (v *Vault) key(ctx context.Context, customer uuid.UUID) (cipher.AEAD, error) {
	var wrapped []byte
	var secret string
	err := v.pool.QueryRow(ctx, "select wrapped_key, secret_id from personal_data_keys where customer_id = $1", customer).Scan(&wrapped, &secret)
	if err != nil {
		return nil, fmt.Errorf("read the personal-data key of customer %s: %w", customer, err)
	}
	if wrapped == nil {
		return nil, accounts.ErrErased
	}
	key, err := v.unwrap(customer, wrapped, secret)
	if err != nil {
		return nil, err
	}
	return newAEAD(key)
}

func (v *Vault) unwrap(customer uuid.UUID, wrapped []byte, id string) ([]byte, error) {
	secrets := v.ring.Secrets(commands.PurposeVault)
	i := slices.IndexFunc(secrets, func(s commands.Secret) bool { return s.ID == id })
	if i < 0 {
		return nil, fmt.Errorf("the personal-data key of customer %s is wrapped under the secret %s, which the key ring does not hold", customer, id)
	}
	wrap, err := wrapping(secrets[i])
	if err != nil {
		return nil, err
	}
	key, err := decrypt(wrap, wrapped, customer)
	if err != nil {
		return nil, fmt.Errorf("the personal-data key of customer %s cannot be unwrapped; was the server's secret changed? %w", customer, err)
	}
	return key, nil
}

// wrapping derives what a secret wraps with.
func wrapping(secret commands.Secret) (cipher.AEAD, error) {
	key, err := hkdf.Key(sha256.New, secret.Key, nil, "liveness personal data key wrapping", keyBytes)
	if err != nil {
		return nil, fmt.Errorf("derive the wrapping key: %w", err)
	}
	return newAEAD(key)
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("set up AES: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// encrypt binds the ciphertext to the customer, so that it cannot be passed off as another's.
func encrypt(key cipher.AEAD, plaintext []byte, customer uuid.UUID) []byte {
	return key.Seal(nil, nil, plaintext, customer[:])
}

func decrypt(key cipher.AEAD, ciphertext []byte, customer uuid.UUID) ([]byte, error) {
	return key.Open(nil, nil, ciphertext, customer[:])
}
