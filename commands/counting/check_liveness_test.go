package counting_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands"
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
