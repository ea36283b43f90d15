package projections_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// A subscription is shown before it starts, and as it was when it goes on after its end; its customer reads both.
func TestScheduledAndReinstatedSubscriptions(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	shown := []engine.Projection{projections.SubscriptionsProjection(), projections.ActivityProjection()}
	if err := engine.Prepare(t.Context(), pool, shown...); err != nil {
		t.Fatal(err)
	}
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	stream := domain.SubscriptionStream(c.Subscription)
	subscriptions := projections.NewSubscriptions(pool)
	happens := func(event domain.Event) projections.SubscriptionRow {
		t.Helper()
		before := len(log.All())
		log.Append(stream, event)
		for range 2 { // applied again it changes nothing
			for _, p := range shown {
				applyAll(t, pool, p, log.All()[before:])
			}
		}
		row, known, err := subscriptions.Subscription(t.Context(), c.Subscription)
		if err != nil || !known {
			t.Fatal(known, err)
		}
		return row
	}
	listed := func(find func() ([]uuid.UUID, error)) bool {
		t.Helper()
		found, err := find()
		if err != nil {
			t.Fatal(err)
		}
		return len(found) == 1
	}
	scheduled := func() ([]uuid.UUID, error) { return subscriptions.Scheduled(t.Context()) }
	startsAt := memorylog.Epoch.AddDate(0, 0, 7)
	row := happens(domain.SubscriptionScheduled{
		SubscriptionID: c.Subscription, CustomerID: c.ID, StartsAt: startsAt, Marketplace: domain.MarketplaceIdentity{AWSAccountID: "7", LicenseARN: "l-7"},
	})
	if row.Status != domain.StatusScheduled || !row.StartedAt.Equal(startsAt) || row.Plan != "" || !listed(scheduled) {
		t.Errorf("scheduled: %+v", row)
	}
	if !listed(func() ([]uuid.UUID, error) { return subscriptions.ByAWSAccount(t.Context(), "7") }) {
		t.Error("a scheduled subscription is not found by its account")
	}
	end := domain.SubscriptionEnded{SubscriptionID: c.Subscription, EndedAt: memorylog.Epoch}
	reinstate := domain.SubscriptionReinstated{SubscriptionID: c.Subscription, Why: "why", ReinstatedAt: memorylog.Epoch}
	happens(end)
	if row = happens(reinstate); row.Status != domain.StatusScheduled || !row.EndedAt.IsZero() {
		t.Errorf("reinstated before its start: %+v", row)
	}
	if row = happens(c.Started()); row.Status != domain.StatusActive || row.Plan != domain.PlanStarter || !row.StartedAt.Equal(memorylog.Epoch) || listed(scheduled) {
		t.Errorf("started: %+v", row)
	}
	if row = happens(end); row.Status != domain.StatusEnded || row.EndedAt.IsZero() {
		t.Errorf("ended: %+v", row)
	}
	if row = happens(reinstate); row.Status != domain.StatusActive || row.Plan != domain.PlanStarter || !row.EndedAt.IsZero() {
		t.Errorf("reinstated: %+v", row)
	}
	entries, err := projections.NewActivity(pool).List(t.Context(), c.ID, c.ID, projections.ActivityFilter{}, 0, 10)
	if err != nil || len(entries) != 6 || entries[0].Summary() != "Subscription reinstated: API calls are served again." ||
		entries[5].Summary() != "Bought on AWS Marketplace; the contract starts on "+startsAt.Format("2006-01-02")+"." {
		t.Errorf("activity: %+v, %v", entries, err)
	}
}
