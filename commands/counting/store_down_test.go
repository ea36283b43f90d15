package counting_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
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
