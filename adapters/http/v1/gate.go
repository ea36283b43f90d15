package v1

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/pas-ta/liveness/domain"
)

// gate bounds the checks under way: all of them, and those that are judged at the same time. The rest wait in order.
type gate struct {
	places  *semaphore.Weighted
	turns   *semaphore.Weighted
	patient time.Duration

	admitted, waiting, judged atomic.Int64
}

func newGate(l Limits) *gate {
	return &gate{
		places: semaphore.NewWeighted(int64(l.InFlight)), turns: semaphore.NewWeighted(int64(l.Concurrency)), patient: l.QueueWait,
	}
}

// enter takes a place without waiting, or refuses. The place is given back with leave.
func (g *gate) enter() (leave func(), err error) {
	if !g.places.TryAcquire(1) {
		return nil, domain.ErrOverloaded
	}
	g.admitted.Add(1)
	return func() {
		g.admitted.Add(-1)
		g.places.Release(1)
	}, nil
}

// turn waits until the check may be judged. The turn is given back with done.
func (g *gate) turn(ctx context.Context) (done func(), err error) {
	g.waiting.Add(1)
	defer g.waiting.Add(-1)
	waiting, cancel := context.WithTimeout(ctx, g.patient)
	defer cancel()
	if err := g.turns.Acquire(waiting, 1); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, domain.ErrOverloaded
	}
	g.judged.Add(1)
	return func() {
		g.judged.Add(-1)
		g.turns.Release(1)
	}, nil
}
