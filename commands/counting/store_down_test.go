package counting_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

// withoutQuorum takes appends and never answers, for as long as an attempt may take.
func withoutQuorum(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	<-ctx.Done()
	return fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, ctx.Err())
}

var judged = domain.Judgement{ValidFace: true, FakeLikelihood: 0.01}

// Without a quorum every check is answered within ten seconds, also one that waits behind another batch.
func TestCheckWithoutAQuorumIsAnsweredInTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newUsageFixture(t, 1000, domain.OverageContinue)
		store := &commandstest.BrokenStore{EventStore: f.store, Fail: withoutQuorum}
		counter := f.nodeOn(store)
		var answered sync.WaitGroup
		for i := range 12 {
			answered.Go(func() {
				time.Sleep(time.Duration(i) * 700 * time.Millisecond) //nolint:forbidigo // the bubble's time
				begun := time.Now()
				reservation, err := counter.Begin(t.Context(), f.owner, "")
				if err != nil {
					t.Errorf("check %d: %v", i, err)
					return
				}
				defer reservation.Release()
				_, err = reservation.Count(t.Context(), commands.NewOrigin(domain.ActorAPIClient), "", judged)
				if took := time.Since(begun); !errors.Is(err, domain.ErrUnavailable) || took > 9500*time.Millisecond {
					t.Errorf("check %d: after %v: %v", i, took, err)
				}
			})
		}
		answered.Wait()
	})
}

// message is what a caller is told, "" when that is up to whoever answers.
func message(err error) string {
	if refusal := (*domain.Error)(nil); errors.As(err, &refusal) {
		return refusal.Message
	}
	return ""
}

// That a call is not counted is only said when it is known: before anything was sent, or after the store has refused it.
func TestWhatIsSaidOfACallThatFailed(t *testing.T) {
	t.Parallel()
	unanswered := func(context.Context) error { return commands.ErrStoreUnavailable }
	for name, test := range map[string]struct {
		fail  func(ctx context.Context) error
		key   string
		known bool
	}{
		"the store is known to be down":          {func(context.Context) error { return commands.ErrStoreDown }, "", true},
		"its disk is full":                       {func(context.Context) error { return errors.New("no space left") }, "", true},
		"no answer":                              {unanswered, "", false},
		"no answer, with a key":                  {unanswered, "k", false},
		"a time that ran out":                    {func(context.Context) error { return context.DeadlineExceeded }, "", false},
		"no answer, with a key, from a leader":   {withoutQuorum, "k", false},
		"known to be down, with a key":           {func(context.Context) error { return commands.ErrStoreDown }, "k", true},
		"first no answer, then known to be down": {firstUnanswered(), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				f := newUsageFixture(t, 1000, domain.OverageContinue)
				counter := f.nodeOn(&commandstest.BrokenStore{EventStore: f.store, Fail: test.fail})
				_, err := f.check(counter, test.key, 0.25)
				said := message(err)
				if !errors.Is(err, domain.ErrUnavailable) || (said == "") != test.known {
					t.Fatalf("%v; it is known: %t, and said is %q", err, test.known, said)
				}
				if !test.known && (strings.Contains(said, "was not counted") || !strings.Contains(said, "Idempotency-Key")) {
					t.Errorf("said is %q", said)
				}
			})
		})
	}
}

// firstUnanswered leaves one append unanswered and refuses the rest at once.
func firstUnanswered() func(context.Context) error {
	asked := 0
	return func(context.Context) error {
		if asked++; asked == 1 {
			return commands.ErrStoreUnavailable
		}
		return commands.ErrStoreDown
	}
}

// What was appended and cannot be read back is counted: nobody is told that it is not.
func TestAnAppendThatCannotBeReadBackMayBeCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newUsageFixture(t, 1000, domain.OverageContinue)
		appended := false
		store := &commandstest.HookedStore{EventStore: f.store}
		store.BeforeAppend = func(string) { appended = true }
		store.BeforeRead = func(string) {
			if appended {
				f.store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
			}
		}
		_, err := f.check(f.nodeOn(store), "k", 0.25)
		f.store.Inject(nil)
		if said := message(err); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(said, "not known") {
			t.Errorf("%v; said is %q", err, said)
		}
		f.wantCounted(f.owner, november, 1)
	})
}

// A key that cannot be looked up may stand for a call.
func TestAKeyThatCannotBeLookedUp(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 1000, domain.OverageContinue)
	f.store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	_, err := f.node().Begin(t.Context(), f.owner, "k")
	if said := message(err); !errors.Is(err, domain.ErrUnavailable) || !strings.Contains(said, "same key") {
		t.Errorf("%v; said is %q", err, said)
	}
}
