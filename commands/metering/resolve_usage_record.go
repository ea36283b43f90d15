package metering

import (
	"context"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ResolveRecord closes a quarantined usage record by a person's decision.
type ResolveRecord struct {
	By               commands.Origin
	Key              domain.UsageRecordKey // subscription, hour and dimension name it
	Resolution       domain.Resolution
	MeteringRecordID string // AWS's, when it was billed
	Reason           string // what shows it
}

// ResolveUsageRecord runs the command and returns the record as it stands then. It needs nothing but the log, so that
// an operator can run it from anywhere.
func ResolveUsageRecord(ctx context.Context, x commands.Executor, cmd ResolveRecord) (domain.UsageRecord, error) {
	subscription, err := commands.Read[domain.Subscription](ctx, x.Store, domain.SubscriptionStream(cmd.Key.SubscriptionID))
	if err != nil {
		return domain.UsageRecord{}, err
	}
	done, err := commands.Execute(ctx, x, cmd.By, cmd.Key.Stream(), func(r domain.UsageRecord) ([]domain.Event, error) {
		return r.Resolve(cmd.Resolution, cmd.MeteringRecordID, cmd.Reason, subscription.Status, x.Now())
	})
	return done.State, err
}
