package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// ComponentReportInterval is how often a node says how its components are.
	ComponentReportInterval = 5 * time.Second
	// componentReportValidity is how long it is believed; a node that is gone says nothing.
	componentReportValidity = 4 * ComponentReportInterval
)

// ErrNotReported says that no node has ever said how a component is.
var ErrNotReported = errors.New("no node has reported the component")

// ComponentStates is what the nodes that work say of components that run there, for health on the nodes that serve.
type ComponentStates struct {
	pool *pgxpool.Pool
	node uuid.UUID // this process
}

// NewComponentStates returns the states in pool.
func NewComponentStates(pool *pgxpool.Pool) *ComponentStates {
	return &ComponentStates{pool: pool, node: uuid.New()}
}

// Report returns how a component is on this node; a nil problem, that it runs.
func (s *ComponentStates) Report(ctx context.Context, component string, problem error) error {
	var text *string
	if problem != nil {
		t := problem.Error()
		text = &t
	}
	_, err := s.pool.Exec(ctx, `
		with forgotten as (delete from component_states where component = $1 and node <> $2 and reported_at < now() - interval '1 day')
		insert into component_states (component, node, problem, reported_at) values ($1, $2, $3, now())
		on conflict (component, node) do update set problem = excluded.problem, reported_at = excluded.reported_at`,
		component, s.node, text)
	if err != nil {
		return fmt.Errorf("report component %s: %w", component, err)
	}
	return nil
}

// Check fails unless the component runs on some node: with what the newest report says, or with ErrNotReported when there
// has never been one.
func (s *ComponentStates) Check(ctx context.Context, component string) error {
	var problem *string
	var age float64
	err := s.pool.QueryRow(ctx, `
		select problem, extract(epoch from now() - reported_at) from component_states where component = $1
		order by (problem is null and reported_at > now() - make_interval(secs => $2)) desc, reported_at desc limit 1`,
		component, componentReportValidity.Seconds()).Scan(&problem, &age)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNotReported
	case err != nil:
		return fmt.Errorf("look up component %s: %w", component, err)
	case problem != nil:
		return errors.New(*problem)
	case age > componentReportValidity.Seconds():
		return fmt.Errorf("no node has said for %v that it runs there", time.Duration(age*float64(time.Second)).Round(time.Second))
	}
	return nil
}
