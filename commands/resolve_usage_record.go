package commands

import (
	"context"

	"github.com/pas-ta/liveness/domain"
)

// ResolveUsageRecord closes a quarantined record by a person's decision.
type ResolveUsageRecord struct {
	By               Origin
	Key              domain.UsageRecordKey
	Resolution       domain.Resolution
	MeteringRecordID string // AWS's, when it was billed
	Reason           string // what shows it
}

// ResolveUsageRecord runs the command and gives the record as it stands then.
func (a *Application) ResolveUsageRecord(ctx context.Context, cmd ResolveUsageRecord) (domain.UsageRecord, error) {
	subscription, err := a.Subscription(ctx, cmd.Key.SubscriptionID)
	if err != nil {
		return domain.UsageRecord{}, err
	}
	done, err := execute(ctx, a, cmd.By, cmd.Key.Stream(), func(r domain.UsageRecord) ([]domain.Event, error) {
		return r.Resolve(cmd.Resolution, cmd.MeteringRecordID, cmd.Reason, subscription.AgreementPhase(), a.now())
	})
	return done.State, err
}
