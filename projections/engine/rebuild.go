package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/projections/lease"
)

// Progress says how far a read model that is built beside the running one has come.
type Progress struct {
	Position uint64
	Head     uint64 // where the log ended when building began
}

// holdTimeout bounds how long the running read model is held still at the end of building, so that the other can reach
// the same place. Queries go on meanwhile; what waits for the read model waits as long.
const holdTimeout = 10 * time.Second

// Rebuild makes a read model anew from the start of the log beside the running one, compares the two at the same place of
// the log, and swaps them; the running one serves and is maintained until then. The comparison is empty when the running
// one is of another version. It differs when the running one was wrong, and the swap has then put that right.
func (e *Engine) Rebuild(ctx context.Context, name string, progress func(Progress)) (Comparison, error) {
	return e.buildShadowAlone(ctx, name, rebuildOptions{progress: progress, compare: true, swap: true})
}

// RebuildFromOtherLog makes a read model anew from a log that is not the one that the running one was made from: there is no
// place at which the two could be compared, and none of the running one's to reach.
func (e *Engine) RebuildFromOtherLog(ctx context.Context, name string, progress func(Progress)) error {
	_, err := e.buildShadowAlone(ctx, name, rebuildOptions{progress: progress, swap: true, otherLog: true})
	return err
}

// Compare makes a read model anew like Rebuild, compares it with the running one and drops it.
func (e *Engine) Compare(ctx context.Context, name string, progress func(Progress)) (Comparison, error) {
	return e.buildShadowAlone(ctx, name, rebuildOptions{progress: progress, compare: true})
}

type rebuildOptions struct {
	resume      bool // go on where an interrupted attempt of the same version stopped, and leave it if this one is interrupted
	onlyIfOlder bool // do nothing when the running one is not of an older version
	compare     bool
	swap        bool
	otherLog    bool // the running one shows events that the log does not have, so that there is no place to compare or to reach
	progress    func(Progress)
}

// buildShadowAlone builds under leases of its own, so that it works in any process, whatever else runs in it.
func (e *Engine) buildShadowAlone(ctx context.Context, name string, options rebuildOptions) (Comparison, error) {
	p, err := e.projection(name)
	if err != nil {
		return Comparison{}, err
	}
	if err := Prepare(ctx, e.Pool, p); err != nil {
		return Comparison{}, err
	}
	leases := lease.NewSession(e.Pool, e.LeaseRetry, e.Log)
	defer leases.Close(ctx)
	watching, stop := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { leases.Watch(watching) })
	defer watch.Wait()
	defer stop()
	return e.buildShadow(ctx, leases, p, options)
}

// buildShadow builds the tables of a read model beside the running ones and does with them what the options say.
func (e *Engine) buildShadow(ctx context.Context, leases *lease.Session, p Projection, options rebuildOptions) (Comparison, error) {
	leased, held, err := leases.Acquire(ctx, p.Name+rebuildSuffix)
	if err != nil {
		return Comparison{}, err
	}
	defer held.Release(ctx)
	running, _, err := readCheckpoint(leased, e.Pool, p.Name, "")
	switch {
	case err != nil:
		return Comparison{}, err
	case running.version > p.Version:
		return Comparison{}, fmt.Errorf("read model %s is of version %d, this program's is %d: use the newer program", p.Name, running.version, p.Version)
	case options.onlyIfOlder && running.version == p.Version:
		return Comparison{}, nil // another node was faster
	case !options.swap && running.version != p.Version:
		return Comparison{}, fmt.Errorf("read model %s is of version %d, this program's is %d: only equal versions can be compared", p.Name, running.version, p.Version)
	}
	head, err := e.Source.Head(leased)
	if err != nil {
		return Comparison{}, fmt.Errorf("read the end of the log: %w", err)
	}
	if err := running.within(p.Name, head); err != nil {
		if !options.swap || options.onlyIfOlder {
			return Comparison{}, err
		}
		options.compare, options.otherLog = false, true
	}
	i := e.instance(p, p.Name+rebuildSuffix)
	i.fence = held.Fence
	if err := e.createShadow(leased, i, options.resume); err != nil {
		return Comparison{}, err
	}
	e.Log.InfoContext(ctx, "building a read model beside the running one", "projection", p.Name, "version", p.Version, "running", running.version)
	comparison, err := e.build(leased, i, running.version == p.Version && options.compare, options)
	kept := options.resume || errors.Is(err, errStopped) // an operator may let it go past the event that it is stopped at
	if !options.swap || err != nil && !kept {
		err = errors.Join(err, e.discard(ctx, i.schema))
	}
	if err != nil {
		return comparison, fmt.Errorf("build read model %s beside the running one: %w", p.Name, err)
	}
	return comparison, nil
}

func (e *Engine) createShadow(ctx context.Context, i *instance, resume bool) error {
	return pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		if err := i.fence(ctx, tx); err != nil {
			return err
		}
		begun, exists, err := readCheckpoint(ctx, tx, i.schema, "")
		if err != nil || resume && exists && begun.version == i.Version {
			return err
		}
		return createTables(ctx, tx, i.Projection, i.schema)
	})
}

// discard drops tables, also when ctx has ended.
func (e *Engine) discard(ctx context.Context, schema string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	return pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error { return dropTables(ctx, tx, schema) })
}

// build maintains the new tables while they are compared and swapped in.
func (e *Engine) build(ctx context.Context, i *instance, compare bool, options rebuildOptions) (Comparison, error) {
	head, err := e.Source.Head(ctx)
	if err != nil {
		return Comparison{}, fmt.Errorf("read the end of the log: %w", err)
	}
	begun, _, err := readCheckpoint(ctx, e.Pool, i.schema, "")
	if err != nil {
		return Comparison{}, err
	}
	building, end := context.WithCancelCause(ctx)
	track := &track{at: begun, changed: make(chan struct{})}
	i.reached = func(at checkpoint) {
		track.move(at)
		if options.progress != nil {
			options.progress(Progress{Position: uint64(max(at.position, 0)), Head: head})
		}
	}
	var running sync.WaitGroup
	if compare {
		i.gate.hold(nothingRead) // it may never be ahead of the running one, or the two could not be compared
	}
	running.Go(func() { end(i.run(building)) })
	defer running.Wait()
	defer end(nil)

	var comparison Comparison
	if compare {
		patience := runningTimeout
		if options.swap { // what is to be replaced is worth no wait that nobody ends
			holders, err := lease.Holders(ctx, e.Pool)
			if err != nil {
				return comparison, err
			}
			if _, maintained := holders[i.Name]; !maintained {
				patience = 0
			}
		}
		if comparison, err = e.compare(building, i, track, head, patience); err != nil {
			return comparison, err
		}
		i.gate.lift()
	}
	if !options.swap {
		return comparison, nil
	}
	caughtUp := func(at checkpoint) bool { return at.caughtUp && at.position >= int64(head) }
	if err := track.await(building, caughtUp); err != nil {
		return comparison, err
	}
	return comparison, e.swap(ctx, building, i, track, options.otherLog)
}

// swap puts the new tables in the place of the running ones, in one transaction. The running checkpoint is held still, so
// nothing is shown that the new tables do not have: a key that was regenerated must not come alive again. The context of
// building is only waited under: it ends as soon as the instance notices the swap, maybe before the commit is answered.
func (e *Engine) swap(ctx, building context.Context, i *instance, track *track, otherLog bool) error {
	err := pgx.BeginFunc(ctx, e.Pool, func(tx pgx.Tx) error {
		if err := i.fence(ctx, tx); err != nil {
			return err
		}
		running, exists, err := readCheckpoint(ctx, tx, i.Name, "for update")
		if err != nil {
			return err
		}
		if exists && running.version > i.Version {
			return errSuperseded
		}
		err = track.awaitWhileHeld(building, func(at checkpoint) bool { return otherLog || at.position >= running.position })
		if err != nil {
			return fmt.Errorf("reach the running read model: %w", err)
		}
		if _, exists, err = readCheckpoint(ctx, tx, i.schema, "for update"); err != nil || !exists {
			return errors.Join(err, errSuperseded)
		}
		old := i.Name + oldSuffix
		for _, sql := range []string{
			"drop schema if exists " + quoted(old) + " cascade", // left when dropping it failed after an earlier swap
			"alter schema " + quoted(i.Name) + " rename to " + quoted(old),
			"alter schema " + quoted(i.schema) + " rename to " + quoted(i.Name),
			"delete from projection_checkpoints where name = '" + i.Name + "'",
			"update projection_checkpoints set name = '" + i.Name + "' where name = '" + i.schema + "'",
			"delete from projection_parked where name = '" + i.Name + "'",
			"update projection_parked set name = '" + i.Name + "' where name = '" + i.schema + "'",
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("swap: %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	e.Log.InfoContext(ctx, "read model swapped in", "projection", i.Name, "version", i.Version)
	if err := e.discard(ctx, i.Name+oldSuffix); err != nil { // waits for queries that still read it
		e.Log.WarnContext(ctx, "the tables of the read model before are not dropped; the next rebuild does it", "projection", i.Name, "error", err)
	}
	return nil
}

// track follows how far an instance of this process has come.
type track struct {
	mu      sync.Mutex
	at      checkpoint
	changed chan struct{}
}

func (t *track) move(at checkpoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = at
	close(t.changed)
	t.changed = make(chan struct{})
}

// await waits until the checkpoint is as wanted, or gives the cause of the context's end.
func (t *track) await(ctx context.Context, wanted func(checkpoint) bool) error {
	for {
		t.mu.Lock()
		at, changed := t.at, t.changed
		t.mu.Unlock()
		if wanted(at) {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// awaitWhileHeld is await while the running read model is held still.
func (t *track) awaitWhileHeld(ctx context.Context, wanted func(checkpoint) bool) error {
	ctx, cancel := context.WithTimeout(ctx, holdTimeout)
	defer cancel()
	return t.await(ctx, wanted)
}
