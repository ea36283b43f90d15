package commands

import (
	"context"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// ResolveRecord closes a quarantined usage record by a person's decision.
type ResolveRecord struct {
	By               Origin
	Key              domain.UsageRecordKey // subscription, hour and dimension name it
	Resolution       domain.Resolution
	MeteringRecordID string // AWS's, when it was billed
	Reason           string // what shows it
}

// ResolveUsageRecord runs the command and gives the record as it stands then. It needs nothing but the log, so that an
// operator can run it from anywhere.
func ResolveUsageRecord(ctx context.Context, store EventStore, now func() time.Time, cmd ResolveRecord) (domain.UsageRecord, error) {
	subscription, err := Read[domain.Subscription](ctx, store, domain.SubscriptionStream(cmd.Key.SubscriptionID))
	if err != nil {
		return domain.UsageRecord{}, err
	}
	done, err := Execute(ctx, Executor{Store: store, Now: now}, cmd.By, cmd.Key.Stream(), func(r domain.UsageRecord) ([]domain.Event, error) {
		return r.Resolve(cmd.Resolution, cmd.MeteringRecordID, cmd.Reason, subscription.AgreementPhase(), now())
	})
	return done.State, err
}
