package postgres

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
)

// ErrOtherSecrets says that a key ring is not the one that the database was written with. Nothing may be made with it: API keys
// would be refused, and what it seals could not be opened by the other nodes.
var ErrOtherSecrets = errors.New("the server's secrets and the database do not belong together")

// CheckSecrets is CompareSecrets, and notes the secrets in use: of who goes on writing with them.
func CheckSecrets(ctx context.Context, pool *pgxpool.Pool, ring commands.Keyring) error {
	noted, wrapping, err := compareSecrets(ctx, pool, ring)
	if err != nil {
		return err
	}
	return noteSecrets(ctx, pool, ring, noted, wrapping)
}

// CompareSecrets compares a key ring with the secrets that the database was written with. It fails with ErrOtherSecrets when one is
// missing that was not retired, or is another by the same id.
func CompareSecrets(ctx context.Context, pool *pgxpool.Pool, ring commands.Keyring) error {
	_, _, err := compareSecrets(ctx, pool, ring)
	return err
}

// compareSecrets returns what CompareSecrets has read: the secrets that are noted, and those that wrap keys and are not.
func compareSecrets(ctx context.Context, pool *pgxpool.Pool, ring commands.Keyring) (noted []notedSecret, wrapping []commands.Secret, err error) {
	if noted, err = notedSecrets(ctx, pool); err != nil {
		return nil, nil, err
	}
	var problems []string
	for _, n := range noted {
		if problem := n.compare(ring); problem != "" {
			problems = append(problems, problem)
		}
	}
	wrapping, problem, err := wrappingSecrets(ctx, pool, ring, noted)
	if err != nil {
		return nil, nil, err
	}
	if problem != "" {
		problems = append(problems, problem)
	}
	if len(problems) > 0 {
		return nil, nil, fmt.Errorf("%w: %s", ErrOtherSecrets, strings.Join(problems, "; "))
	}
	return noted, wrapping, nil
}

// notedSecret is a secret that the database was written with.
type notedSecret struct {
	Purpose     commands.Purpose
	ID          string
	Fingerprint []byte
	UsedFrom    time.Time
	Retired     bool
}

func notedSecrets(ctx context.Context, pool *pgxpool.Pool) ([]notedSecret, error) {
	rows, _ := pool.Query(ctx, "select purpose, id, fingerprint, used_from, retired_at is not null from secret_fingerprints order by purpose, id")
	noted, err := pgx.CollectRows(rows, pgx.RowToStructByPos[notedSecret])
	if err != nil {
		return nil, fmt.Errorf("read which secrets the database was written with: %w", err)
	}
	return noted, nil
}

// compare returns what is wrong with the secret of a ring; "" when nothing is.
func (n notedSecret) compare(ring commands.Keyring) string {
	secret, held := secretOf(ring, n.Purpose, n.ID)
	switch {
	case !held && !n.Retired:
		return fmt.Sprintf("the secret %s for %s is missing, in use from %s on", n.ID, n.Purpose, n.UsedFrom.UTC().Format(time.RFC3339))
	case held && n.Fingerprint != nil && !bytes.Equal(n.Fingerprint, fingerprint(secret)):
		return fmt.Sprintf("the secret %s for %s is another than that in use from %s on", n.ID, n.Purpose, n.UsedFrom.UTC().Format(time.RFC3339))
	}
	return ""
}

func secretOf(ring commands.Keyring, purpose commands.Purpose, id string) (commands.Secret, bool) {
	secrets := ring.Secrets(purpose)
	i := slices.IndexFunc(secrets, func(s commands.Secret) bool { return s.ID == id })
	if i < 0 {
		return commands.Secret{}, false
	}
	return secrets[i], true
}

// fingerprint returns what a secret is recognised by.
func fingerprint(secret commands.Secret) []byte { return secret.MAC("fingerprint")[:16] }

// wrappingSecrets returns the secrets that keys of personal data are wrapped under, or why they cannot be unwrapped with a ring, in a
// database that has not noted any: of a program that noted none, or one that only the keys were restored into.
func wrappingSecrets(
	ctx context.Context, pool *pgxpool.Pool, ring commands.Keyring, noted []notedSecret,
) (secrets []commands.Secret, problem string, err error) {
	if slices.ContainsFunc(noted, func(n notedSecret) bool { return n.Purpose == commands.PurposeVault && !n.Retired }) {
		return nil, "", nil
	}
	type example struct {
		Secret   string
		Keys     int64
		Customer uuid.UUID
		Wrapped  []byte
	}
	retired := []string{}
	for _, n := range noted {
		if n.Purpose == commands.PurposeVault {
			retired = append(retired, n.ID)
		}
	}
	rows, _ := pool.Query(ctx, `
		select distinct on (secret_id) secret_id, count(*) over (partition by secret_id), customer_id, wrapped_key from personal_data_keys
		where wrapped_key is not null and not secret_id = any($1) order by secret_id`, retired)
	examples, err := pgx.CollectRows(rows, pgx.RowToStructByPos[example])
	if err != nil {
		return nil, "", fmt.Errorf("read which secrets wrap the keys of personal data: %w", err)
	}
	vault := Vault{pool: pool, ring: ring}
	for _, e := range examples {
		secret, held := secretOf(ring, commands.PurposeVault, e.Secret)
		if !held {
			return nil, fmt.Sprintf("the secret %s for %s is missing, under which %d keys of personal data are wrapped", e.Secret, commands.PurposeVault, e.Keys), nil
		}
		if _, err := vault.unwrap(e.Customer, e.Wrapped, e.Secret); err != nil {
			return nil, fmt.Sprintf("the secret %s for %s is another than that under which %d keys of personal data are wrapped", e.Secret, commands.PurposeVault, e.Keys), nil
		}
		secrets = append(secrets, secret)
	}
	return secrets, "", nil
}

// noteSecrets keeps the fingerprints of the secrets in use, and of those that wrap keys, that are not noted yet.
func noteSecrets(
	ctx context.Context, pool *pgxpool.Pool, ring commands.Keyring, noted []notedSecret, wrapping []commands.Secret,
) error {
	note := func(purpose commands.Purpose, secret commands.Secret) error {
		if slices.ContainsFunc(noted, func(n notedSecret) bool { return n.Purpose == purpose && n.ID == secret.ID }) {
			return nil
		}
		if _, err := pool.Exec(ctx, "insert into secret_fingerprints (purpose, id, fingerprint) values ($1, $2, $3) on conflict (purpose, id) do nothing",
			purpose, secret.ID, fingerprint(secret)); err != nil {
			return fmt.Errorf("note which secrets are in use: %w", err)
		}
		return nil
	}
	for _, purpose := range commands.Purposes() {
		if err := note(purpose, commands.InUse(ring, purpose)); err != nil {
			return err
		}
	}
	for _, secret := range wrapping {
		if err := note(commands.PurposeVault, secret); err != nil {
			return err
		}
	}
	return nil
}

// NoteRetired notes that a secret is missing from the key rings from now on, and returns whether the database had been written
// with it.
func NoteRetired(ctx context.Context, pool *pgxpool.Pool, id string) (known bool, err error) {
	noted, err := pool.Exec(ctx, "update secret_fingerprints set retired_at = coalesce(retired_at, now()) where id = $1", id)
	if err != nil {
		return false, fmt.Errorf("note that secret %s is retired: %w", id, err)
	}
	wraps, err := pool.Exec(ctx, `
		insert into secret_fingerprints (purpose, id, retired_at) select $2, $1, now()
		where exists (select from personal_data_keys where secret_id = $1) on conflict (purpose, id) do nothing`, id, commands.PurposeVault)
	if err != nil {
		return false, fmt.Errorf("note that secret %s is retired: %w", id, err)
	}
	return noted.RowsAffected()+wraps.RowsAffected() > 0, nil
}
