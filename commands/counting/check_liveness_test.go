package counting_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// judge finds every image half fake, or fails, and counts how often it is asked.
type judge struct {
	clock interface{ Advance(time.Duration) }
	asked int
	err   error
}

func (j *judge) Judge(context.Context, counting.Share, []byte, string) (domain.Judgement, error) {
	j.asked++
	j.clock.Advance(30 * time.Millisecond)
	return domain.Judgement{ValidFace: true, FakeLikelihood: 0.5}, j.err
}

func TestCheckLiveness(t *testing.T) {
	t.Parallel()
	f := newUsageFixture(t, 10, domain.OverageStop)
	judge := &judge{clock: f.clock}
	checker := counting.NewLivenessChecker(f.node(), judge, commands.OneSecret("0123456789abcdef0123456789abcdef"), f.clock.Now)
	check := func(key string, image string, format string) (domain.CheckCompleted, error) {
		reservation, err := checker.Begin(t.Context(), f.owner, key)
		if err != nil {
			return domain.CheckCompleted{}, err
		}
		defer reservation.Release()
		started := f.clock.Now()
		f.clock.Advance(12 * time.Millisecond)
		return checker.Check(t.Context(), reservation, counting.CheckLiveness{By: by, Image: []byte(image), Format: format, StartedAt: started})
	}
	if quota, ok := checker.LastQuota(f.owner); ok {
		t.Errorf("a node that has seen nothing knows a quota: %+v", quota)
	}

	plain, err := check("", "a", "jpeg")
	if err != nil || plain.RequestDigest != "" || plain.Judgement.LatencyMS != 42 || plain.Judgement.FakeLikelihood != 0.5 || plain.Ordinal != 1 {
		t.Errorf("%+v, %v", plain, err)
	}
	first, err := check("key", "a", "jpeg")
	if err != nil || len(first.RequestDigest) != 64 || first.Ordinal != 2 {
		t.Errorf("with a key: %+v, %v", first, err)
	}
	again, err := check("key", "a", "jpeg")
	if err != nil || again != first || judge.asked != 2 {
		t.Errorf("the same again, judged %d times in all: %+v, %v", judge.asked, again, err)
	}
	for name, other := range map[string][2]string{"another image": {"b", "jpeg"}, "another format": {"a", "png"}} {
		if _, err := check("key", other[0], other[1]); !errors.Is(err, domain.ErrIdempotencyConflict) {
			t.Errorf("%s under the key: %v", name, err)
		}
	}

	judge.err = errors.New("out of memory")
	if _, err := check("", "a", "jpeg"); !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, judge.err) {
		t.Errorf("a judge that fails: %v", err)
	}
	judge.err = domain.ErrInvalidRequest
	if _, err := check("", "a", "jpeg"); !errors.Is(err, domain.ErrInvalidRequest) || errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("an image that is none: %v", err)
	}
	f.wantCounted(f.owner, november, 2)
	quota, err := checker.Quota(t.Context(), f.owner)
	if last, ok := checker.LastQuota(f.owner); err != nil || quota.Remaining() != 8 || !ok || last != quota {
		t.Errorf("%+v, %v; last %+v", quota, err, last)
	}
}

// checkerOf judges on one node with a key ring of its own.
func (f *usageFixture) checkerOf(store commands.EventStore, ring commands.Keyring) (*counting.LivenessChecker, *judge) {
	asked := &judge{clock: f.clock}
	return counting.NewLivenessChecker(f.nodeOn(store), asked, ring, f.clock.Now), asked
}

// ask is the whole way of a request.
func (f *usageFixture) ask(checker *counting.LivenessChecker, key, image string) (domain.CheckCompleted, error) {
	reservation, err := checker.Begin(context.Background(), f.owner, key)
	if err != nil {
		return domain.CheckCompleted{}, err
	}
	defer reservation.Release()
	return answer(f, checker, reservation, image)
}

func answer(f *usageFixture, checker *counting.LivenessChecker, reservation *counting.Reservation, image string) (domain.CheckCompleted, error) {
	return checker.Check(context.Background(), reservation, counting.CheckLiveness{By: by, Image: []byte(image), Format: "jpeg", StartedAt: f.clock.Now()})
}

// A request is the same after the secret was replaced: it is answered as before, and neither judged nor counted again.
func TestAnIdempotencyKeyOutlivesItsSecret(t *testing.T) {
	t.Parallel()
	for name, now := range map[string][]string{
		"replaced": {"newer", "older"}, "replaced twice": {"newest", "newer", "older"}, "coming": {"older", "newer"}, "not heard of it yet": {"older"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newUsageFixture(t, 10, domain.OverageStop)
			ring := commandstest.NewKeyring("older")
			checker, judge := f.checkerOf(f.store, ring)
			first, err := f.ask(checker, "key", "a")
			if err != nil {
				t.Fatal(err)
			}
			ring.Hold(now...)
			other, _ := f.checkerOf(f.store, ring)
			for _, node := range []*counting.LivenessChecker{checker, other} {
				if again, err := f.ask(node, "key", "a"); err != nil || again != first {
					t.Errorf("the same again: %+v, %v", again, err)
				}
				if _, err := f.ask(node, "key", "b"); !errors.Is(err, domain.ErrIdempotencyConflict) {
					t.Errorf("another image under the key: %v", err)
				}
			}
			if judge.asked != 1 {
				t.Errorf("judged %d times", judge.asked)
			}
			f.wantCounted(f.owner, november, 1)
			ring.Hold("newest")
			if _, err := f.ask(checker, "key", "a"); !errors.Is(err, domain.ErrIdempotencyConflict) {
				t.Errorf("without the secret of then: %v", err)
			}
		})
	}
}

// The same key is under way on two nodes of which one uses the newer secret already: whoever comes second gets the answer of
// the first for the same image, and a conflict for another.
func TestTwoNodesOneIdempotencyKeyWhileASecretIsReplaced(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		image    string
		conflict bool
	}{"the same image": {"a", false}, "another image": {"b", true}} {
		for when, late := range map[string]bool{"counted before": false, "counted at the same revision": true} {
			t.Run(name+", "+when, func(t *testing.T) {
				t.Parallel()
				f := newUsageFixture(t, 10, domain.OverageStop)
				store := &commandstest.HookedStore{EventStore: f.store}
				ahead, _ := f.checkerOf(f.store, commandstest.NewKeyring("newer", "older"))
				behind, _ := f.checkerOf(store, commandstest.NewKeyring("older", "newer"))
				reservation, err := behind.Begin(t.Context(), f.owner, "key")
				if err != nil {
					t.Fatal(err)
				}
				defer reservation.Release()
				var first domain.CheckCompleted
				counted := func() {
					if first, err = f.ask(ahead, "key", "a"); err != nil {
						t.Error(err)
					}
				}
				if late {
					var once sync.Once
					store.BeforeAppend = func(string) { once.Do(counted) }
				} else {
					counted()
				}
				second, err := answer(f, behind, reservation, c.image)
				if c.conflict && !errors.Is(err, domain.ErrIdempotencyConflict) || !c.conflict && (err != nil || second != first) {
					t.Errorf("%+v, %v; the first answer was %+v", second, err, first)
				}
				f.wantCounted(f.owner, november, 1)
			})
		}
	}
}
