package postgres_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/domain"
)

// What one process remembers another one reads, and each comparison replaces what the one before remembered.
func TestEntitlementGaps(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	first, second := postgres.NewEntitlementGaps(pool), postgres.NewEntitlementGaps(pool)
	at := time.Date(2026, 11, 3, 10, 0, 0, 0, time.UTC)
	if last, err := second.LastComparison(t.Context()); err != nil || !last.IsZero() {
		t.Errorf("before the first comparison: %s, %v", last, err)
	}
	for i, gaps := range []map[uuid.UUID]domain.EntitlementGap{
		{uuid.New(): {Missing: 2, MissingSince: at, Withheld: true}, uuid.New(): {SilentSince: at.Add(time.Hour)}},
		{uuid.New(): {Missing: 1, MissingSince: at, SilentSince: at.Add(time.Hour)}},
		{},
	} {
		compared := at.Add(time.Duration(i) * time.Hour)
		if err := first.Remember(t.Context(), gaps, "", compared); err != nil {
			t.Fatal(err)
		}
		got, err := second.Gaps(t.Context())
		if diff := cmp.Diff(gaps, got); diff != "" || err != nil {
			t.Errorf("%v%s", err, diff)
		}
		if last, err := second.LastComparison(t.Context()); err != nil || !last.Equal(compared) {
			t.Errorf("compared at %s, %v; want %s", last, err, compared)
		}
		if err := second.Check(t.Context()); (i == 0) != (err != nil && strings.Contains(err.Error(), "1 subscriptions would end")) {
			t.Errorf("the component says %v", err)
		}
	}
	for _, problem := range []string{"AWS lists nothing", ""} {
		if err := first.Remember(t.Context(), nil, problem, at); err != nil {
			t.Fatal(err)
		}
		if err := second.Check(t.Context()); (problem == "") != (err == nil) || err != nil && err.Error() != problem {
			t.Errorf("after a comparison with the problem %q the component says %v", problem, err)
		}
	}
}
