package metering

import (
	"context"
	"fmt"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// sealedSearch is how many months back the newest sealed hour is looked for. When metering has not run for longer, the
// hours in between are closed by the next seal without an event each.
const sealedSearch = 13

// SealHours closes the hours that are over. However many nodes try, each hour is sealed once.
func (m *ProcessManager) SealHours(ctx context.Context) error {
	now := m.Now().UTC()
	until := now.Add(-m.Grace)
	if !m.newest.IsZero() && until.Before(m.newest.Add(2*time.Hour)) {
		return nil
	}
	if err := m.findNewestSealed(ctx, until); err != nil {
		return err
	}
	month := domain.MonthOf(domain.UsageHour(until).Add(-time.Hour))
	if !m.newest.IsZero() {
		month = domain.MonthOf(m.newest)
	}
	for ; month.Start().Before(until); month = month.Next() {
		done, err := commands.Execute(ctx, m.Executor, commands.NewOrigin(domain.ActorSystem), domain.SealedHoursStream(month), func(s domain.SealedHours) ([]domain.Event, error) {
			return s.Seal(month, m.newest, until, now), nil
		})
		if err != nil {
			return fmt.Errorf("seal the hours of %s: %w", month, err)
		}
		if done.State.Last.After(m.newest) {
			m.newest = done.State.Last
		}
		m.position = max(m.position, done.Position)
	}
	return nil
}

// findNewestSealed reads the newest sealed hour from the log.
func (m *ProcessManager) findNewestSealed(ctx context.Context, until time.Time) error {
	month := domain.MonthOf(until)
	for range sealedSearch {
		last, found, err := m.Store.ReadLast(ctx, domain.SealedHoursStream(month))
		if err != nil {
			return fmt.Errorf("read sealed hours: %w", err)
		}
		if found {
			m.newest = domain.SealedHours{}.Fold(last.Event).Last
			m.position = max(m.position, last.Position)
			return nil
		}
		month = month.Previous()
	}
	return nil
}
