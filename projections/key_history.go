package projections

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// KeyHistoryProjection keeps what a check never asks for: which keys were replaced, and the names of the slots. It stands
// apart from the keys themselves, whose table is looked into for every call.
func KeyHistoryProjection() engine.Projection {
	return engine.Projection{
		Name:    "key_history",
		Version: 2,
		Tables: `
			create table replaced (
				hash        text primary key,
				customer_id uuid not null,
				slot        text not null,
				prefix      text not null,
				replaced_at timestamptz not null
			);
			create table names (
				customer_id uuid not null,
				slot        text not null,
				name        text not null,   -- sealed; empty of a slot whose name was taken away
				key_id      uuid not null,   -- of the key of personal data that opens it
				revision    bigint not null, -- of the event that gave it
				primary key (customer_id, slot)
			);`,
		Events: types(domain.KeyRegenerated{}, domain.KeyNamed{}),
		Apply: applyEach(func(s *statements, r domain.Recorded) {
			switch e := r.Event.(type) {
			case domain.KeyRegenerated:
				s.add(`insert into replaced (hash, customer_id, slot, prefix, replaced_at) values ($1, $2, $3, $4, $5) on conflict do nothing`,
					e.OldKey.Hash, e.CustomerID, e.Slot, e.OldKey.Prefix, e.RegeneratedAt)
			case domain.KeyNamed:
				s.add(`
					insert into names as n (customer_id, slot, name, key_id, revision) values ($1, $2, $3, $4, $5)
					on conflict (customer_id, slot) do update set name = excluded.name, key_id = excluded.key_id, revision = excluded.revision
					where n.revision < excluded.revision`, e.CustomerID, e.Slot, e.Name, e.KeyName().KeyID, r.Revision)
			}
		}),
	}
}

// KeyHistory answers whose a key was, and how customers name their keys.
type KeyHistory struct {
	pool  *pgxpool.Pool
	vault accounts.Vault
}

// NewKeyHistory queries through pool and opens names with vault.
func NewKeyHistory(pool *pgxpool.Pool, vault accounts.Vault) *KeyHistory {
	return &KeyHistory{pool: pool, vault: vault}
}

// KnownKey is a key that is or was a customer's.
type KnownKey struct {
	CustomerID uuid.UUID
	Slot       domain.KeySlot
	Prefix     string
	Replaced   bool
}

// KnownKeys finds keys by their hashes, those that were replaced too.
func (h *KeyHistory) KnownKeys(ctx context.Context, hashes []string) (map[string]KnownKey, error) {
	rows, _ := h.pool.Query(ctx, `
		select hash, customer_id, slot, prefix, true from key_history.replaced where hash = any($1)
		union all
		select hash, customer_id, slot, prefix, false from api_keys.keys where hash = any($1)`, hashes)
	known := make(map[string]KnownKey, len(hashes))
	var hash string
	var key KnownKey
	if _, err := pgx.ForEachRow(rows, []any{&hash, &key.CustomerID, &key.Slot, &key.Prefix, &key.Replaced}, func() error {
		if at, twice := known[hash]; !twice || !at.Replaced { // just replaced, and not everywhere yet
			known[hash] = key
		}
		return nil
	}); err != nil {
		return nil, fmt.Errorf("find keys: %w", err)
	}
	return known, nil
}

// NamesOf returns the names of a customer's slots that have one. Those whose key of personal data is destroyed are gone.
func (h *KeyHistory) NamesOf(ctx context.Context, customer uuid.UUID) (map[domain.KeySlot]string, error) {
	rows, _ := h.pool.Query(ctx, "select slot, name, key_id from key_history.names where customer_id = $1 and name <> ''", customer)
	sealed := map[domain.KeySlot]domain.KeyName{}
	var slot domain.KeySlot
	var name domain.KeyName
	if _, err := pgx.ForEachRow(rows, []any{&slot, &name.Sealed, &name.KeyID}, func() error {
		sealed[slot] = name
		return nil
	}); err != nil {
		return nil, fmt.Errorf("list names of keys: %w", err)
	}
	names := map[domain.KeySlot]string{}
	for slot, name := range sealed {
		plain, err := h.vault.Decrypt(ctx, name.KeyID, name.Sealed)
		if errors.Is(err, accounts.ErrErased) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("read the name of a key: %w", err)
		}
		names[slot] = string(plain)
	}
	return names, nil
}
