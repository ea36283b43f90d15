package projections

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

// SecretUseProjection keeps with which of the server's secrets the digests of keys and the claims of mail addresses were made:
// while something needs a secret, it cannot be retired.
func SecretUseProjection() engine.Projection {
	return engine.Projection{
		Name:    "secret_use",
		Version: 1,
		Tables: `
			create table keys (
				customer_id uuid not null,
				slot        text not null,
				secret_id   text not null, -- empty of the secret that there was before secrets had ids
				revision    bigint not null,
				primary key (customer_id, slot)
			);
			create table claims (
				mail_hash  text primary key,
				account_id uuid,           -- null of an address that is free
				secret_id  text not null,  -- as above
				revision   bigint not null
			);`,
		Events: types(
			domain.KeyIssued{}, domain.KeyRegenerated{}, domain.KeyRehashed{}, domain.MailAddressClaimed{}, domain.MailAddressReleased{},
		),
		Apply: applyEach(noteSecretUse),
	}
}

func noteSecretUse(s *statements, r domain.Recorded) {
	key := func(customer uuid.UUID, slot domain.KeySlot, digest domain.KeyDigest) {
		s.add(`
			insert into keys as k (customer_id, slot, secret_id, revision) values ($1, $2, $3, $4)
			on conflict (customer_id, slot) do update set secret_id = excluded.secret_id, revision = excluded.revision
			where k.revision < excluded.revision`, customer, slot, digest.SecretID, r.Revision)
	}
	claim := func(account *uuid.UUID, secret string) {
		hash := strings.TrimPrefix(r.Stream, string(domain.CategoryMailAddress)+"-")
		s.add(`
			insert into claims as c (mail_hash, account_id, secret_id, revision) values ($1, $2, $3, $4)
			on conflict (mail_hash) do update set account_id = excluded.account_id, secret_id = excluded.secret_id, revision = excluded.revision
			where c.revision < excluded.revision`, hash, account, secret, r.Revision)
	}
	switch e := r.Event.(type) {
	case domain.KeyIssued:
		key(e.CustomerID, e.Slot, e.Key)
	case domain.KeyRegenerated:
		key(e.CustomerID, e.Slot, e.NewKey)
	case domain.KeyRehashed:
		key(e.CustomerID, e.Slot, e.Key)
	case domain.MailAddressClaimed:
		claim(&e.CustomerID, e.SecretID)
	case domain.MailAddressReleased:
		claim(nil, "")
	}
}

// SecretUse answers what needs a secret still.
type SecretUse struct {
	pool *pgxpool.Pool
}

// NewSecretUse queries through pool.
func NewSecretUse(pool *pgxpool.Pool) *SecretUse { return &SecretUse{pool: pool} }

// KeysUnder counts API keys by the id of the secret that their digest was made with.
func (u *SecretUse) KeysUnder(ctx context.Context) (map[string]int64, error) {
	return u.count(ctx, "select secret_id, count(*) from secret_use.keys group by secret_id")
}

// LoginsUnder counts logins by the id of a secret that their address is claimed under, of those that are not claimed under the
// secret in use.
func (u *SecretUse) LoginsUnder(ctx context.Context, inUse string) (map[string]int64, error) {
	return u.count(ctx, "select secret_id, count(distinct account_id) from secret_use.claims where "+claimedElsewhere+" group by secret_id", named(inUse))
}

// LoginsElsewhere lists the logins whose address is not claimed under a secret.
func (u *SecretUse) LoginsElsewhere(ctx context.Context, inUse string) ([]uuid.UUID, error) {
	rows, _ := u.pool.Query(ctx, "select distinct account_id from secret_use.claims where "+claimedElsewhere+" order by account_id", named(inUse))
	return collected(rows, "logins", pgx.RowTo[uuid.UUID])
}

const claimedElsewhere = `account_id is not null
	and not exists (select from secret_use.claims as c where c.account_id = claims.account_id and c.secret_id = any ($1))`

// named lists how a secret is named by what was made with it.
func named(id string) []string {
	if domain.EldestSecretID == id {
		return []string{id, ""}
	}
	return []string{id}
}

func (u *SecretUse) count(ctx context.Context, sql string, args ...any) (map[string]int64, error) {
	rows, _ := u.pool.Query(ctx, sql, args...)
	counts := map[string]int64{}
	var id string
	var count int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &count}, func() error {
		if id == "" {
			id = domain.EldestSecretID
		}
		counts[id] += count
		return nil
	}); err != nil {
		return nil, fmt.Errorf("count what secrets are needed for: %w", err)
	}
	return counts, nil
}
