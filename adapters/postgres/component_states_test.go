package postgres_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
)

// A component runs while one node says so, and else is what the newest report says.
func TestComponentStates(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	first, second := postgres.NewComponentStates(pool), postgres.NewComponentStates(pool)
	report := func(s *postgres.ComponentStates, problem error) {
		t.Helper()
		if err := s.Report(t.Context(), "mails", problem); err != nil {
			t.Fatal(err)
		}
	}
	if err := second.Check(t.Context(), "mails"); !errors.Is(err, postgres.ErrNotReported) {
		t.Errorf("before any report: %v", err)
	}
	report(first, errors.New("the right is missing"))
	if err := second.Check(t.Context(), "mails"); err == nil || !strings.Contains(err.Error(), "the right is missing") {
		t.Errorf("down on the only node: %v", err)
	}
	report(second, nil)
	report(first, errors.New("the right is missing"))
	if err := first.Check(t.Context(), "mails"); err != nil {
		t.Errorf("up on one of two nodes: %v", err)
	}
	if _, err := pool.Exec(t.Context(), "update component_states set reported_at = reported_at - interval '1 minute' where problem is null"); err != nil {
		t.Fatal(err)
	}
	if err := first.Check(t.Context(), "mails"); err == nil || !strings.Contains(err.Error(), "the right is missing") {
		t.Errorf("up a minute ago, down now: %v", err)
	}
	if _, err := pool.Exec(t.Context(), "delete from component_states where problem is not null"); err != nil {
		t.Fatal(err)
	}
	if err := first.Check(t.Context(), "mails"); err == nil || !strings.Contains(err.Error(), "1m") {
		t.Errorf("nobody has said anything for a minute: %v", err)
	}
	if _, err := pool.Exec(t.Context(), "update component_states set reported_at = reported_at - interval '2 days'"); err != nil {
		t.Fatal(err)
	}
	report(first, nil)
	var rows int
	if err := pool.QueryRow(t.Context(), "select count(*) from component_states").Scan(&rows); err != nil || rows != 1 {
		t.Errorf("%d rows are kept, %v", rows, err)
	}
	if err := first.Check(t.Context(), "others"); !errors.Is(err, postgres.ErrNotReported) {
		t.Errorf("another component: %v", err)
	}
}
