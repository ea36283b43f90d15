package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/lease"
)

// Config is what an Engine is built from.
type Config struct {
	Pool        *pgxpool.Pool // of a migrated database
	Source      Source
	Projections []Projection
	Log         *slog.Logger
	Barrier     *Barrier // told of every commit, so that waiting in this process needs no polling; may be nil

	// LeaseRetry is how often a read model is asked for that another node maintains; 1 s when 0.
	LeaseRetry time.Duration
	// FaultPause is how long the engine waits before it tries again what failed; 2 s when 0.
	FaultPause time.Duration
	// StopPause is how long it waits after a poisonous event, so that a node with a newer program can take over; 30 s when 0.
	StopPause time.Duration
	// Recheck is how often the stored checkpoint is looked at when no event comes, to notice that the database was restored, and
	// that it is at the end of the log; 2 s when 0.
	Recheck time.Duration
}

// Engine maintains read models: each on one node at a time, from its checkpoint on, and builds a shadow of it
// beside the running one when its version has grown.
type Engine struct {
	Config
	registry   *domain.Registry
	maintained sync.Map // names of the read models that this engine maintains now
	looking    sync.Mutex
}

// New returns an engine when the configuration is complete.
func New(config Config) (*Engine, error) {
	if config.Pool == nil || config.Source == nil || config.Log == nil {
		return nil, errors.New("projections need a pool, a source and a log")
	}
	seen := map[string]bool{}
	for _, p := range config.Projections {
		if err := p.validate(); err != nil {
			return nil, err
		}
		if seen[p.Name] {
			return nil, fmt.Errorf("projection %s is there twice", p.Name)
		}
		seen[p.Name] = true
	}
	for setting, fallback := range map[*time.Duration]time.Duration{
		&config.LeaseRetry: time.Second, &config.FaultPause: 2 * time.Second, &config.StopPause: 30 * time.Second,
		&config.Recheck: 2 * time.Second,
	} {
		if *setting == 0 {
			*setting = fallback
		}
	}
	return &Engine{Config: config, registry: domain.NewRegistry()}, nil
}

// Run maintains the read models until ctx ends, and returns nil then. It makes their tables first; when that fails it
// returns the error.
func (e *Engine) Run(ctx context.Context) error {
	if err := Prepare(ctx, e.Pool, e.Projections...); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	leases := lease.NewSession(e.Pool, e.LeaseRetry, e.Log)
	defer leases.Close(ctx)
	var running errgroup.Group
	running.Go(func() error {
		leases.Watch(ctx)
		return nil
	})
	running.Go(func() error {
		e.watchEnd(ctx)
		return nil
	})
	if source, ok := e.Source.(Hurrier); ok {
		running.Go(func() error {
			e.listen(ctx, source)
			return nil
		})
	}
	for _, p := range e.Projections {
		running.Go(func() error {
			e.maintain(ctx, leases, p)
			return nil
		})
	}
	return running.Wait()
}

// maintain keeps one read model until ctx ends.
func (e *Engine) maintain(ctx context.Context, leases *lease.Session, p Projection) {
	for ctx.Err() == nil {
		err := e.serve(ctx, leases, p)
		wait := e.FaultPause
		switch {
		case ctx.Err() != nil:
			return
		case errors.Is(err, errStopped):
			wait = e.StopPause
		case errors.Is(err, errSuperseded):
			e.Log.WarnContext(ctx, "a newer program maintains the read model; standing by", "projection", p.Name, "version", p.Version)
		case errors.Is(err, ErrOtherLog):
			wait = e.StopPause
			e.Log.ErrorContext(ctx, "read model is not maintained", "projection", p.Name, "error", err)
			e.instance(p, p.Name).note(ctx, otherLogAdvice(p.Name, err), nil)
		case errors.Is(err, lease.ErrLost):
			e.Log.WarnContext(ctx, "read model is no longer maintained here", "projection", p.Name, "reason", err)
		case errors.Is(err, errMovedBack):
			e.Log.WarnContext(ctx, "read model goes back", "projection", p.Name, "reason", err)
		case err != nil:
			e.Log.ErrorContext(ctx, "projection failed and will be tried again", "projection", p.Name, "error", err)
		}
		_ = commands.Sleep(ctx, wait)
	}
}

// serve does for a read model what its state asks for, until that changes.
func (e *Engine) serve(ctx context.Context, leases *lease.Session, p Projection) error {
	e.looking.Lock() // at once, all read models would open a connection each, which the first checks after a start wait for
	stored, exists, err := readCheckpoint(ctx, e.Pool, p.Name, "")
	e.looking.Unlock()
	switch {
	case err != nil:
		return err
	case !exists:
		return Prepare(ctx, e.Pool, p)
	case stored.version > p.Version:
		return errSuperseded
	case stored.version < p.Version:
		// Not under the read model's own lease: an older program may still maintain the old tables meanwhile.
		_, err := e.buildShadow(ctx, leases, p, rebuildOptions{resume: true, onlyIfOlder: true, swap: true})
		return err
	}
	leased, held, err := leases.Acquire(ctx, p.Name)
	if err != nil {
		return err
	}
	defer held.Release(ctx)
	i := e.instance(p, p.Name)
	i.fence = held.Fence
	e.maintained.Store(p.Name, true)
	defer e.maintained.Delete(p.Name)
	return i.run(leased)
}

func (e *Engine) instance(p Projection, schema string) *instance {
	i := &instance{
		Projection: p, schema: schema, recheck: e.Recheck, at: checkpoint{position: nothingRead}, pool: e.Pool, source: e.Source,
		registry: e.registry, log: e.Log, reached: func(checkpoint) {},
	}
	if e.Barrier != nil && schema == p.Name {
		i.reached = func(at checkpoint) { e.Barrier.advance(schema, at.position) }
	}
	return i
}

func (e *Engine) projection(name string) (Projection, error) {
	names := make([]string, len(e.Projections))
	for i, p := range e.Projections {
		if p.Name == name {
			return p, nil
		}
		names[i] = p.Name
	}
	return Projection{}, fmt.Errorf("there is no read model %q; there are %s", name, strings.Join(names, ", "))
}
