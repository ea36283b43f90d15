package projections_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
	"unicode"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// damagedMonth is a month whose calls are letters: i is included, o beyond the plan. A capital one cannot be decoded; a dash is a
// call beyond the plan that did not reach the log.
type damagedMonth struct {
	*memorylog.Log
	customer          *projectionstest.Customer
	damaged           []domain.Recorded
	readable, overage int64 // of those that can be decoded
	last              domain.CheckCompleted
}

func newDamagedMonth(t *testing.T, calls string) *damagedMonth {
	t.Helper()
	m := &damagedMonth{Log: memorylog.New(), customer: projectionstest.NewCustomer(t, 1)}
	m.Append(domain.SubscriptionStream(m.customer.Subscription), m.customer.Started())
	var totals domain.UsageMonth
	for n, letter := range calls {
		if letter == '-' {
			totals.Overage++
			m.customer.Check(memorylog.Epoch)
			continue
		}
		call := m.customer.Check(memorylog.Epoch.Add(time.Duration(n) * time.Second))
		call.Billing = domain.BillingIncluded
		if unicode.ToLower(letter) == 'o' {
			call.Billing = domain.BillingOverage
			totals.Overage++
		} else {
			totals.Included++
		}
		call.IncludedTotal, call.OverageTotal = totals.Included, totals.Overage
		if unicode.IsUpper(letter) {
			m.Append(m.customer.UsageStream(memorylog.Epoch), engine.Undecodable{Type: call.EventType(), Err: errors.New("damaged")})
			m.damaged = append(m.damaged, m.All()[len(m.All())-1])
			continue
		}
		m.Append(m.customer.UsageStream(memorylog.Epoch), call)
		m.last = call
		m.readable++
		if letter == 'o' {
			m.overage++
		}
	}
	return m
}

// skip lets a read model go past an event, as an operator does, once it is stopped there.
func (m *damagedMonth) skip(t *testing.T, e *engine.Engine, readModel string, bad domain.Recorded) (position uint64) {
	t.Helper()
	projectionstest.Eventually(t, readModel+" stopping", func() bool {
		at := projectionstest.Status(t, e, readModel).StoppedAt
		return at != nil && at.Position == bad.Position
	})
	skip, err := e.ToSkip(t.Context(), readModel, bad.Position)
	if err != nil {
		t.Fatal(err)
	}
	skip.Why = "a test"
	return m.Append(domain.ProjectionStream(readModel), skip)
}

// Where an operator let the read models of billing go past calls that cannot be decoded, they show and report every call but
// these, however often they are made anew.
func TestBillingGoesOnBehindSkippedCalls(t *testing.T) {
	t.Parallel()
	for _, calls := range []string{
		"iiIi", "Ii", "iIIi", "iIo", "iOo", "ooOo", "ooOOo", "ooO",
		"ooOiio", // the limit was raised behind the damaged call
		"ooOiIo", "oOoOo",
	} {
		for _, batch := range []int{1, 100} {
			t.Run(fmt.Sprintf("%s in batches of %d", calls, batch), func(t *testing.T) {
				t.Parallel()
				pool, m := pgtest.Pool(t), newDamagedMonth(t, calls)
				m.BatchSize = batch
				e := projectionstest.NewEngine(t, pool, m, projections.UsageProjection(), projections.MeteringProjection())
				projectionstest.Run(t, e)
				var last uint64
				for _, bad := range m.damaged {
					for _, p := range e.Projections {
						last = m.skip(t, e, p.Name, bad)
					}
				}
				wantShown := func() {
					t.Helper()
					for _, p := range e.Projections {
						projectionstest.WaitFor(t, pool, p.Name, last)
						if s := projectionstest.Status(t, e, p.Name); s.Skipped != int64(len(m.damaged)) {
							t.Errorf("%+v, want %d events skipped", s, len(m.damaged))
						}
					}
					var ordinal, counted, summed, reported int64
					if err := pool.QueryRow(t.Context(), `select (select ordinal from usage.months), (select count(*) from usage.checks),
						(select sum(included + overage)::bigint from usage.days),
						(select coalesce(sum(counted), 0)::bigint from metering.windows)`).
						Scan(&ordinal, &counted, &summed, &reported); err != nil {
						t.Fatal(err)
					}
					if ordinal != m.last.Ordinal || counted != m.readable || summed != m.readable || reported != m.overage {
						t.Errorf("%d calls are shown up to the %dth, %d in days, %d are reported; want %d, %d, %d, %d",
							counted, ordinal, summed, reported, m.readable, m.last.Ordinal, m.readable, m.overage)
					}
				}
				wantShown()
				m.wantAudited(t, engine.Examiner{Pool: pool, Projections: e.Projections})
				for _, p := range e.Projections {
					if comparison, err := e.Rebuild(t.Context(), p.Name, nil); err != nil || !comparison.Equal() || len(comparison.Tables) == 0 {
						t.Errorf("rebuild %s: %v, %+v", p.Name, err, comparison)
					}
				}
				wantShown()
			})
		}
	}
}

// wantAudited fails when an audit that goes past the same calls finds other rows.
func (m *damagedMonth) wantAudited(t *testing.T, x engine.Examiner) {
	t.Helper()
	head, _ := m.Head(t.Context())
	skipped := map[string]map[uuid.UUID]audit.Skip{}
	for _, name := range x.Names() {
		skipped[name] = map[uuid.UUID]audit.Skip{}
		for _, bad := range m.damaged {
			skip := domain.ProjectionSkipped{EventID: bad.ID, Stream: bad.Stream, Revision: bad.Revision}
			skipped[name][bad.ID] = audit.Skip{ProjectionSkipped: skip}
		}
	}
	found, err := x.Examine(t.Context(), auditing.Examination{Names: x.Names(), Head: head, Skipped: skipped},
		func(_ context.Context, take func(domain.Recorded) error) error {
			for _, r := range m.All() {
				if bad, ok := r.Event.(engine.Undecodable); ok {
					r.Event = auditing.Unreadable{Type: bad.Type, Err: bad.Err}
				}
				if err := take(r); err != nil {
					return err
				}
			}
			return nil
		})
	if err != nil || len(found) != len(x.Projections) {
		t.Fatalf("%+v, %v", found, err)
	}
	for _, model := range found {
		if model.Unfinished != "" || len(model.Differences) > 0 {
			t.Errorf("the audit finds %+v", model)
		}
	}
}

// A skipped call explains what is missing in front of the next one, and nothing behind that.
func TestBillingStopsAtAGapBehindASkippedCall(t *testing.T) {
	t.Parallel()
	pool, m := pgtest.Pool(t), newDamagedMonth(t, "oOo-oo")
	e := projectionstest.NewEngine(t, pool, m, projections.UsageProjection(), projections.MeteringProjection())
	projectionstest.Run(t, e)
	var last uint64
	for _, p := range e.Projections {
		m.skip(t, e, p.Name, m.damaged[0])
		last = m.skip(t, e, p.Name, m.All()[4]) // the call in front of which one is missing: it is the operator's word that is taken
	}
	for _, p := range e.Projections {
		projectionstest.WaitFor(t, pool, p.Name, last)
	}
}
