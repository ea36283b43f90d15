package auditing

import (
	"cmp"
	"context"
	"errors"
	"runtime"

	"github.com/go-json-experiment/json/v1"
	"golang.org/x/mod/sumdb/tlog"
	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// entryRead is an entry with what it says.
type entryRead struct {
	Entry
	ours bool
	leaf bool
	hash tlog.Hash // of a leaf

	recorded domain.Recorded
	err      error // why one of ours cannot be read
}

const (
	// readAtOnce is how many entries are decoded together: enough that handing them over costs nothing beside.
	readAtOnce = 256
	// readAhead is how many such groups wait for the replay at most. It bounds what an audit holds of the log.
	readAhead = 16
)

// group is a run of entries that one goroutine decodes.
type group struct {
	entries []entryRead
	done    chan struct{}
}

// followDecoded is Follow with every entry decoded and hashed, which all processors share; handle gets them in order, also when the
// log turns out to be damaged behind them.
func followDecoded(ctx context.Context, log Log, registry *domain.Registry, handle func(*entryRead) error) error {
	work, order := make(chan *group, readAhead), make(chan *group, readAhead)
	running, ctx := errgroup.WithContext(ctx)
	var damage error
	running.Go(func() (err error) {
		defer close(work)
		defer close(order)
		damage, err = gather(ctx, log, work, order)
		return err
	})
	for range runtime.GOMAXPROCS(0) {
		running.Go(func() error {
			for g := range work {
				for i := range g.entries {
					g.entries[i].decode(registry)
				}
				close(g.done)
			}
			return nil
		})
	}
	running.Go(func() error {
		for g := range order {
			select {
			case <-g.done:
			case <-ctx.Done():
				return ctx.Err()
			}
			for i := range g.entries {
				if err := handle(&g.entries[i]); err != nil {
					return err
				}
			}
		}
		return nil
	})
	return cmp.Or(running.Wait(), damage)
}

// gather reads the log and hands groups of entries both to those who decode them and, in order, to who takes them.
func gather(ctx context.Context, log Log, work, order chan<- *group) (damage, err error) {
	next := &group{done: make(chan struct{})}
	hand := func() error {
		for _, to := range []chan<- *group{work, order} {
			select {
			case to <- next:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		next = &group{entries: make([]entryRead, 0, readAtOnce), done: make(chan struct{})}
		return nil
	}
	err = log.Follow(ctx, 0, func(e Entry) error {
		next.entries = append(next.entries, entryRead{Entry: e})
		if len(next.entries) < readAtOnce {
			return nil
		}
		return hand()
	})
	if errors.Is(err, ErrDamaged) {
		damage, err = err, nil
	}
	if err != nil {
		return nil, err
	}
	return damage, hand()
}

func (r *entryRead) decode(registry *domain.Registry) {
	if r.ours = registry.Owns(r.Stream, r.Type); !r.ours {
		r.recorded = r.Place()
		if json.Unmarshal(r.Metadata, &r.recorded.Meta) != nil {
			r.recorded.Meta = domain.Metadata{} // another program's; that of a newer one of ours can be read
		}
		return
	}
	if r.leaf = transparency.IsLeaf(r.Stream, r.Type); r.leaf {
		r.hash = r.LeafHash()
	}
	r.recorded, r.err = Decode(registry, r.Entry)
}
