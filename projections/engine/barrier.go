package engine

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
)

// How often waiting for a read model looks at its checkpoint: often at first, because a batch takes milliseconds, then
// less. However many wait, one query at a time asks for all of them.
const (
	firstLook   = 3 * time.Millisecond
	slowestLook = 25 * time.Millisecond
)

// ErrBehind is why a wait ends when the read model has not come to the position in the barrier's time.
var ErrBehind = fmt.Errorf("it is behind: %w", context.DeadlineExceeded)

// Barrier lets a screen wait until a read model shows what a command has just done, whichever node maintains it.
type Barrier struct {
	pool    *pgxpool.Pool
	timeout time.Duration

	mu      sync.Mutex
	waiting map[*waiter]struct{}
	looking bool
	joined  bool // somebody has begun to wait since the last look
	failed  error
}

type waiter struct {
	readModel string
	position  int64
	done      chan struct{}
}

var _ commands.Barrier = (*Barrier)(nil)

// NewBarrier returns a barrier whose waiters give up after timeout.
func NewBarrier(pool *pgxpool.Pool, timeout time.Duration) *Barrier {
	return &Barrier{pool: pool, timeout: timeout, waiting: map[*waiter]struct{}{}}
}

// WaitFor returns once the read model shows everything up to a commit position. It gives an error when that takes longer
// than ctx lasts, or than the barrier's timeout: ErrBehind, unless Postgres did not tell. The position may be that of any event,
// also of one that the read model does not follow.
func (b *Barrier) WaitFor(ctx context.Context, readModel string, position uint64) error {
	w := &waiter{readModel: readModel, position: int64(position), done: make(chan struct{})}
	b.mu.Lock()
	b.waiting[w] = struct{}{}
	b.joined = true
	if !b.looking {
		b.looking = true
		go b.look(context.WithoutCancel(ctx)) // ends with the last waiter
	}
	b.mu.Unlock()

	timeout := time.NewTimer(b.timeout)
	defer timeout.Stop()
	var reason error
	select {
	case <-w.done:
		return nil
	case <-ctx.Done():
		reason = context.Cause(ctx)
	case <-timeout.C:
		reason = ErrBehind
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.waiting, w)
	if b.failed != nil {
		return fmt.Errorf("read model %s: not known whether it has reached position %d: %w", readModel, position, b.failed)
	}
	return fmt.Errorf("read model %s has not reached position %d in time: %w", readModel, position, reason)
}

// advance says that a read model has reached a position. Nobody remembers it: a database that is restored takes read models
// back, and who asks afterwards has to wait.
func (b *Barrier) advance(readModel string, position int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.waiting {
		if w.readModel == readModel && w.position <= position {
			close(w.done)
			delete(b.waiting, w)
		}
	}
}

// look reads the checkpoints until nobody waits.
func (b *Barrier) look(ctx context.Context) {
	var hurried time.Time
	for every := firstLook; ; every = min(every*3/2, slowestLook) {
		b.mu.Lock()
		if len(b.waiting) == 0 {
			b.looking = false
			b.mu.Unlock()
			return
		}
		if b.joined {
			every, b.joined = firstLook, false
		}
		b.mu.Unlock()

		reached, err := b.read(ctx)
		b.mu.Lock()
		b.failed = err
		b.mu.Unlock()
		for readModel, position := range reached {
			b.advance(readModel, position)
		}
		if b.waits() && time.Since(hurried) >= hurryInterval {
			hurried = time.Now()
			b.hurry(ctx)
		}
		_ = commands.Sleep(ctx, every)
	}
}

func (b *Barrier) waits() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.waiting) > 0
}

func (b *Barrier) read(ctx context.Context) (map[string]int64, error) {
	ctx, cancel := context.WithTimeout(ctx, b.timeout/2) // whoever waits learns that the database does not answer
	defer cancel()
	rows, _ := b.pool.Query(ctx, "select name, position from projection_checkpoints")
	reached := map[string]int64{}
	var name string
	var position int64
	_, err := pgx.ForEachRow(rows, []any{&name, &position}, func() error {
		reached[name] = position
		return nil
	})
	return reached, err
}
