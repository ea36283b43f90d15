package subscriptions_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// more starts further subscriptions of a product, until there are n.
func (s *syncedSubscription) more(t *testing.T, n int, productCode string) {
	t.Helper()
	for len(s.serving) < n {
		started, err := subscriptions.Commands{Executor: s.Executor}.StartSubscription(t.Context(), subscriptions.StartSubscription{
			By:       commands.NewOrigin(domain.ActorBuyer),
			Identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: fmt.Sprint("l-", len(s.serving)), ProductCode: productCode},
			Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.serving = append(s.serving, started.State.ID)
	}
}

// restart goes on in another process.
func (s *syncedSubscription) restart(t *testing.T) {
	t.Helper()
	var err error
	if s.EntitlementSync, err = subscriptions.NewEntitlementSync(s.EntitlementSyncConfig); err != nil {
		t.Fatal(err)
	}
}

// compare makes so many rounds, each in another process, half an hour apart.
func (s *syncedSubscription) compare(t *testing.T, rounds int) {
	t.Helper()
	for range rounds {
		s.restart(t)
		if err := s.ReconcileEntitlements(t.Context()); err != nil && !errors.Is(err, s.failure) && !errors.Is(err, s.unlisted) {
			t.Fatal(err)
		}
		s.now = s.now.Add(30 * time.Minute)
	}
}

// ends counts the subscriptions that have ended.
func (s *syncedSubscription) ends(t *testing.T) (n int) {
	t.Helper()
	for _, id := range s.serving {
		sub, err := subscriptions.Commands{Executor: s.Executor}.Subscription(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if sub.Status == domain.StatusEnded {
			n++
		}
	}
	return n
}

func (g *rememberedGaps) withheld() (n int) {
	for _, gap := range g.gaps {
		if gap.Withheld {
			n++
		}
	}
	return n
}

// Two empty answers end a few subscriptions and not all of them: that would be a mistake of AWS or of the configuration.
func TestEmptyAnswersEndAFewOnly(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		subscriptions, rounds, ended, withheld int
		bound                                  domain.EndingBound
	}{
		"one round":             {3, 1, 0, 0, domain.EndingBound{Subscriptions: 3, Percent: 1}},
		"all of more, once":     {4, 1, 0, 0, domain.EndingBound{Subscriptions: 3, Percent: 1}},
		"few":                   {3, 2, 3, 0, domain.EndingBound{Subscriptions: 3, Percent: 1}},
		"all of a few more":     {4, 2, 0, 4, domain.EndingBound{Subscriptions: 3, Percent: 1}},
		"however often":         {4, 5, 0, 4, domain.EndingBound{Subscriptions: 3, Percent: 1}},
		"as many as allowed":    {4, 2, 4, 0, domain.EndingBound{Subscriptions: 4, Percent: 1}},
		"as much as allowed":    {4, 2, 4, 0, domain.EndingBound{Subscriptions: 3, Percent: 100}},
		"none where none may":   {1, 2, 0, 1, domain.EndingBound{}},
		"none however few more": {2, 2, 0, 2, domain.EndingBound{Subscriptions: 1, Percent: 99}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSyncedSubscription(t)
			var alerts commandstest.Lines
			s.Log, s.Bound, s.contract = slog.New(slog.NewTextHandler(&alerts, &slog.HandlerOptions{Level: slog.LevelError})), c.bound, nil
			s.more(t, c.subscriptions, "")
			s.compare(t, c.rounds)
			if got := s.ends(t); got != c.ended || s.ended != c.ended || s.gaps.withheld() != c.withheld {
				t.Errorf("%d have ended, metering was told of %d, %d are withheld", got, s.ended, s.gaps.withheld())
			}
			if shown := strings.Contains(alerts.String(), "l-synced"); c.withheld > 0 && !shown {
				t.Errorf("the alert does not name the subscriptions: %s", alerts.String())
			}
			s.contract = []domain.ContractEntitlement{{Dimension: "starter", Quantity: 1}}
			s.compare(t, 1)
			if len(s.gaps.gaps) > 0 {
				t.Errorf("what AWS lists again is remembered as missing: %v", s.gaps.gaps)
			}
		})
	}
}

// AWS lists a subscription again at the very moment when it would end.
func TestWhatIsListedAgainDoesNotEnd(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	contract := s.contract
	s.contract = nil
	s.compare(t, 1)
	s.meanwhile(func() { s.contract = contract }) // the second empty answer
	s.compare(t, 1)
	s.wants(t)
}

// A wrong product code makes AWS list nothing that is ours.
func TestSubscriptionsOfAnotherProductAreLeftAlone(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.serving = nil
	s.more(t, 3, "theirs")
	var log commandstest.Lines
	s.Log, s.ProductCode, s.contract = slog.New(slog.NewTextHandler(&log, nil)), "ours", nil
	asked := 0
	s.asked = func() { asked++ }
	s.compare(t, 3)
	id := s.serving[1]
	if err := s.RereadEntitlement(t.Context(), id); err != nil {
		t.Error(err)
	}
	if err := s.followNew(t, domain.AgreementEnding, domain.MarketplaceNotified{AWSAccountID: "1", Type: "Purchase Agreement Ended"}); err != nil {
		t.Error(err)
	}
	if s.ends(t) != 0 || asked != 0 || len(s.gaps.gaps) != 0 {
		t.Errorf("%d have ended, AWS was asked %d times, %v is remembered", s.ends(t), asked, s.gaps.gaps)
	}
	if !strings.Contains(s.gaps.problem, "none of 3 subscriptions is of the product code") {
		t.Errorf("an operator is told %q", s.gaps.problem)
	}
	if !strings.Contains(log.String(), "subscriptions=3") {
		t.Errorf("the log says %q", log.String())
	}
	s.more(t, 4, "ours")
	if s.compare(t, 1); s.gaps.problem != "" {
		t.Errorf("with a subscription of the product among them an operator is told %q", s.gaps.problem)
	}
	s.serving = s.serving[:3]
	s.ProductCode = "theirs"
	s.compare(t, 2)
	if s.ends(t) != 3 {
		t.Errorf("%d of the product's own have ended", s.ends(t))
	}
}

// Without an answer of AWS a subscription is served for a while after its term, then no more. An answer begins that anew.
func TestTermIsOverWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	for name, silence := range map[string]func(*syncedSubscription, error){
		"nothing is listed":         func(s *syncedSubscription, err error) { s.unlisted, s.failure = err, err },
		"the licence is not listed": func(s *syncedSubscription, err error) { s.failure = err },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSyncedSubscription(t)
			s.UnansweredGrace = 2 * time.Hour
			down := errors.New("AWS is down")
			s.now = s.contract[0].ExpiresAt
			silence(s, down)
			s.compare(t, 4) // at 0:00, 0:30, 1:00 and 1:30 after the term
			silence(s, nil)
			s.compare(t, 1)
			silence(s, down)
			s.compare(t, 4) // from 2:30 on
			s.wants(t)
			s.compare(t, 1)
			s.wants(t, "SubscriptionEnded")
			if s.ended != 1 {
				t.Error("metering does not know of the end")
			}
		})
	}
}

// Who was not answered about and would end is asked for once more; that answer is the first empty one.
func TestFirstEmptyAnswerAfterASilenceEndsNothing(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.UnansweredGrace = time.Hour
	s.now = s.contract[0].ExpiresAt
	s.unlisted, s.contract = errors.New("the list fails"), nil
	s.compare(t, 4)
	s.wants(t)
	s.unlisted = nil
	s.compare(t, 1)
	s.wants(t)
	s.compare(t, 1)
	s.wants(t, "SubscriptionEnded")
}

// A list that fails does not hide an answer that is given when it counts.
func TestAnswerAfterASilenceIsFollowed(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.UnansweredGrace = time.Hour
	s.now = s.contract[0].ExpiresAt
	s.unlisted = errors.New("the list fails")
	s.plan("standard", s.now.AddDate(0, 1, 0))
	s.compare(t, 4)
	s.wants(t, "PlanChanged", "SubscriptionRenewed")
}

// AWS is away when many terms are over.
func TestSilenceEndsAFewOnly(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	s.serving = nil
	for i := range 4 {
		started, err := subscriptions.Commands{Executor: s.Executor}.StartSubscription(t.Context(), subscriptions.StartSubscription{
			By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "1", LicenseARN: fmt.Sprint("l-", i)},
			Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000, ExpiresAt: s.now},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.serving = append(s.serving, started.State.ID)
	}
	s.UnansweredGrace = time.Hour
	s.unlisted, s.failure = errors.New("AWS is down"), errors.New("AWS is down")
	s.compare(t, 4)
	if s.ends(t) != 0 || s.gaps.withheld() != 4 {
		t.Errorf("%d have ended, %d are withheld", s.ends(t), s.gaps.withheld())
	}
}

// A seller without a buyer has nothing to be told of.
func TestNothingIsComparedWithoutSubscriptions(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	var log commandstest.Lines
	s.Log, s.ProductCode, s.serving = slog.New(slog.NewTextHandler(&log, nil)), "ours", nil
	if s.compare(t, 1); s.gaps.problem != "" || log.String() != "" {
		t.Errorf("an operator is told %q; the log says %q", s.gaps.problem, log.String())
	}
}

// A default, so that nobody who leaves it out ends subscriptions at once.
func TestUnansweredGraceHasADefault(t *testing.T) {
	t.Parallel()
	if s := newSyncedSubscription(t); s.UnansweredGrace != subscriptions.DefaultUnansweredGrace {
		t.Errorf("the grace is %s", s.UnansweredGrace)
	}
}

// What has ended by mistake is told of, and an operator lets it go on.
func TestReinstatedSubscriptionGoesOn(t *testing.T) {
	t.Parallel()
	s := newSyncedSubscription(t)
	var alerts commandstest.Lines
	s.Log = slog.New(slog.NewTextHandler(&alerts, &slog.HandlerOptions{Level: slog.LevelError}))
	contract, id := s.contract, s.serving[0]
	s.contract = nil
	s.compare(t, 2)
	s.wants(t, "SubscriptionEnded")
	s.contract, s.serving = contract, nil
	s.listed = []subscriptions.LicensedEntitlement{{Identity: domain.MarketplaceIdentity{LicenseARN: testLicence}, ContractEntitlement: contract[0]}}
	s.now = s.now.Add(time.Hour)
	s.compare(t, 1)
	if !strings.Contains(alerts.String(), "reinstate") || !strings.Contains(alerts.String(), id.String()) {
		t.Errorf("nobody is told that AWS lists what has ended: %s", alerts.String())
	}
	log := subscriptions.Commands{Executor: s.Executor}
	reinstate := func(id uuid.UUID) error {
		_, err := log.ReinstateSubscription(t.Context(), subscriptions.ReinstateSubscription{
			By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: id, Why: "AWS case 1234",
		})
		return err
	}
	if err := reinstate(id); err != nil {
		t.Error(err)
	}
	for _, who := range []uuid.UUID{id, uuid.New()} {
		if err := reinstate(who); !errors.Is(err, domain.ErrNotEnded) {
			t.Errorf("got %v", err)
		}
	}
	s.serving = []uuid.UUID{id}
	s.compare(t, 3)
	s.wants(t, "SubscriptionEnded", "SubscriptionReinstated")
}

// A worker that is restarted all the time compares nevertheless, half an hour after the last comparison of any.
func TestRestartedWorkerCompares(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSyncedSubscription(t)
		s.Now = time.Now
		asked := 0
		s.asked = func() { asked++ }
		s.gaps.at = time.Now()
		for range 5 { // restarts after 10 minutes each
			s.restart(t)
			ctx, stop := context.WithTimeout(t.Context(), 10*time.Minute+time.Second)
			if err := s.Run(ctx, turns{}); err != nil {
				t.Error(err)
			}
			stop()
		}
		if asked != 1 {
			t.Errorf("in 50 minutes AWS was asked %d times, want 1", asked)
		}
	})
}

// What is to be compared more often is.
func TestCompareEvery(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSyncedSubscription(t)
		s.Now, s.CompareEvery = time.Now, 10*time.Second
		asked := 0
		s.asked = func() { asked++ }
		ctx, stop := context.WithTimeout(t.Context(), 35*time.Second)
		defer stop()
		if err := s.Run(ctx, turns{}); err != nil || asked != 3 {
			t.Errorf("in 35 s AWS was asked %d times, %v", asked, err)
		}
	})
}

// A contract that starts is started within a minute, whether or not another one can be.
func TestRunStartsWhatIsScheduled(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _ := later(t)
		var complaints commandstest.Lines
		s.Log = slog.New(slog.NewTextHandler(&complaints, &slog.HandlerOptions{Level: slog.LevelError}))
		s.now, s.failure = time.Date(2026, 11, 10, 10, 0, 0, 0, time.UTC), errors.New("AWS is down")
		ctx, stop := context.WithTimeout(t.Context(), 61*time.Second)
		defer stop()
		if err := s.Run(ctx, turns{}); err != nil || complaints.Count() != 1 {
			t.Errorf("%v, %s", err, complaints.String())
		}
		s.failure = nil
		s.plan("starter", s.now.AddDate(0, 1, 0))
		ctx, stop = context.WithTimeout(t.Context(), 61*time.Second)
		defer stop()
		if err := s.Run(ctx, turns{}); err != nil {
			t.Error(err)
		}
		s.wants(t, "SubscriptionStarted")
	})
}
