// Package inference measures how likely the largest face of an image is a photo, print or screen. It decodes, detects,
// crops, scores and measures; what counts as a fake, customers, quotas and HTTP it leaves to others.
//
// An Engine owns a fixed number of workers, each of which runs the same ONNX Runtime sessions on one thread, and a queue before
// them, the only one on the way of a check: what cannot be done soon is refused at once, so that overload shows as a
// clear error and not as growing memory and latency.
package inference

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/tuning"
)

// ErrOverloaded refuses a check because all workers are busy and the queue is full, or because no worker became free
// within the deadline, or because it gave its place to a check of a holder that had less in the queue. Nothing has been done; the same check may succeed later.
var ErrOverloaded = errors.New("all inference workers are busy and the queue is full: try again later")

// ErrClosed refuses a check because the engine is shutting down.
var ErrClosed = errors.New("the inference engine is closed")

// ErrNoWorker refuses a check because a worker has ended and no other could be started yet.
var ErrNoWorker = errors.New("no inference worker could be started")

// Config says what an engine runs and how much of it at once.
type Config struct {
	// LibraryPath is the ONNX Runtime shared library, version 1.24 or later.
	LibraryPath string
	// Pack holds the models, see pack.Open.
	Pack pack.Pack
	// Threshold overrides the pack's when it is over 0.
	Threshold float64
	// Workers is the number of checks computed at the same time, the number of processors by default. A worker needs
	// memory for what goes into the models and comes out of them, and for the pixels of the image it works on.
	Workers int
	// Threads is how many threads a model's run is spread over, 1 by default. More answer a single check sooner and all
	// checks together later: see BenchmarkSessionsAndThreads.
	Threads int
	// Queue is how many more checks may wait for a worker, QueuePerWorker for each by default. Negative means none.
	Queue int
	// Deadline is how long a check may wait for a worker, 5 seconds by default.
	Deadline time.Duration
	// Decoder defaults to decode.NewStdlib(Limits).
	Decoder decode.Decoder
	// Limits are those of the default decoder.
	Limits decode.Limits
	// Start makes a worker that judges elsewhere; LibraryPath, Threads, Decoder and Limits are its own affair then. Without it
	// workers judge in this process.
	Start func(context.Context) (Worker, error)
}

// judgingHere sets Start to make workers that judge in this process. The models are open until close is called.
func (cfg *Config) judgingHere() (closeModels func(), err error) {
	opened, err := openModels(cfg.LibraryPath, cfg.Pack, cfg.Threads)
	if err != nil {
		return nil, err
	}
	decoder := cfg.Decoder
	cfg.Start = func(context.Context) (Worker, error) { return openWorker(opened, func() {}, decoder) }
	return opened.close, nil
}

// QueuePerWorker is the default length of the queue for each worker: about what one judges within the default deadline.
// A longer queue would only refuse later what it refuses anyway.
const QueuePerWorker = 64

// Engine judges images. It is safe for concurrent use.
type Engine struct {
	pack      pack.Pack
	packHash  string
	threshold float64
	deadline  time.Duration
	decoder   string
	queue     *queue
	idle      chan Worker // holds one for each turn that the queue gives
	workers   int
	making    sync.WaitGroup // of spare workers
	spares    int            // that were made
	close     func() error
}

// Open makes the workers. The caller closes the engine.
func Open(ctx context.Context, cfg Config) (*Engine, error) {
	if cfg.Workers <= 0 {
		cfg.Workers = tuning.Processors()
	}
	if cfg.Threads <= 0 {
		cfg.Threads = 1
	}
	if cfg.Queue == 0 {
		cfg.Queue = QueuePerWorker * cfg.Workers
	}
	if cfg.Deadline <= 0 {
		cfg.Deadline = 5 * time.Second
	}
	if cfg.Threshold <= 0 {
		cfg.Threshold = cfg.Pack.Threshold
	}
	if cfg.Threshold >= 1 {
		return nil, fmt.Errorf("the threshold %v is not below 1", cfg.Threshold)
	}
	if cfg.Decoder == nil {
		cfg.Decoder = decode.NewStdlib(cfg.Limits)
	}
	closeModels := func() {}
	if cfg.Start == nil {
		var err error
		if closeModels, err = cfg.judgingHere(); err != nil {
			return nil, err
		}
	}
	e := &Engine{
		pack:      cfg.Pack,
		packHash:  cfg.Pack.Hash(),
		threshold: cfg.Threshold,
		deadline:  cfg.Deadline,
		idle:      make(chan Worker, cfg.Workers+spares),
	}
	life, end := context.WithCancel(context.WithoutCancel(ctx))
	e.queue = newQueue(cfg.Workers, cfg.Workers+max(cfg.Queue, 0), func() {
		e.making.Go(func() { e.addSpare(life, cfg) })
	})
	e.close = sync.OnceValue(func() error {
		e.queue.close()
		end()
		e.making.Wait()
		for range e.workers + e.spares {
			(<-e.idle).Close() // waits for the checks that are being computed
		}
		closeModels()
		return nil
	})
	// Side by side, as many as there are processors: each takes one for as long as its models are loaded.
	made := make([]Worker, cfg.Workers)
	var starting errgroup.Group
	starting.SetLimit(runtime.NumCPU())
	for i := range made {
		starting.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				made[i], err = cfg.Start(ctx)
			}
			return err
		})
	}
	err := starting.Wait()
	for _, w := range made {
		if w != nil {
			e.idle <- w
			e.workers++
			e.decoder = w.Decoder()
		}
	}
	if err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// Pack returns the model pack in use.
func (e *Engine) Pack() pack.Pack { return e.pack }

// PackHash returns the hash of the pack in use, see pack.Manifest.Hash.
func (e *Engine) PackHash() string { return e.packHash }

// Threshold returns the likelihood above which a face is a fake.
func (e *Engine) Threshold() float64 { return e.threshold }

// Decoder returns the name of the decoder in use, and its version if it has one.
func (e *Engine) Decoder() string { return e.decoder }

// Workers returns how many checks are computed at the same time.
func (e *Engine) Workers() int { return e.workers }

// Admitted returns how many checks wait or are being computed, and how many may at most.
func (e *Engine) Admitted() (now, most int) { return e.queue.taken() }

// Admits returns whether one more check of a holder would be admitted now, be it in the place of another's.
func (e *Engine) Admits(share Share) bool { return e.queue.admits(share) }

// GaveWay returns how many waiting checks were refused to make room for those of holders that had less in the queue.
func (e *Engine) GaveWay() int64 { return e.queue.gaveWay.Load() }

// Close refuses new checks, waits for those being computed and frees all native memory. Calling it again does nothing.
func (e *Engine) Close() error { return e.close() }

// spares is how many workers there are beyond those of the configuration, once they were wanted; see queue.mayStart.
const spares = 1

// addSpare makes the spare worker. Without it small images wait longer for large ones, and nothing else happens.
func (e *Engine) addSpare(ctx context.Context, cfg Config) {
	w, err := cfg.Start(ctx)
	if err != nil {
		return
	}
	e.spares++
	e.idle <- w
	e.queue.add()
}

// Check judges the largest face of an image, for nobody in particular; see CheckFor.
func (e *Engine) Check(ctx context.Context, data []byte, format decode.Format) (Result, error) {
	return e.CheckFor(ctx, Share{}, data, format)
}

// CheckFor judges the largest face of an image when it is the holder's turn. It returns a *decode.Error when the image is at
// fault (ErrNoFace is one), ErrOverloaded, ErrClosed, or the error of ctx. The image is not kept.
func (e *Engine) CheckFor(ctx context.Context, share Share, data []byte, format decode.Format) (r Result, err error) {
	start := time.Now()
	turn, err := e.queue.enter(ctx, share, sizeOf(data), e.deadline)
	if err != nil {
		return Result{}, err
	}
	began := time.Now()
	w := <-e.idle
	defer func() {
		e.idle <- w
		e.queue.leave(turn, time.Since(began), err == nil)
	}()
	r, err = w.Check(ctx, data, format)
	if err != nil {
		return Result{}, err
	}
	r.Threshold = e.threshold
	r.PackID, r.PackHash = e.pack.ID, e.packHash
	r.Timings.Wait = began.Sub(start)
	return r, nil
}
