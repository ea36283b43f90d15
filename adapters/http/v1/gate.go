package v1

import (
	"context"
	"sync/atomic"

	"github.com/pas-ta/liveness/domain"
)

// Queue is where images wait to be judged, the only place where checks wait for each other. It refuses by itself, when an
// image is there and no place or no worker; the API looks at it to refuse before it reads an image.
type Queue interface {
	Workers() int              // how many checks are judged at the same time
	Admitted() (now, most int) // how many wait or are judged, and how many may
}

// gate admits checks before anything of their images is read.
type gate struct {
	queue    Queue
	most     int64 // checks under way, uploads included
	admitted atomic.Int64
}

// newGate leaves room for others checks besides those in the queue, so that the queue is what is full first.
func newGate(queue Queue, others int) *gate {
	_, places := queue.Admitted()
	return &gate{queue: queue, most: int64(places + others)}
}

// full returns domain.ErrOverloaded while the queue has no place for another image.
func (g *gate) full() error {
	if now, most := g.queue.Admitted(); now >= most {
		return domain.ErrOverloaded
	}
	return nil
}

// component returns the queue as health reports it.
func (g *gate) component() Component {
	return Component{Name: "inference", Probe: func(context.Context) error { return g.full() }}
}

// enter admits a check, or refuses it at once. The caller calls leave when it is answered.
func (g *gate) enter() (leave func(), err error) {
	if err := g.full(); err != nil {
		return nil, err
	}
	if g.admitted.Add(1) > g.most {
		g.leave()
		return nil, domain.ErrOverloaded
	}
	return g.leave, nil
}

func (g *gate) leave() { g.admitted.Add(-1) }

// waiting returns how many images wait for a worker.
func (g *gate) waiting() int64 {
	now, _ := g.queue.Admitted()
	return int64(max(0, now-g.queue.Workers()))
}

// judged returns how many images workers are at.
func (g *gate) judged() int64 {
	now, _ := g.queue.Admitted()
	return int64(min(now, g.queue.Workers()))
}
