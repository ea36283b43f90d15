package counting_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

const apiKey = domain.KeyPrefix + "0123456789abcdefghijABCDEFGHI"

// keyLog is a log in which customers have keys, and a directory of them.
type keyLog struct {
	t        *testing.T
	store    *memorystore.Store
	ring     *commandstest.Keyring
	customer uuid.UUID
}

func newKeyLog(t *testing.T) *keyLog {
	t.Helper()
	return &keyLog{t: t, store: memorystore.New(time.Now), ring: commandstest.NewKeyring("older"), customer: uuid.New()}
}

func (l *keyLog) digest(key string) domain.KeyDigest {
	secret := commands.InUse(l.ring, commands.PurposeAPIKeys)
	return domain.NewKeyDigest(key, secret.APIKeyHash(key), secret.ID)
}

// record appends to the keys of a customer.
func (l *keyLog) record(customer uuid.UUID, event domain.Event) {
	l.t.Helper()
	_, err := commands.Execute(l.t.Context(), commands.Executor{Store: l.store, Now: time.Now}, by, domain.APIKeysStream(customer),
		func(domain.APIKeys) ([]domain.Event, error) { return []domain.Event{event}, nil })
	if err != nil {
		l.t.Fatal(err)
	}
}

func (l *keyLog) issue(customer uuid.UUID) {
	l.t.Helper()
	l.record(customer, domain.KeyIssued{CustomerID: customer, Slot: domain.SlotPrimary, Key: l.digest(apiKey)})
}

// FindKey looks into the log.
func (l *keyLog) FindKey(ctx context.Context, hashes []string) (counting.KeyOwner, string, error) {
	keys, err := commands.Read[domain.APIKeys](ctx, l.store, domain.APIKeysStream(l.customer))
	if hash := keys.Keys[domain.SlotPrimary].Hash; slices.Contains(hashes, hash) {
		return counting.KeyOwner{CustomerID: l.customer, Slot: domain.SlotPrimary}, hash, err
	}
	return counting.KeyOwner{}, "", err
}

func (l *keyLog) types(customer uuid.UUID) []string {
	return commandstest.Types(l.t, l.store, domain.APIKeysStream(customer))
}

func (l *keyLog) rehasher(store commands.EventStore, log *slog.Logger) *counting.KeyRehasher {
	rehasher := counting.NewKeyRehasher(commands.Executor{Store: store, Now: time.Now}, log)
	l.t.Cleanup(rehasher.Close)
	return rehasher
}

// A key that is used comes under the newer secret, once, and is found by it alone then. A key that is not used stays.
func TestUsedKeysComeUnderTheNewerSecret(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newKeyLog(t)
		l.issue(l.customer)
		rehasher := l.rehasher(l.store, slog.New(slog.DiscardHandler))
		offered := 0
		node := func() *counting.KeyAuthenticator {
			a := counting.NewKeyAuthenticator(l, l.ring, time.Now)
			a.Rehash = func(cmd counting.RehashKey) {
				offered++
				rehasher.Offer(cmd)
			}
			return a
		}
		use := func(a *counting.KeyAuthenticator, refusal error) {
			t.Helper()
			if owner, err := a.AuthenticateKey(t.Context(), apiKey); !errors.Is(err, refusal) || err == nil && owner.CustomerID != l.customer {
				t.Errorf("%+v, %v; want %v", owner, err, refusal)
			}
			synctest.Wait()
		}
		use(node(), nil)
		if offered != 0 {
			t.Error("a key under the only secret is offered")
		}
		l.ring.Hold("newer", "older")
		first := node()
		use(first, nil)
		use(first, nil) // what was found is believed for a while, and not offered again
		use(node(), nil)
		if got := l.types(l.customer); offered != 1 || !slices.Equal(got, []string{"KeyIssued", "KeyRehashed"}) {
			t.Errorf("offered %d times; the log holds %v", offered, got)
		}
		last, _, err := l.store.ReadLast(t.Context(), domain.APIKeysStream(l.customer))
		if e, ok := last.Event.(domain.KeyRehashed); err != nil || !ok || e.Key != l.digest(apiKey) || e.Former.SecretID != "older" || last.Meta.Actor != domain.ActorSystem {
			t.Errorf("%+v, %v", last, err)
		}
		l.ring.Hold("newer")
		use(node(), nil)
		l.ring.Hold("older")
		use(node(), domain.ErrInvalidAPIKey)
	})
}

// What was replaced or brought along meanwhile is left alone, whoever offers it.
func TestKeysThatWereReplacedAreNotRehashed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newKeyLog(t)
		l.issue(l.customer)
		former := l.digest(apiKey)
		l.ring.Hold("newer", "older")
		rehasher := l.rehasher(l.store, slog.New(slog.DiscardHandler))
		offer := func(slot domain.KeySlot) []string {
			rehasher.Offer(counting.RehashKey{CustomerID: l.customer, Slot: slot, Former: former.Hash, Key: l.digest(apiKey)})
			synctest.Wait()
			return l.types(l.customer)
		}
		if got := offer(domain.SlotSecondary); len(got) != 1 {
			t.Errorf("another slot: %v", got)
		}
		if got := offer(domain.SlotPrimary); len(got) != 2 {
			t.Errorf("the slot: %v", got)
		}
		if got := offer(domain.SlotPrimary); len(got) != 2 {
			t.Errorf("again, as another node would: %v", got)
		}
		l.record(l.customer, domain.KeyRegenerated{CustomerID: l.customer, Slot: domain.SlotPrimary, OldKey: l.digest(apiKey), NewKey: domain.KeyDigest{Hash: "other"}})
		former = l.digest(apiKey)
		if got := offer(domain.SlotPrimary); len(got) != 3 {
			t.Errorf("a key that was replaced: %v", got)
		}
	})
}

// A log that takes nothing costs the key its new digest until it is used next; what is logged does not name the key.
func TestRehashingWaitsForTheNextUse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newKeyLog(t)
		l.issue(l.customer)
		former := l.digest(apiKey)
		l.ring.Hold("newer", "older")
		var log strings.Builder
		rehasher := l.rehasher(l.store, slog.New(slog.NewTextHandler(&log, nil)))
		cmd := counting.RehashKey{CustomerID: l.customer, Slot: domain.SlotPrimary, Former: former.Hash, Key: l.digest(apiKey)}
		l.store.Inject(func(o memorystore.Operation) memorystore.Fault {
			if o.Kind == memorystore.Append {
				return memorystore.UnavailableBefore
			}
			return memorystore.None
		})
		rehasher.Offer(cmd)
		<-time.After(time.Minute) // of the bubble's clock: longer than an attempt takes
		synctest.Wait()
		if got := l.types(l.customer); len(got) != 1 || !strings.Contains(log.String(), l.customer.String()) || strings.Contains(log.String(), apiKey) {
			t.Errorf("the log holds %v; logged: %s", got, log.String())
		}
		l.store.Inject(nil)
		rehasher.Offer(cmd)
		synctest.Wait()
		if got := l.types(l.customer); !slices.Equal(got, []string{"KeyIssued", "KeyRehashed"}) {
			t.Errorf("the next time: %v", got)
		}
	})
}

// Offering never waits: what is too much, and what is left when the work ends, is for the keys' next use.
func TestOfferingAKeyDoesNotWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newKeyLog(t)
		blocked, tried := make(chan struct{}), atomic.Int64{}
		store := &commandstest.HookedStore{EventStore: l.store, BeforeRead: func(string) {
			tried.Add(1)
			<-blocked
		}}
		rehasher := l.rehasher(store, slog.New(slog.DiscardHandler))
		offer := func() { rehasher.Offer(counting.RehashKey{CustomerID: uuid.New()}) }
		offer()
		synctest.Wait() // it is at the first
		for range 1000 {
			offer()
		}
		close(blocked)
		synctest.Wait()
		if tried.Load() != 1+256 {
			t.Errorf("%d keys were looked at, want the first and the 256 that wait at most", tried.Load())
		}
		rehasher.Close()
		for range 1000 {
			offer()
		}
		synctest.Wait()
		if tried.Load() != 1+256 {
			t.Errorf("%d keys were looked at after the end", tried.Load())
		}
	})
}
