package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// EntitlementGaps remembers what comparisons with AWS did not find.
type EntitlementGaps struct {
	pool *pgxpool.Pool
}

var _ subscriptions.EntitlementGaps = (*EntitlementGaps)(nil)

// NewEntitlementGaps returns the gaps in pool.
func NewEntitlementGaps(pool *pgxpool.Pool) *EntitlementGaps { return &EntitlementGaps{pool: pool} }

// Gaps implements subscriptions.EntitlementGaps.
func (g *EntitlementGaps) Gaps(ctx context.Context) (map[uuid.UUID]domain.EntitlementGap, error) {
	rows, _ := g.pool.Query(ctx, "select subscription_id, missing, missing_since, silent_since, withheld from entitlement_gaps")
	gaps := map[uuid.UUID]domain.EntitlementGap{}
	var id uuid.UUID
	var gap domain.EntitlementGap
	var missing, silent *time.Time
	_, err := pgx.ForEachRow(rows, []any{&id, &gap.Missing, &missing, &silent, &gap.Withheld}, func() error {
		gap.MissingSince, gap.SilentSince = orZero(missing), orZero(silent)
		gaps[id] = gap
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read what AWS did not list: %w", err)
	}
	return gaps, nil
}

// Remember implements subscriptions.EntitlementGaps.
func (g *EntitlementGaps) Remember(ctx context.Context, gaps map[uuid.UUID]domain.EntitlementGap, problem string, at time.Time) error {
	var rows [][]any
	for id, gap := range gaps {
		rows = append(rows, []any{id, gap.Missing, orNull(gap.MissingSince), orNull(gap.SilentSince), gap.Withheld})
	}
	err := pgx.BeginFunc(ctx, g.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "delete from entitlement_gaps"); err != nil {
			return err
		}
		columns := []string{"subscription_id", "missing", "missing_since", "silent_since", "withheld"}
		if _, err := tx.CopyFrom(ctx, pgx.Identifier{"entitlement_gaps"}, columns, pgx.CopyFromRows(rows)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into entitlement_comparisons (compared_at, problem) values ($1, $2)
			on conflict (one) do update set compared_at = excluded.compared_at, problem = excluded.problem`, at, problem)
		return err
	})
	if err != nil {
		return fmt.Errorf("remember what AWS did not list: %w", err)
	}
	return nil
}

// LastComparison implements subscriptions.EntitlementGaps.
func (g *EntitlementGaps) LastComparison(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := g.pool.QueryRow(ctx, "select compared_at from entitlement_comparisons").Scan(&at)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return at, fmt.Errorf("read when entitlements were compared: %w", err)
	}
	return at.UTC(), nil
}

// Check fails while comparisons say nothing, or would end too many subscriptions at once.
func (g *EntitlementGaps) Check(ctx context.Context) error {
	var withheld int
	var problem string
	err := g.pool.QueryRow(ctx, `select (select count(*) from entitlement_gaps where withheld),
		coalesce((select problem from entitlement_comparisons), '')`).Scan(&withheld, &problem)
	if err != nil {
		return fmt.Errorf("read what the last comparison with AWS came to: %w", err)
	}
	if problem != "" {
		return errors.New(problem)
	}
	if withheld > 0 {
		return fmt.Errorf("%d subscriptions would end because AWS lists no entitlement of them; that is too many at once, and none was ended", withheld)
	}
	return nil
}

func orZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.UTC()
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
