package metering

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// PrepareUsageRecords fixes what is reported of sealed hours. A record's stream must not exist before, so it is prepared
// once on however many nodes; its quantity follows from the log alone, so it does not matter by which.
func (m *ProcessManager) PrepareUsageRecords(ctx context.Context) error {
	var failed error
	var after domain.SealedUsage // what cannot be reported stays listed and must not hide what is behind it
	for {
		if err := m.awaitReadModel(ctx); err != nil {
			return errors.Join(failed, err)
		}
		sealed, err := m.Model.Sealed(ctx, after, pageSize)
		if err != nil {
			return errors.Join(failed, err)
		}
		last := len(sealed) < pageSize
		if !last {
			after = sealed[len(sealed)-1]
		}
		if last && m.ZeroHours && !m.newest.IsZero() {
			idle, err := m.Model.Idle(ctx, m.newest)
			if err != nil {
				return errors.Join(failed, err)
			}
			sealed = append(sealed, idle...)
		}
		err = m.prepareAll(ctx, sealed)
		failed = errors.Join(failed, err)
		if last || commands.ConcernsAll(ctx, err) {
			return errors.Join(failed, m.awaitReadModel(ctx))
		}
	}
}

func (m *ProcessManager) prepareAll(ctx context.Context, sealed []domain.SealedUsage) error {
	return each(len(sealed), func(mu *sync.Mutex, i int) error {
		usage := sealed[i]
		position, err := m.prepare(ctx, usage)
		switch {
		case errors.Is(err, errNotReportable):
			m.alert(ctx, "usage cannot be reported", domain.UsageRecordKey{SubscriptionID: usage.SubscriptionID, Hour: usage.Hour}, "plan", usage.Plan, "error", err)
			return nil
		case err != nil:
			return fmt.Errorf("prepare the usage record of %s, %s: %w", usage.SubscriptionID, domain.UsageHourKey(usage.Hour), err)
		case position > 0:
			m.advance(mu, position)
		}
		return nil
	})
}

// errNotReportable marks usage that waits for a repaired configuration.
var errNotReportable = errors.New("not reportable")

// prepare fixes one record. The position is 0 when it was prepared before.
func (m *ProcessManager) prepare(ctx context.Context, usage domain.SealedUsage) (position uint64, err error) {
	plan, err := m.Catalogue.Plan(usage.Plan)
	if err != nil {
		return 0, fmt.Errorf("%w: %w", errNotReportable, err)
	}
	subscription, err := commands.Read[domain.Subscription](ctx, m.Store, domain.SubscriptionStream(usage.SubscriptionID))
	if err != nil {
		return 0, err
	}
	if subscription.Status == domain.StatusUnknown {
		return 0, fmt.Errorf("%w: the subscription has not started", errNotReportable)
	}
	to := domain.MeteringTarget{Region: m.Region, Dimension: plan.OverageDimension, Legacy: m.Legacy}
	stream := domain.MeteringStream(usage.SubscriptionID, usage.Hour, plan.OverageDimension)
	done, err := commands.ExecuteFrom(ctx, m.Executor, commands.NewOrigin(domain.ActorSystem), stream, domain.UsageRecord{}, commands.NoStream, func(r domain.UsageRecord) ([]domain.Event, error) {
		events, err := r.Prepare(subscription, usage, to, m.Now())
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errNotReportable, err)
		}
		return events, nil
	})
	if err == nil && done.Position > 0 && done.State.Status == domain.RecordRejected {
		m.alert(ctx, "usage is written off: its hour is after the end of the agreement", done.State.UsageRecordKey,
			"quantity", done.State.Quantity, "counted_there", done.State.Counted)
	}
	return done.Position, err
}
