package postgres

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/commands"
)

// rewrapBatch is how many keys are read at a time to be wrapped again.
const rewrapBatch = 500

// Rewrap wraps every key that another secret wraps under the one in use, while the vault is being used, and returns how many
// it wrapped. The keys themselves stay, so nothing is encrypted anew. Keys that cannot be unwrapped stay as they are and are
// named in the error.
func (v *Vault) Rewrap(ctx context.Context) (rewrapped int, err error) {
	secret := commands.InUse(v.ring, commands.PurposeVault)
	wrap, err := wrapping(secret)
	if err != nil {
		return 0, err
	}
	type row struct {
		Customer uuid.UUID
		Wrapped  []byte
		Secret   string
	}
	var failed []error
	for last := uuid.Nil; ; {
		rows, _ := v.pool.Query(ctx, `
			select customer_id, wrapped_key, secret_id from personal_data_keys
			where wrapped_key is not null and secret_id <> $1 and customer_id > $2 order by customer_id limit $3`, secret.ID, last, rewrapBatch)
		batch, err := pgx.CollectRows(rows, pgx.RowToStructByPos[row])
		if err != nil {
			return rewrapped, errors.Join(append(failed, fmt.Errorf("read the personal-data keys: %w", err))...)
		}
		for _, r := range batch {
			last = r.Customer
			key, err := v.unwrap(r.Customer, r.Wrapped, r.Secret)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			// A key that was destroyed meanwhile stays destroyed.
			done, err := v.pool.Exec(ctx, `
				update personal_data_keys set wrapped_key = $3, secret_id = $4 where customer_id = $1 and wrapped_key = $2`,
				r.Customer, r.Wrapped, encrypt(wrap, key, r.Customer), secret.ID)
			if err != nil {
				return rewrapped, errors.Join(append(failed, fmt.Errorf("wrap the personal-data key of customer %s again: %w", r.Customer, err))...)
			}
			rewrapped += int(done.RowsAffected())
		}
		if len(batch) < rewrapBatch {
			return rewrapped, errors.Join(failed...)
		}
	}
}

// WrappedUnder counts the keys by the id of the secret that wraps them.
func (v *Vault) WrappedUnder(ctx context.Context) (map[string]int64, error) {
	rows, _ := v.pool.Query(ctx, "select secret_id, count(*) from personal_data_keys where wrapped_key is not null group by secret_id")
	counts := map[string]int64{}
	var id string
	var count int64
	if _, err := pgx.ForEachRow(rows, []any{&id, &count}, func() error {
		counts[id] = count
		return nil
	}); err != nil {
		return nil, fmt.Errorf("count the personal-data keys: %w", err)
	}
	return counts, nil
}
