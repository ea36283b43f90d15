package main

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// With "stop" exactly as many checks are counted as the plan includes, whichever node they come to and however many
// come at once.
func TestNodesStopTogetherAtTheLimit(t *testing.T) {
	t.Parallel()
	const limit, clients = 1000, 64
	checks := fromEnvironment(t, "LIVENESS_STOP_CHECKS", 300)
	c := startCluster(t, 3)
	body := smallFace(t)
	subscription := c.subscription(t)
	if _, err := (subscriptions.Commands{Executor: c.core.executor()}).SwitchOverage(t.Context(), subscriptions.SwitchOverage{
		By: commands.NewOrigin(domain.ActorUser), SubscriptionID: subscription, To: domain.OverageStop,
	}); err != nil {
		t.Fatal(err)
	}
	// What the clients will not reach by themselves was counted before they come.
	before := max(0, limit-checks/5)
	c.countBefore(t, before)

	var sent, accepted, refused atomic.Int64
	var group sync.WaitGroup
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	for n := range clients {
		group.Go(func() {
			for sent.Add(1) <= int64(checks) {
				status, _, err := postCheck(t.Context(), client, c.apis[n%len(c.apis)].addr, c.demo.Primary, "", body)
				switch {
				case err != nil:
					t.Error(err)
				case status == http.StatusOK:
					accepted.Add(1)
				case status == http.StatusTooManyRequests:
					refused.Add(1)
				case status == http.StatusServiceUnavailable: // a full queue is no verdict: another request takes its place
					sent.Add(-1)
					pauseFor(t.Context(), 20*time.Millisecond)
				default:
					t.Errorf("a check was answered %d", status)
				}
			}
		})
	}
	group.Wait()
	counted := c.countedChecks(t, subscription, domain.MonthOf(time.Now()))
	if accepted.Load() != int64(limit-before) || len(counted) != limit || accepted.Load()+refused.Load() != int64(checks) {
		t.Errorf("of %d checks %d were accepted and %d refused; want %d accepted; the log holds %d, want %d",
			checks, accepted.Load(), refused.Load(), limit-before, len(counted), limit)
	}
	t.Logf("%d counted before; %d checks sent, %d accepted, %d refused; %d events", before, checks, accepted.Load(), refused.Load(), len(counted))
}

// countBefore counts n calls of the demo customer without judging images.
func (c *cluster) countBefore(t *testing.T, n int) {
	t.Helper()
	counter := counting.NewUsageCounter(c.core.store, projections.NewUsage(c.core.pool), time.Now, c.core.log)
	defer counter.Close()
	owner := counting.KeyOwner{SubscriptionID: c.subscription(t), Slot: domain.SlotPrimary}
	var group sync.WaitGroup
	for worker := range 50 {
		group.Go(func() {
			for i := worker; i < n; i += 50 {
				ticket, err := counter.Begin(t.Context(), owner, "")
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := ticket.Count(t.Context(), commands.NewOrigin(domain.ActorAPIClient), "", domain.Judgement{ValidFace: true}); err != nil {
					t.Error(err)
				}
				ticket.Release()
			}
		})
	}
	group.Wait()
}

// Once Regenerate has answered, no node answers a request with the old key any more, however many are under way.
func TestRegeneratedKeyIsDeadOnEveryNode(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 2)
	body := smallFace(t)
	keys := counting.NewKeyAuthenticator(projections.NewAPIKeys(c.core.pool), c.core.secret, time.Now)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 32}}

	old := c.demo.Primary
	for round := range fromEnvironment(t, "LIVENESS_KEY_ROUNDS", 3) {
		owner, err := keys.AuthenticateKey(t.Context(), old)
		if err != nil {
			t.Fatal(err)
		}
		var regenerated atomic.Bool
		var successes, late atomic.Int64
		ctx, stop := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for n := range 16 {
			group.Go(func() {
				for ctx.Err() == nil {
					begun := regenerated.Load() // read before the request leaves
					status, _, err := postCheck(t.Context(), client, c.apis[n%2].addr, old, "", body)
					if err != nil || status != http.StatusOK {
						continue
					}
					successes.Add(1)
					if begun {
						late.Add(1)
					}
				}
			})
		}
		eventually(t, "load", func() error {
			if successes.Load() < 8 {
				return errNotYet
			}
			return nil
		})
		issued, err := c.core.accounts.RegenerateKey(t.Context(), accounts.RegenerateKey{
			By: commands.NewOrigin(domain.ActorUser), CustomerID: owner.CustomerID, SubscriptionID: owner.SubscriptionID, Slot: owner.Slot,
		})
		if err != nil {
			t.Fatal(err)
		}
		regenerated.Store(true)
		for n := range 20 {
			if status, _, err := postCheck(t.Context(), client, c.apis[n%2].addr, issued.Reveal(), "", body); err != nil || status != http.StatusOK {
				t.Errorf("round %d: the new key: %d, %v", round, status, err)
			}
			if status, _, err := postCheck(t.Context(), client, c.apis[n%2].addr, old, "", body); err != nil || status != http.StatusUnauthorized {
				t.Errorf("round %d: the old key: %d, %v", round, status, err)
			}
		}
		stop()
		group.Wait()
		if late.Load() > 0 {
			t.Errorf("round %d: %d requests with the old key succeeded after Regenerate had answered", round, late.Load())
		}
		old = issued.Reveal()
	}
}
