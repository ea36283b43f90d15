package projections

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// APIKeysProjection keeps the current keys of every customer, by hash. It stops rather than skip: past a regeneration it
// had missed, a dead key would go on working.
func APIKeysProjection() engine.Projection {
	return engine.Projection{
		Name:    accounts.KeysReadModel,
		Version: 1,
		Tables: `
			create table keys (
				hash            text primary key,
				customer_id     uuid not null,
				subscription_id uuid not null,
				slot            text not null,
				prefix          text not null,
				issued_at       timestamptz not null,
				revision        bigint not null, -- of the event that issued the key
				constraint one_key_per_slot unique (customer_id, slot)
			);`,
		Events: types(domain.KeyIssued{}, domain.KeyRegenerated{}, domain.KeyRehashed{}),
		Apply: applyEach(func(s *statements, recorded domain.Recorded) {
			switch e := recorded.Event.(type) {
			case domain.KeyIssued:
				putKey(s, recorded, e.CustomerID, e.SubscriptionID, e.Slot, e.Key, e.IssuedAt)
			case domain.KeyRegenerated:
				putKey(s, recorded, e.CustomerID, e.SubscriptionID, e.Slot, e.NewKey, e.RegeneratedAt)
			case domain.KeyRehashed:
				s.add("update keys set hash = $3, revision = $4 where customer_id = $1 and slot = $2 and revision < $4",
					e.CustomerID, e.Slot, e.Key.Hash, recorded.Revision)
			}
		}),
		StopsOnPoison: true,
	}
}

// putKey gives a slot its key. The row of the key before becomes that of the new one, so there is no moment with both.
func putKey(s *statements, r domain.Recorded, customer, subscription uuid.UUID, slot domain.KeySlot, key domain.KeyDigest, at time.Time) {
	s.add(`
		insert into keys as k (hash, customer_id, subscription_id, slot, prefix, issued_at, revision)
		values ($1, $2, $3, $4, $5, $6, $7)
		on conflict on constraint one_key_per_slot do update set
			hash = excluded.hash, subscription_id = excluded.subscription_id, prefix = excluded.prefix,
			issued_at = excluded.issued_at, revision = excluded.revision
		where k.revision < excluded.revision`,
		key.Hash, customer, subscription, slot, key.Prefix, at, r.Revision)
}

// APIKeys answers questions about keys.
type APIKeys struct {
	pool *pgxpool.Pool
}

var _ counting.KeyDirectory = (*APIKeys)(nil)

// NewAPIKeys queries through pool.
func NewAPIKeys(pool *pgxpool.Pool) *APIKeys { return &APIKeys{pool: pool} }

// FindKey finds the owner of a key by its hashes: one look-up by primary key in a statement that each connection prepares
// once.
func (k *APIKeys) FindKey(ctx context.Context, hashes []string) (owner counting.KeyOwner, by string, err error) {
	err = k.pool.QueryRow(ctx, "select customer_id, subscription_id, slot, hash from api_keys.keys where hash = any($1)", hashes).
		Scan(&owner.CustomerID, &owner.SubscriptionID, &owner.Slot, &by)
	if errors.Is(err, pgx.ErrNoRows) {
		return counting.KeyOwner{}, "", nil
	}
	if err != nil {
		return counting.KeyOwner{}, "", fmt.Errorf("find API key: %w", err)
	}
	return owner, by, nil
}

// APIKey is a key as lists show it.
type APIKey struct {
	Slot     domain.KeySlot
	Prefix   string
	IssuedAt time.Time
}

// KeysOf lists a customer's keys, primary first.
func (k *APIKeys) KeysOf(ctx context.Context, customer uuid.UUID) ([]APIKey, error) {
	rows, _ := k.pool.Query(ctx, "select slot, prefix, issued_at from api_keys.keys where customer_id = $1 order by slot", customer)
	keys, err := pgx.CollectRows(rows, pgx.RowToStructByPos[APIKey])
	if err != nil {
		return nil, fmt.Errorf("list API keys: %w", err)
	}
	return keys, nil
}
