package main

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// With "stop" exactly as many checks are counted as the plan includes, and with a ceiling exactly as many beyond it, whichever node
// they come to and however many come at once.
func TestNodesStopTogetherAtTheLimit(t *testing.T) {
	t.Parallel()
	const limit = 1000
	checks := fromEnvironment(t, "LIVENESS_STOP_CHECKS", 300)
	c := startCluster(t, 3, 1)
	subscription, body := c.subscription(t), smallFace(t)
	choose := func(to domain.OveragePolicy, ceiling *int64) {
		t.Helper()
		if _, err := (subscriptions.Commands{Executor: c.core.executor()}).SwitchOverage(t.Context(), subscriptions.SwitchOverage{
			By: commands.NewOrigin(domain.ActorUser), SubscriptionID: subscription, To: to, Ceiling: ceiling,
		}); err != nil {
			t.Fatal(err)
		}
	}
	// What the clients will not reach by themselves was counted before they come.
	room := min(limit, checks/5)
	c.countBefore(t, limit-room)

	storm := func(most int) {
		t.Helper()
		accepted, refused := c.storm(t, body, checks)
		counted := c.countedChecks(t, subscription, domain.MonthOf(time.Now()))
		if accepted != int64(room) || len(counted) != most || accepted+refused != int64(checks) {
			t.Errorf("of %d checks %d were accepted and %d refused; want %d accepted; the log holds %d, want %d",
				checks, accepted, refused, room, len(counted), most)
		}
		t.Logf("%d checks sent, %d accepted, %d refused; %d events", checks, accepted, refused, len(counted))
	}
	choose(domain.OverageStop, nil)
	storm(limit)
	ceiling := int64(room)
	choose(domain.OverageContinue, &ceiling)
	storm(limit + room)
}

// storm sends checks of many clients to all nodes and returns how many were accepted, and how many refused for the quota.
func (c *cluster) storm(t *testing.T, body []byte, checks int) (accepted, refused int64) {
	t.Helper()
	const clients = 64
	var sent, yes, no atomic.Int64
	var group sync.WaitGroup
	client := &http.Client{Transport: document.Transport(&http.Transport{MaxIdleConnsPerHost: clients})}
	for n := range clients {
		group.Go(func() {
			for sent.Add(1) <= int64(checks) {
				status, err := c.checkForVerdict(t.Context(), client, c.apis[n%len(c.apis)].addr, c.demo.Primary, body)
				switch {
				case err != nil:
					t.Error(err)
				case status == http.StatusOK:
					yes.Add(1)
				case status == http.StatusTooManyRequests:
					no.Add(1)
				default:
					t.Errorf("a check was answered %d", status)
				}
			}
		})
	}
	group.Wait()
	return yes.Load(), no.Load()
}

// checkForVerdict sends a check, and repeats it while there is no answer to it: a queue is full, or a store slow on a busy machine.
func (c *cluster) checkForVerdict(ctx context.Context, client *http.Client, addr, key string, body []byte) (status int, err error) {
	for same := uuid.NewString(); ; pauseFor(ctx, 20*time.Millisecond) {
		status, _, err = postCheck(ctx, client, addr, key, same, body)
		if err != nil || status != http.StatusServiceUnavailable {
			return status, err
		}
	}
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
	c := startCluster(t, 2, 1)
	body := smallFace(t)
	keys := counting.NewKeyAuthenticator(projections.NewAPIKeys(c.core.pool), c.core.ring, time.Now)
	client := &http.Client{Transport: document.Transport(&http.Transport{MaxIdleConnsPerHost: 32})}

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
			if status, err := c.checkForVerdict(t.Context(), client, c.apis[n%2].addr, issued.Reveal(), body); err != nil || status != http.StatusOK {
				t.Errorf("round %d: the new key: %d, %v", round, status, err)
			}
			if status, err := c.checkForVerdict(t.Context(), client, c.apis[n%2].addr, old, body); err != nil || status != http.StatusUnauthorized {
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
