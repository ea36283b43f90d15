package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// instance is one set of a projection's tables with its checkpoint, being maintained: the running one, or a
// shadow that is built beside it.
type instance struct {
	Projection
	schema   string
	recheck  time.Duration // how often the stored checkpoint is looked at
	pool     *pgxpool.Pool
	source   Source
	registry *domain.Registry
	log      *slog.Logger
	reached  func(checkpoint)                    // told of every place that the checkpoint is found at or moved to
	fence    func(context.Context, pgx.Tx) error // fails when another node has become the one who maintains the tables; nil without a lease

	mu      sync.Mutex
	at      checkpoint               // as last seen
	skips   map[uuid.UUID]audit.Skip // as of when the subscription began; not changed afterwards
	head    int64                    // where the log ended when the subscription began
	live    bool                     // the subscription has come that far
	covered time.Time                // when the checkpoint was moved last
	end     context.CancelCauseFunc  // ends the run

	gate gate
}

// Why a run ends by itself.
var (
	errSuperseded = errors.New("the read model is now maintained under another version")
	errStopped    = errors.New("stopped at a poisonous event")
	errMovedBack  = errors.New("the checkpoint is before where it was, so the database was restored: starting over from it")
)

// errMoved says that the checkpoint was not where it was expected.
var errMoved = errors.New("the checkpoint has moved")

// closeTimeout bounds how long the end of a run waits for the batch in hand.
const closeTimeout = 20 * time.Second

// run follows the log until ctx ends or something ends the run. The router lives as long as the lease, because a handler
// that has stopped cannot be started again; a router each lets one read model stop while others go on.
func (i *instance) run(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	i.mu.Lock()
	i.end = end
	i.mu.Unlock()
	var watching sync.WaitGroup
	watching.Go(func() { i.watchCheckpoint(ctx) })
	defer watching.Wait()
	defer end(nil)

	levels := map[slog.Level]slog.Level{slog.LevelInfo: slog.LevelDebug} // what a router does is no news to an operator
	logger := watermill.NewSlogLoggerWithLevelMapping(i.log.With("projection", i.schema), levels)
	router, err := message.NewRouter(message.RouterConfig{CloseTimeout: closeTimeout}, logger)
	if err != nil {
		return fmt.Errorf("build the router of %s: %w", i.schema, err)
	}
	router.AddMiddleware(i.middleware()...)
	router.AddConsumerHandler(i.schema, i.schema, i.source.Subscriber(i.schema, i.Events, i.from), i.handle)
	if err := router.Run(ctx); err != nil {
		return fmt.Errorf("follow the log for %s: %w", i.schema, err)
	}
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return fmt.Errorf("the subscription of %s ended", i.schema)
}

// middleware, outermost first. The order is what makes them right: what is not ours is gone before anything is judged by it;
// a panic becomes an error before it is judged whether trying again may help; only what no retry can help reaches the
// isolation of poison; and the halves it makes of a batch pass through the other two again.
func (i *instance) middleware() []message.HandlerMiddleware {
	retry := middleware.Retry{
		MaxRetries: 3, InitialInterval: 50 * time.Millisecond, MaxInterval: 500 * time.Millisecond, Multiplier: 2, RandomizationFactor: 0.2,
		ResetContextOnRetry: true,
		ShouldRetry:         func(p middleware.RetryParams) bool { return worthRetrying(p.Err) },
	}
	return []message.HandlerMiddleware{i.passOverOthers, i.isolatePoison, retry.Middleware, middleware.Recoverer}
}

// passOverOthers leaves out events of other programs. A source does not deliver them; one that does must not make a read
// model believe them, or stop at them.
func (i *instance) passOverOthers(next message.HandlerFunc) message.HandlerFunc {
	foreign := func(r domain.Recorded) bool { return !i.registry.Owns(r.Stream, r.Event.EventType()) }
	return func(msg *message.Message) ([]*message.Message, error) {
		if batch, ok := BatchOf(msg); ok && slices.ContainsFunc(batch.Events, foreign) {
			batch.Events = slices.DeleteFunc(slices.Clone(batch.Events), foreign)
			WithBatch(msg, batch)
		}
		return next(msg)
	}
}

// from tells the subscription where to begin.
func (i *instance) from(ctx context.Context) (Place, error) {
	head, err := i.source.Head(ctx)
	if err != nil {
		return Place{}, fmt.Errorf("read the end of the log: %w", err)
	}
	skips, err := readSkips(ctx, i.source, i.Name)
	if err != nil {
		return Place{}, err
	}
	at, err := i.stored(ctx)
	if err != nil {
		return Place{}, err
	}
	if at.position < nothingRead || at.eventPosition < nothingRead {
		return Place{}, i.fail(at.within(i.Name, head))
	}
	if at.position <= int64(head) { // beyond, the source finds out whether it is another log, or slow to show its end
		if at, err = i.recognised(ctx, at); err != nil {
			return Place{}, err
		}
	}
	i.mu.Lock()
	i.at, i.head, i.live, i.skips = at, int64(head), false, skips
	i.mu.Unlock()
	i.reached(at)
	if at.position == nothingRead {
		return Place{}, nil
	}
	return Place{Position: uint64(at.position), Started: true}, nil
}

// reload reads the checkpoint again, which has moved from where the run had it: by a commit of its own, maybe, whose answer was
// lost and after which nothing may follow for long.
func (i *instance) reload(ctx context.Context, from checkpoint) error {
	at, err := i.stored(ctx)
	if err != nil {
		return err
	}
	i.mu.Lock()
	i.at = at
	i.mu.Unlock()
	if err := i.follows(from, at); err != nil {
		return err
	}
	i.reached(at)
	return nil
}

// stored returns the checkpoint as it is in the database. Tables that were swapped away or are of another version end the run.
func (i *instance) stored(ctx context.Context) (checkpoint, error) {
	at, exists, err := readCheckpoint(ctx, i.pool, i.schema, "")
	if err == nil && (!exists || at.version != i.Version) {
		return at, i.fail(errSuperseded)
	}
	return at, err
}

// fail ends the run and returns why.
func (i *instance) fail(cause error) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.end(cause)
	return cause
}

// follows returns errMovedBack, and ends the run, when the stored checkpoint is before the one that this run has come from.
// The subscription is beyond it by then: it would go on behind events that the tables no longer show.
func (i *instance) follows(from, stored checkpoint) error {
	if stored.position < from.position {
		return i.fail(errMovedBack)
	}
	return nil
}

// watchCheckpoint notices that the database was restored also when no event comes, until ctx ends.
func (i *instance) watchCheckpoint(ctx context.Context) {
	for commands.Sleep(ctx, i.recheck) == nil {
		from := i.current() // before the other is read, which only moves on in between
		if stored, err := i.stored(ctx); err == nil {
			_ = i.follows(from, stored) // ends the run
		}
	}
}

func (i *instance) current() checkpoint {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.at
}

// plan says from where to where a batch takes the checkpoint. Nothing is worth a transaction when no event of the batch is
// new and, while history is read, the last one is recent.
func (i *instance) plan(batch Batch) (from, to checkpoint, events []domain.Recorded, worth bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	from, to = i.at, i.at
	if batch.Position <= math.MaxInt64 { // beyond is no position of a log, whoever says so
		to.position = max(int64(batch.Position), from.position)
	}
	i.live = i.live || to.position >= i.head
	to.caughtUp = i.live
	events = after(batch.Events, from.position)
	return from, to, events, len(events) > 0 || to != from && (i.live || time.Since(i.covered) >= coverInterval)
}

// handle applies the batch of a message.
func (i *instance) handle(msg *message.Message) error {
	batch, ok := BatchOf(msg)
	if !ok {
		return errors.New("the message carries no batch")
	}
	return i.advance(msg.Context(), batch, func(ctx context.Context, tx pgx.Tx, events []domain.Recorded) error {
		i.mu.Lock()
		skips := i.skips
		i.mu.Unlock()
		events, err := i.skip(ctx, tx, skips, events)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, recorded := range events {
			if unreadable, ok := recorded.Event.(Undecodable); ok && !i.TakesUndecodable {
				return unreadable
			}
		}
		if err := enter(ctx, tx, i.schema); err != nil {
			return err
		}
		return i.Apply(withSkips(ctx, skips), tx, events)
	})
}

// coverInterval is how often, while history is read, a position is stored that no event belongs to.
const coverInterval = time.Second

// advance takes what the tables have not seen of a batch through change and moves the checkpoint, in one transaction.
func (i *instance) advance(ctx context.Context, batch Batch, change func(context.Context, pgx.Tx, []domain.Recorded) error) error {
	for {
		from, to, all, worth := i.plan(batch)
		if !worth {
			return nil
		}
		admitted, limit, release, err := i.gate.admit(ctx, from.position, all)
		if err != nil {
			return err
		}
		if len(admitted) < len(all) {
			to.position, to.caughtUp = limit, false // the next event is behind it
		}
		if n := len(admitted); n > 0 {
			to.eventPosition = int64(admitted[n-1].Position)
			if mark := MarkOf(admitted); mark != nil {
				to.mark = mark
			}
		}
		err = i.commit(ctx, from, to, admitted, change)
		release()
		if errors.Is(err, errMoved) {
			if err := i.reload(ctx, from); err != nil {
				return err
			}
			continue
		}
		if err != nil {
			return err
		}
		i.mu.Lock()
		i.at, i.covered = to, time.Now()
		i.mu.Unlock()
		i.reached(to)
		if len(admitted) == len(all) {
			return nil
		}
	}
}

// beginBatch begins the transaction of a batch, which waits for a lock, such as an operator's, only so long before it fails and
// says so. What it holds meanwhile is the read model's checkpoint.
const beginBatch = "begin; set local lock_timeout = '10s'"

// commitTimeout is how long a batch may take, also one whose connection has died without a word.
const commitTimeout = 2 * time.Minute

func (i *instance) commit(
	ctx context.Context, from, to checkpoint, events []domain.Recorded, change func(context.Context, pgx.Tx, []domain.Recorded) error,
) (err error) {
	ctx, span := i.traceBatch(ctx, to, events)
	defer func() { span.End(err) }()
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	return pgx.BeginTxFunc(ctx, i.pool, pgx.TxOptions{BeginQuery: beginBatch}, func(tx pgx.Tx) error {
		if i.fence != nil {
			if err := i.fence(ctx, tx); err != nil {
				return err
			}
		}
		var eventAt *time.Time
		if len(events) > 0 {
			eventAt = &events[len(events)-1].RecordedAt
		}
		moved, err := moveCheckpoint(ctx, tx, i.schema, from, to, eventAt)
		if err != nil {
			return err
		}
		if !moved {
			return errMoved
		}
		if len(events) == 0 {
			return nil
		}
		return change(ctx, tx, events)
	})
}

// after returns the events behind a position.
func after(events []domain.Recorded, position int64) []domain.Recorded {
	n, _ := slices.BinarySearchFunc(events, position, func(r domain.Recorded, p int64) int {
		if int64(r.Position) <= p {
			return -1
		}
		return 1
	})
	return events[n:]
}

// gate keeps an instance from passing a position. The zero gate is open.
type gate struct {
	busy    sync.RWMutex // read-held during a commit, so that setting a limit waits for the one under way
	mu      sync.Mutex
	set     bool
	limit   int64
	changed chan struct{} // closed when the limit changes
}

// admit waits until the gate is open beyond position, or all of events are within its limit, and returns those that may be
// applied, and the limit; release says that they were.
func (g *gate) admit(
	ctx context.Context, position int64, events []domain.Recorded,
) (admitted []domain.Recorded, limit int64, release func(), err error) {
	for {
		g.busy.RLock()
		g.mu.Lock()
		limit = math.MaxInt64
		if g.set {
			limit = g.limit
		}
		if g.changed == nil {
			g.changed = make(chan struct{})
		}
		changed := g.changed
		g.mu.Unlock()
		within := events[:len(events)-len(after(events, limit))]
		if limit > position || len(within) == len(events) {
			return within, limit, g.busy.RUnlock, nil
		}
		g.busy.RUnlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, 0, nil, context.Cause(ctx)
		}
	}
}

// hold sets the limit and returns when no commit is under way that was admitted under another.
func (g *gate) hold(limit int64) {
	g.update(true, limit)
	g.busy.Lock()
	g.busy.Unlock() //nolint:staticcheck // the wait itself is the purpose
}

// lift removes the limit.
func (g *gate) lift() { g.update(false, 0) }

func (g *gate) update(set bool, limit int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.set, g.limit = set, limit
	if g.changed != nil {
		close(g.changed)
		g.changed = nil
	}
}
