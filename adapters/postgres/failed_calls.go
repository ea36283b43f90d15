package postgres

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// How often failed calls are written.
const (
	failedCallsInterval = 2 * time.Second // between two batches: a crash loses no more than what came since the last one
	failedCallsTimeout  = 5 * time.Second // of a batch
	forgetInterval      = time.Hour       // between two looks for what is too old
)

// What is remembered at most between two batches, and again of one that cannot be written. What comes beyond it is not counted:
// nobody who sends calls that fail may fill the memory of a node.
const (
	maxFailureKinds = 8_192
	maxNewestKept   = 4_096
	maxUnknownKeys  = 4_096
)

// FailedCalls counts calls that failed, in memory, and writes them in batches. Several nodes write to the same tables and add
// up. It is no account of anything: what is counted as a call is in the log.
type FailedCalls struct {
	pool *pgxpool.Pool
	keys KnownKeys
	ring commands.Keyring
	log  *slog.Logger

	mu      sync.Mutex
	noted   *failures
	dropped int64

	writer    uuid.UUID
	batch     *failures // the one to write: until its commit is answered it stays what it is, and the same number
	number    int64     // of the batch
	forgotten time.Time // when what is too old was looked for
	stop      context.CancelFunc
	done      chan struct{}
}

// KnownKeys finds whose keys are or were, by their hashes.
type KnownKeys interface {
	KnownKeys(ctx context.Context, hashes []string) (map[string]projections.KnownKey, error)
}

// failures is what was noted since the last batch.
type failures struct {
	kinds   map[failureKind]*failureCount
	newest  []counting.FailedCall
	unknown map[string]*callsOfKey // by the hash of the key under the secret in use; whose it is, is found out with the batch
	open    int                    // calls in unknown
}

// callsOfKey are the calls with a key that is not known.
type callsOfKey struct {
	hashes []string // of the key, under every secret
	calls  []counting.FailedCall
}

func newFailures() *failures {
	return &failures{kinds: map[failureKind]*failureCount{}, unknown: map[string]*callsOfKey{}}
}

// failureKind is what failures are counted by.
type failureKind struct {
	customer uuid.UUID
	hour     time.Time
	prefix   string
	status   int
	code     string
	reason   string
}

func kindOf(call counting.FailedCall) failureKind {
	return failureKind{call.CustomerID, call.At.UTC().Truncate(time.Hour), call.KeyPrefix, call.Status, call.Code, call.Reason()}
}

// compare orders kinds, so that nodes that write at the same time do not wait for each other in a circle.
func (k failureKind) compare(other failureKind) int {
	return cmp.Or(bytes.Compare(k.customer[:], other.customer[:]), k.hour.Compare(other.hour), cmp.Compare(k.prefix, other.prefix),
		cmp.Compare(k.status, other.status), cmp.Compare(k.code, other.code), cmp.Compare(k.reason, other.reason))
}

type failureCount struct {
	calls   int64
	slot    domain.KeySlot
	message string
	lastAt  time.Time
}

// NewFailedCalls begins to write; Close ends it. Keys of callers whose owner is not known are looked up under the hashes that
// the secrets of ring give them.
func NewFailedCalls(pool *pgxpool.Pool, keys KnownKeys, ring commands.Keyring, log *slog.Logger) *FailedCalls {
	ctx, stop := context.WithCancel(context.Background())
	f := &FailedCalls{
		pool: pool, keys: keys, ring: ring, log: log, noted: newFailures(), writer: uuid.New(), batch: newFailures(), stop: stop, done: make(chan struct{}),
	}
	go f.run(ctx)
	return f
}

// Close writes what was noted and ends.
func (f *FailedCalls) Close() {
	f.stop()
	<-f.done
}

// Note takes a failed call. A key is kept as its hash, and only until it is known whose it was.
func (f *FailedCalls) Note(call counting.FailedCall, key string) {
	call.Message = call.Text()
	if call.CustomerID != uuid.Nil {
		kind := kindOf(call)
		f.mu.Lock()
		defer f.mu.Unlock()
		f.dropped += f.noted.add(kind, call)
		return
	}
	if !domain.WellFormedKey(key) {
		return
	}
	var hashes []string
	for _, secret := range f.ring.Secrets(commands.PurposeAPIKeys) {
		hashes = append(hashes, secret.APIKeyHash(key))
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.noted.open >= maxUnknownKeys {
		f.dropped++
		return
	}
	f.noted.addUnknown(hashes, call)
}

// addUnknown keeps calls with a key until it is known whose it is.
func (s *failures) addUnknown(hashes []string, calls ...counting.FailedCall) {
	of := s.unknown[hashes[0]]
	if of == nil {
		of = &callsOfKey{hashes: hashes}
		s.unknown[hashes[0]] = of
	}
	of.calls = append(of.calls, calls...)
	s.open += len(calls)
}

// add counts a call; it returns how many were dropped for want of room.
func (s *failures) add(kind failureKind, call counting.FailedCall) (dropped int64) {
	count := s.kinds[kind]
	if count == nil {
		if len(s.kinds) >= maxFailureKinds {
			return 1
		}
		count = &failureCount{slot: call.KeySlot}
		s.kinds[kind] = count
	}
	count.calls++
	if !call.At.Before(count.lastAt) {
		count.lastAt, count.message = call.At, call.Message
	}
	s.keep(call)
	return 0
}

// keep remembers a call one by one; when there is no room, the older half is dropped: of these only the newest are shown.
func (s *failures) keep(call counting.FailedCall) {
	if len(s.newest) >= maxNewestKept {
		s.newest = append(s.newest[:0], s.newest[len(s.newest)/2:]...)
	}
	s.newest = append(s.newest, call)
}

func (f *FailedCalls) run(ctx context.Context) {
	defer close(f.done)
	next := time.NewTicker(failedCallsInterval)
	defer next.Stop()
	for {
		select {
		case <-next.C:
			f.write(context.WithoutCancel(ctx)) // the end of the node cuts off no batch
		case <-ctx.Done():
			f.write(context.WithoutCancel(ctx))
			return
		}
	}
}

// write stores what is left of an earlier batch, and then what was noted. What cannot be stored is tried again the next time.
func (f *FailedCalls) write(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, failedCallsTimeout)
	defer cancel()
	err := f.store(ctx)
	if err == nil {
		f.take(ctx)
		err = f.store(ctx)
	}
	if err == nil {
		err = f.forget(ctx)
	}
	if err != nil {
		f.log.WarnContext(ctx, "failed calls are not counted yet", "error", err)
	}
}

// take makes what was noted the next batch.
func (f *FailedCalls) take(ctx context.Context) {
	f.mu.Lock()
	dropped := f.dropped
	f.batch, f.noted, f.dropped = f.noted, newFailures(), 0
	f.mu.Unlock()
	f.number++
	if dropped > 0 {
		f.log.WarnContext(ctx, "failed calls were not counted: there were more kinds of them than a node remembers", "calls", dropped)
	}
}

// store writes the batch, unless it is written: the answer to a commit can be lost.
func (f *FailedCalls) store(ctx context.Context) error {
	if err := f.findOwners(ctx, f.batch); err != nil {
		return err
	}
	if len(f.batch.kinds) == 0 {
		return nil
	}
	err := pgx.BeginFunc(ctx, f.pool, func(tx pgx.Tx) error {
		next, err := tx.Exec(ctx, `
			insert into failed_calls_writers as w (writer, batch, written_at) values ($1, $2, now())
			on conflict (writer) do update set batch = excluded.batch, written_at = now() where w.batch < excluded.batch`, f.writer, f.number)
		if err != nil || next.RowsAffected() == 0 {
			return err
		}
		return f.batch.insert(ctx, tx)
	})
	if err != nil {
		return fmt.Errorf("count failed calls: %w", err)
	}
	f.batch = newFailures()
	return nil
}

// findOwners gives the calls whose key was not known to whom it belongs or belonged. A refused key is told of only to the
// customer whose key was replaced; one that never was anybody's, to nobody.
func (f *FailedCalls) findOwners(ctx context.Context, s *failures) error {
	if len(s.unknown) == 0 {
		return nil
	}
	hashes := make([]string, 0, len(s.unknown))
	for _, of := range s.unknown {
		hashes = append(hashes, of.hashes...)
	}
	known, err := f.keys.KnownKeys(ctx, hashes)
	if err != nil {
		return err
	}
	for _, of := range s.unknown {
		key, found := of.keyIn(known)
		for _, call := range of.calls {
			if !found || call.Code == domain.ErrInvalidAPIKey.Code && !key.Replaced {
				continue
			}
			call.CustomerID, call.KeySlot, call.KeyPrefix = key.CustomerID, key.Slot, key.Prefix
			s.add(kindOf(call), call)
		}
	}
	s.unknown, s.open = map[string]*callsOfKey{}, 0
	return nil
}

// keyIn returns the key by whichever of its hashes it is known.
func (c *callsOfKey) keyIn(known map[string]projections.KnownKey) (projections.KnownKey, bool) {
	for _, hash := range c.hashes {
		if key, found := known[hash]; found {
			return key, true
		}
	}
	return projections.KnownKey{}, false
}

// insert adds a batch to the tables.
func (s *failures) insert(ctx context.Context, tx pgx.Tx) error {
	var batch pgx.Batch
	kinds := slices.SortedFunc(maps.Keys(s.kinds), failureKind.compare)
	count := func(k failureKind) *failureCount { return s.kinds[k] }
	batch.Queue(`
		insert into failed_calls as f (customer_id, hour, key_prefix, key_slot, status, code, reason, message, calls, last_at)
		select * from unnest($1::uuid[], $2::timestamptz[], $3::text[], $4::text[], $5::smallint[], $6::text[], $7::text[], $8::text[], $9::bigint[], $10::timestamptz[])
			as noted (customer_id, hour, key_prefix, key_slot, status, code, reason, message, calls, last_at)
		where not exists (select from failed_calls_erased as e where e.customer_id = noted.customer_id)
		on conflict (customer_id, hour, key_prefix, status, code, reason) do update set
			calls = f.calls + excluded.calls, last_at = greatest(f.last_at, excluded.last_at),
			message = case when excluded.last_at >= f.last_at then excluded.message else f.message end`,
		column(kinds, func(k failureKind) uuid.UUID { return k.customer }), column(kinds, func(k failureKind) time.Time { return k.hour }),
		column(kinds, func(k failureKind) string { return k.prefix }), column(kinds, func(k failureKind) string { return string(count(k).slot) }),
		column(kinds, func(k failureKind) int { return k.status }), column(kinds, func(k failureKind) string { return k.code }),
		column(kinds, func(k failureKind) string { return k.reason }), column(kinds, func(k failureKind) string { return count(k).message }),
		column(kinds, func(k failureKind) int64 { return count(k).calls }), column(kinds, func(k failureKind) time.Time { return count(k).lastAt }))
	newest, customers := s.newestOfEach()
	batch.Queue(`
		insert into newest_failed_calls (customer_id, at, request_id, status, code, message, key_prefix, key_slot)
		select * from unnest($1::uuid[], $2::timestamptz[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::text[], $8::text[])
			as noted (customer_id, at, request_id, status, code, message, key_prefix, key_slot)
		where not exists (select from failed_calls_erased as e where e.customer_id = noted.customer_id)`,
		column(newest, func(c counting.FailedCall) uuid.UUID { return c.CustomerID }), column(newest, func(c counting.FailedCall) time.Time { return c.At }),
		column(newest, func(c counting.FailedCall) uuid.UUID { return c.RequestID }), column(newest, func(c counting.FailedCall) int { return c.Status }),
		column(newest, func(c counting.FailedCall) string { return c.Code }), column(newest, func(c counting.FailedCall) string { return c.Message }),
		column(newest, func(c counting.FailedCall) string { return c.KeyPrefix }), column(newest, func(c counting.FailedCall) string { return string(c.KeySlot) }))
	batch.Queue(`
		delete from newest_failed_calls using unnest($1::uuid[]) as c (customer_id), lateral (
			select id from newest_failed_calls as n where n.customer_id = c.customer_id order by at desc, n.id desc offset $2) as old
		where newest_failed_calls.id = old.id`, customers, counting.NewestFailedCalls)
	return tx.SendBatch(ctx, &batch).Close()
}

// newestOfEach returns the newest calls of each customer, oldest first, and the customers.
func (s *failures) newestOfEach() (newest []counting.FailedCall, customers []uuid.UUID) {
	calls := map[uuid.UUID]int{}
	for _, call := range slices.Backward(s.newest) {
		if calls[call.CustomerID]++; calls[call.CustomerID] <= counting.NewestFailedCalls {
			newest = append(newest, call)
		}
	}
	slices.Reverse(newest)
	return newest, slices.SortedFunc(maps.Keys(calls), func(a, b uuid.UUID) int { return bytes.Compare(a[:], b[:]) })
}

// column returns one value of each row.
func column[R, V any](rows []R, value func(R) V) []V {
	values := make([]V, len(rows))
	for i, row := range rows {
		values[i] = value(row)
	}
	return values
}

// forget deletes what is too old, now and then.
func (f *FailedCalls) forget(ctx context.Context) error {
	if time.Since(f.forgotten) < forgetInterval {
		return nil
	}
	var batch pgx.Batch
	batch.Queue("delete from failed_calls where hour < now() - make_interval(secs => $1)", counting.FailedCallsKept.Seconds())
	batch.Queue("delete from failed_calls_writers where written_at < now() - make_interval(secs => $1)", counting.FailedCallsKept.Seconds())
	batch.Queue("delete from newest_failed_calls where at < now() - make_interval(secs => $1)", counting.FailedCallsKept.Seconds())
	if err := f.pool.SendBatch(ctx, &batch).Close(); err != nil {
		return fmt.Errorf("forget old failed calls: %w", err)
	}
	f.forgotten = time.Now()
	return nil
}
