package consoletest

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// Subscription returns the one subscription of the world.
func (w *World) Subscription() uuid.UUID {
	w.t.Helper()
	all, err := w.Store.All()
	Must(w.t, err)
	for _, recorded := range all {
		if e, ok := recorded.Event.(domain.SubscriptionStarted); ok {
			return e.SubscriptionID
		}
	}
	w.t.Fatal("nobody has subscribed")
	return uuid.Nil
}

// Credit credits calls of a month, as an operator does.
func (w *World) Credit(subscription uuid.UUID, month domain.Month, calls int64) {
	w.t.Helper()
	_, err := metering.CreditUsage(w.t.Context(), w.Accounts.Executor, metering.Credit{
		By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: subscription, Month: month, Calls: calls, Why: "your test run, ticket 42",
	})
	Must(w.t, err)
}

// Used gives the customer of a person some calls, so that charts and tables have something to show.
func (w *World) Used(calls int) {
	w.t.Helper()
	w.Count(w.Subscription(), w.Clock.Now(), calls)
	w.Settled()
}

// Fail has calls of the world's customer fail, as the API notes them.
func (w *World) Fail(calls ...counting.FailedCall) {
	w.t.Helper()
	failures := postgres.NewFailedCalls(w.Pool, projections.NewKeyHistory(w.Pool, nil), commands.OneSecret(Secret), slog.New(slog.DiscardHandler))
	for _, call := range calls {
		call.CustomerID = domain.CustomerIDForSubscription(w.Subscription())
		if call.RequestID == uuid.Nil {
			call.RequestID = uuid.New()
		}
		failures.Note(call, "")
	}
	failures.Close()
}

// SendReplaced sends calls with a key that is not known, as the API notes them.
func (w *World) SendReplaced(key string, calls int) {
	w.t.Helper()
	w.Settled()
	failures := postgres.NewFailedCalls(w.Pool, projections.NewKeyHistory(w.Pool, nil), commands.OneSecret(Secret), slog.New(slog.DiscardHandler))
	for range calls {
		failures.Note(counting.FailedCall{At: w.Clock.Now(), RequestID: uuid.New(), Status: 401, Code: "invalid_api_key", Message: "The API key is not valid."}, key)
	}
	failures.Close()
}

// NoFace returns a call that failed because no face was on the photo.
func NoFace(at time.Time) counting.FailedCall {
	return counting.FailedCall{At: at, Status: 400, Code: "invalid_image", Message: "No face was detected.", KeySlot: domain.SlotPrimary, KeyPrefix: "lc_abc12"}
}

// SubscriptionOf returns the subscription of a customer.
func (w *World) SubscriptionOf(customer string) uuid.UUID {
	w.t.Helper()
	account, err := w.Accounts.Account(w.t.Context(), uuid.MustParse(customer))
	Must(w.t, err)
	return account.SubscriptionID
}

// End ends a subscription, as AWS does.
func (w *World) End(subscription uuid.UUID) {
	w.t.Helper()
	_, err := commands.Execute(w.t.Context(), w.Accounts.Executor, commands.NewOrigin(domain.ActorMarketplace), domain.SubscriptionStream(subscription),
		func(s domain.Subscription) ([]domain.Event, error) { return s.End("cancelled", w.Clock.Now()), nil })
	Must(w.t, err)
}

// Count appends counted calls of a subscription at one moment, as the API does.
func (w *World) Count(subscription uuid.UUID, at time.Time, calls int) {
	w.t.Helper()
	ctx := context.WithoutCancel(w.t.Context())
	s, err := w.Subscriptions().Subscription(ctx, subscription)
	Must(w.t, err)
	stream := domain.UsageStream(subscription, domain.MonthOf(at))
	usage, revision := domain.UsageMonth{Month: domain.MonthOf(at)}, commands.NoStream
	last, found, err := w.Store.ReadLast(ctx, stream)
	Must(w.t, err)
	if found {
		usage, revision = usage.Fold(last.Event), int64(last.Revision)
	}
	var events []commands.Proposed
	for range calls {
		n := usage.Counted()
		likelihood := 0.004 + float64((n*37)%90)/1000
		if n%11 == 4 {
			likelihood = 0.62 + float64((n*53)%370)/1000
		}
		valid, issues := n%17 != 3, domain.Issues("")
		if !valid {
			issues = domain.NewIssues(domain.IssueTooDark, domain.IssueBlurred)
		}
		event, err := usage.Count(domain.Subscription{
			ID: s.ID, CustomerID: s.CustomerID, Status: s.Status, Plan: s.Plan, Limit: s.Limit, Overage: domain.OverageContinue,
		}, 0, domain.Check{
			ID: uuid.New(), KeySlot: domain.SlotPrimary, At: at,
			Judgement: domain.Judgement{FakeLikelihood: likelihood, FakeFace: likelihood > 0.15, ValidFace: valid, Issues: issues, Faces: 2, Brightness: 118 + float64(n%60), Threshold: 0.15, LatencyMS: 84 + n%70},
		})
		Must(w.t, err)
		events = append(events, commands.Proposed{ID: uuid.New(), Event: event, Meta: domain.Metadata{CorrelationID: uuid.New(), Actor: domain.ActorAPIClient, OccurredAt: at}})
		usage = usage.Fold(event)
		at = at.Add(7 * time.Second)
	}
	_, err = w.Store.Append(ctx, stream, revision, events)
	Must(w.t, err)
}
