//go:build amd64 || arm64

package isolated

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// Workers starts worker processes and knows how they do.
type Workers struct {
	cfg  Config
	tell sync.Once
	ends struct{ crashed, hung, garbled atomic.Int64 }

	mu      sync.Mutex
	sandbox Sandbox
	problem error // why the last start failed, nil when it went well
}

// New prepares worker processes; Start starts them.
func New(cfg Config) (*Workers, error) { return &Workers{cfg: cfg.withDefaults()}, nil }

// Start starts a process and returns the worker that it is, and that its successors are.
func (w *Workers) Start(ctx context.Context) (inference.Worker, error) {
	first := &worker{workers: w}
	if err := first.start(ctx); err != nil {
		return nil, err
	}
	return first, nil
}

// Check returns why images cannot be judged, nil when they can.
func (w *Workers) Check() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.problem
}

// Sandbox returns what keeps the processes from everything but judging.
func (w *Workers) Sandbox() Sandbox {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.sandbox
}

// Ends returns how many processes have been replaced, by cause.
func (w *Workers) Ends() map[string]int64 {
	return map[string]int64{
		string(crashed): w.ends.crashed.Load(), string(hung): w.ends.hung.Load(), string(garbled): w.ends.garbled.Load(),
	}
}

// started keeps how a start went.
func (w *Workers) started(s started, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.problem = err; err != nil {
		return
	}
	w.sandbox = s.Sandbox
	w.tell.Do(func() {
		if s.WithoutLibvips != "" {
			w.cfg.Log.Info("images are decoded without libvips, which is slower", "reason", s.WithoutLibvips)
		}
		if len(s.Sandbox.Missing) > 0 {
			w.cfg.Log.Warn("judging processes are not enclosed as they could be", "missing", s.Sandbox.Missing)
		}
	})
}

func (w *Workers) count(c cause) {
	switch c {
	case hung:
		w.ends.hung.Add(1)
	case garbled:
		w.ends.garbled.Add(1)
	default:
		w.ends.crashed.Add(1)
	}
}

// worker judges in a process, and after its end in the next one.
type worker struct {
	workers *Workers
	process *process // nil when the last start failed
	decoder string
}

// start starts a process.
func (w *worker) start(ctx context.Context) error {
	cfg := w.workers.cfg
	p, err := startProcess(ctx, cfg)
	if ctx.Err() != nil {
		return errors.Join(ctx.Err(), err)
	}
	if err != nil {
		w.workers.started(started{}, err)
		return fmt.Errorf("%w: %w", inference.ErrNoWorker, err)
	}
	w.workers.started(p.started, nil)
	w.process, w.decoder = p, p.Decoder
	return nil
}

// Decoder implements inference.Worker.
func (w *worker) Decoder() string { return w.decoder }

// Close implements inference.Worker.
func (w *worker) Close() {
	if w.process != nil {
		w.process.close()
	}
}

// harmful refuses an image by what it did to a process.
func harmful(did string, cause error) error {
	return &decode.Error{Kind: decode.KindHarmful, Err: cause, Message: "The image could not be judged: reading it " + did +
		". Open it in another program, save it anew and send that"}
}

// Check implements inference.Worker. An image whose process crashes is judged once more, in a new one: the fault may have been an
// earlier image's, or the machine's, which was short of memory. One that hangs is not given as much time again. Whoever
// sent the image waits until the next process is ready, so that nobody else does.
func (w *worker) Check(ctx context.Context, data []byte, format decode.Format) (inference.Result, error) {
	data = data[:min(len(data), mostImage)]
	for again := false; ; again = true {
		if w.process == nil {
			if err := w.start(context.WithoutCancel(ctx)); err != nil {
				return inference.Result{}, err
			}
		}
		r, err := w.process.check(ctx, data, formatNumber(format), w.workers.cfg.CheckTimeout)
		ended := (*endedError)(nil)
		if !errors.As(err, &ended) {
			return r, err
		}
		w.replace(ctx, ended)
		switch {
		case ctx.Err() != nil:
			return inference.Result{}, ctx.Err()
		case ended.cause == hung:
			return inference.Result{}, harmful("took longer than any ordinary photo takes", err)
		case again:
			return inference.Result{}, harmful("failed twice in a way that ordinary photos never cause", err)
		}
	}
}

// replace ends a process and starts the next.
func (w *worker) replace(ctx context.Context, why *endedError) {
	w.process.kill()
	w.workers.count(why.cause)
	log := w.workers.cfg.Log
	log.Warn("a judging process was replaced", "cause", string(why.cause), "error", why.err)
	log.Debug("a judging process said before its end", "words", w.process.said.String())
	w.process = nil
	if err := w.start(context.WithoutCancel(ctx)); err != nil {
		log.Error("a judging process could not be started; the next check tries again", "error", err)
	}
}
