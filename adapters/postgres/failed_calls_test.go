package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// keyRing knows keys by their hashes, once it has failed a number of times.
type keyRing struct {
	known  map[string]projections.KnownKey
	faults atomic.Int64
	asked  atomic.Int64 // for how many hashes at most
}

func (r *keyRing) KnownKeys(_ context.Context, hashes []string) (map[string]projections.KnownKey, error) {
	if r.faults.Add(-1) >= 0 {
		return nil, errors.New("the database is away")
	}
	r.asked.Store(max(r.asked.Load(), int64(len(hashes))))
	return r.known, nil
}

var failureSecret = commands.OneSecret(strings.Repeat("s", 32))

func newFailedCalls(t *testing.T, pool *pgxpool.Pool, ring *keyRing) *postgres.FailedCalls {
	t.Helper()
	f := postgres.NewFailedCalls(pool, ring, failureSecret, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(f.Close)
	return f
}

var failedHour = time.Now().UTC().Truncate(time.Hour)

// failed is a call with a customer's primary key, some minutes into the hour.
func failed(customer uuid.UUID, minutes, status int, code, message string) counting.FailedCall {
	return counting.FailedCall{
		At: failedHour.Add(time.Duration(minutes) * time.Minute), RequestID: uuid.New(), Status: status, Code: code, Message: message,
		CustomerID: customer, KeySlot: domain.SlotPrimary, KeyPrefix: "lc_first",
	}
}

// apiKey is the nth key of a test.
func apiKey(n int) string { return fmt.Sprintf("lc_%029d", n) }

func kinds(t *testing.T, pool *pgxpool.Pool, customer uuid.UUID) []counting.FailureKind {
	t.Helper()
	list, err := postgres.NewFailedCallQueries(pool).Kinds(t.Context(), customer, failedHour.Add(-24*time.Hour), failedHour.Add(24*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	for i := range list {
		list[i].LastAt = list[i].LastAt.UTC()
	}
	return list
}

// Two nodes that serve the same customer add up, and what they have noted is written when they end.
func TestFailedCallsOfSeveralNodesAddUp(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	customer, other := uuid.New(), uuid.New()
	first, second := newFailedCalls(t, pool, &keyRing{}), newFailedCalls(t, pool, &keyRing{})
	noFace := func(minutes int) counting.FailedCall {
		return failed(customer, minutes, 400, "invalid_image", "No face was detected.")
	}
	first.Note(failed(customer, 1, 400, "invalid_request", "not 'x' (byte 17)"), "")
	first.Note(failed(customer, 2, 503, "overloaded", "busy"), "")
	first.Note(failed(other, 2, 503, "overloaded", "busy"), "")
	for n := range 5 {
		first.Note(noFace(n), "")
		second.Note(noFace(10+n), "")
	}
	second.Note(failed(customer, 4, 400, "invalid_request", "not '\\n' (byte 3)"), "")
	first.Close()
	second.Close()
	kind := func(status int, code, message string, calls int64, last int) counting.FailureKind {
		return counting.FailureKind{
			Status: status, Code: code, Message: message, KeySlot: domain.SlotPrimary, KeyPrefix: "lc_first", Calls: calls,
			LastAt: failedHour.Add(time.Duration(last) * time.Minute),
		}
	}
	if diff := cmp.Diff([]counting.FailureKind{
		kind(400, "invalid_image", "No face was detected.", 10, 14),
		kind(400, "invalid_request", "not '\\n' (byte 3)", 2, 4),
		kind(503, "overloaded", "busy", 1, 2),
	}, kinds(t, pool, customer)); diff != "" {
		t.Error(diff)
	}
	hours, err := postgres.NewFailedCallQueries(pool).Hours(t.Context(), customer, failedHour, failedHour.Add(time.Hour))
	if err != nil || len(hours) != 1 || hours[0].Refused != 12 || hours[0].Faults != 1 || !hours[0].Hour.Equal(failedHour) {
		t.Errorf("by the hour: %v, %v", hours, err)
	}
	if got := kinds(t, pool, other); len(got) != 1 || got[0].Calls != 1 {
		t.Errorf("another customer has %v", got)
	}
}

// A key that is not known is told of to the customer whose it was, and to nobody when it never was anybody's.
func TestFailedCallsOfReplacedKeys(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	customer := uuid.New()
	hash := func(n int) string {
		return commands.InUse(failureSecret, commands.PurposeAPIKeys).APIKeyHash(apiKey(n))
	}
	ring := &keyRing{known: map[string]projections.KnownKey{
		hash(1): {CustomerID: customer, Slot: domain.SlotSecondary, Prefix: apiKey(1)[:8], Replaced: true},
		hash(2): {CustomerID: customer, Slot: domain.SlotPrimary, Prefix: apiKey(2)[:8]},
	}}
	f := newFailedCalls(t, pool, ring)
	unknown := func(status int, code string) counting.FailedCall {
		call := failed(uuid.Nil, 1, status, code, "")
		call.KeySlot, call.KeyPrefix = "", ""
		return call
	}
	f.Note(unknown(401, "invalid_api_key"), apiKey(1))
	f.Note(unknown(401, "invalid_api_key"), apiKey(1))
	f.Note(unknown(401, "invalid_api_key"), apiKey(2)) // issued a moment ago
	f.Note(unknown(401, "invalid_api_key"), apiKey(3))
	f.Note(unknown(401, "invalid_api_key"), "no key")
	f.Note(unknown(401, "invalid_api_key"), "")
	f.Note(unknown(429, "rate_limited"), apiKey(2)) // of the address: nobody looked whose the key is
	f.Close()
	got := kinds(t, pool, customer)
	if len(got) != 2 || got[0].Status != 401 || got[0].Calls != 2 || got[0].KeySlot != domain.SlotSecondary || got[0].KeyPrefix != apiKey(1)[:8] ||
		got[1].Status != 429 || got[1].Calls != 1 || got[1].KeySlot != domain.SlotPrimary {
		t.Errorf("the customer is told of %+v", got)
	}
	var rows int
	if err := pool.QueryRow(t.Context(), "select count(*) from failed_calls").Scan(&rows); err != nil || rows != 2 {
		t.Errorf("%d rows, %v", rows, err)
	}
	var text string
	if err := pool.QueryRow(t.Context(), "select string_agg(f::text, '') || (select string_agg(n::text, '') from newest_failed_calls n) from failed_calls f").
		Scan(&text); err != nil || strings.Contains(text, apiKey(1)) || strings.Contains(text, hash(1)) {
		t.Errorf("a key is stored, or its hash: %v\n%s", err, text)
	}
}

// A hundred of a customer are kept one by one, whichever node they were at.
func TestNewestFailedCalls(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	customer := uuid.New()
	for node := range 2 {
		f := newFailedCalls(t, pool, &keyRing{})
		for n := range 80 {
			call := failed(customer, 0, 400, "invalid_image", fmt.Sprintf("call %d", 2*n+node))
			call.At = call.At.Add(time.Duration(2*n+node) * time.Second)
			f.Note(call, "")
		}
		f.Close()
	}
	newest, err := postgres.NewFailedCallQueries(pool).Newest(t.Context(), customer)
	if err != nil || len(newest) != counting.NewestFailedCalls {
		t.Fatalf("%d are listed, %v", len(newest), err)
	}
	for i, call := range newest {
		if want := fmt.Sprintf("call %d", 159-i); call.Message != want || call.RequestID == uuid.Nil || call.KeyPrefix != "lc_first" {
			t.Fatalf("place %d holds %+v, want %s", i, call, want)
		}
	}
	var kept int
	if err := pool.QueryRow(t.Context(), "select count(*) from newest_failed_calls").Scan(&kept); err != nil || kept != counting.NewestFailedCalls {
		t.Errorf("%d are kept, %v", kept, err)
	}
}

// What cannot be written is written once it can be, without an end of the node; no crash loses more than ten seconds.
func TestFailedCallsAreKeptWhileThereIsNoDatabase(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	customer := uuid.New()
	ring := &keyRing{known: map[string]projections.KnownKey{
		commands.InUse(failureSecret, commands.PurposeAPIKeys).APIKeyHash(apiKey(1)): {CustomerID: customer, Slot: domain.SlotPrimary, Prefix: "lc_first", Replaced: true},
	}}
	ring.faults.Store(1)
	f := newFailedCalls(t, pool, ring)
	began := time.Now()
	f.Note(failed(customer, 1, 400, "invalid_image", "no face"), "")
	f.Note(failed(uuid.Nil, 1, 401, "invalid_api_key", ""), apiKey(1))
	for len(kinds(t, pool, customer)) < 2 {
		if time.Since(began) > time.Minute {
			t.Fatalf("still not written: %v", kinds(t, pool, customer))
		}
		f.Note(failed(customer, 1, 400, "invalid_image", "no face"), "")
		if err := commands.Sleep(t.Context(), 20*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	if ring.faults.Load() >= 0 {
		t.Error("the fault was never met")
	}
}

// What a caller sent may be quoted in a message, whatever it is.
func TestAMessageThatIsNoTextKeepsNoOtherCall(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	one, other := uuid.New(), uuid.New()
	f := newFailedCalls(t, pool, &keyRing{})
	f.Note(failed(one, 1, 400, "invalid_request", "there is no escape \x00, \xff"), "")
	f.Note(failed(other, 1, 400, "invalid_image", "no face"), "")
	for _, customer := range []uuid.UUID{one, other} {
		awaittest.Until(t, "a failed call to be written", func() bool { return len(kinds(t, pool, customer)) == 1 })
	}
}

// losesAnAnswer loses the connection when a commit is done, once.
type losesAnAnswer struct {
	net.Conn
	lost *atomic.Bool
}

func (c losesAnAnswer) Write(message []byte) (int, error) {
	n, err := c.Conn.Write(message)
	if bytes.Contains(message, []byte("commit\x00")) && c.lost.CompareAndSwap(false, true) {
		_, answer := c.Read(make([]byte, 1024))
		return n, errors.Join(err, answer, c.Close())
	}
	return n, err
}

// A batch whose commit was done without an answer is not counted again.
func TestFailedCallsAreCountedOnceWhenAnAnswerIsLost(t *testing.T) {
	t.Parallel()
	pool, lost := pgtest.Pool(t), &atomic.Bool{}
	config := pool.Config()
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return losesAnAnswer{conn, lost}, err
	}
	losing, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(losing.Close)
	customer := uuid.New()
	f := newFailedCalls(t, losing, &keyRing{})
	f.Note(failed(customer, 1, 400, "invalid_image", "no face"), "")
	for !lost.Load() {
		if err := commands.Sleep(t.Context(), 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	f.Note(failed(customer, 1, 400, "invalid_image", "no face"), "")
	f.Note(failed(customer, 1, 503, "overloaded", "busy"), "")
	f.Close()
	newest, err := postgres.NewFailedCallQueries(pool).Newest(t.Context(), customer)
	if got := kinds(t, pool, customer); err != nil || len(newest) != 3 || len(got) != 2 || got[0].Calls != 2 || got[1].Calls != 1 {
		t.Errorf("counted %+v, listed %+v, %v", got, newest, err)
	}
}

// Nobody who sends calls that fail fills the memory of a node or the tables.
func TestFailedCallsAreBounded(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	ring := &keyRing{}
	ring.faults.Store(1 << 30) // so that all of it waits in memory
	f := newFailedCalls(t, pool, ring)
	customer := uuid.New()
	for n := range 20_000 {
		f.Note(failed(customer, 0, 400, "invalid_image", strings.Repeat("x", n%300)+string(rune('a'+n/300%26))+string(rune('a'+n/7800))), "")
		f.Note(failed(uuid.Nil, 0, 401, "invalid_api_key", ""), apiKey(n))
	}
	ring.faults.Store(0)
	f.Close()
	var rows int
	if err := pool.QueryRow(t.Context(), "select count(*) from failed_calls").Scan(&rows); err != nil || rows == 0 || rows > 2*8_192 {
		t.Errorf("%d kinds are kept, %v", rows, err)
	}
	if asked := ring.asked.Load(); asked == 0 || asked > 4096 {
		t.Errorf("%d keys were looked up at once", asked)
	}
}

func TestFailedCallsAreForgotten(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	customer := uuid.New()
	f := newFailedCalls(t, pool, &keyRing{})
	for _, age := range []time.Duration{0, counting.FailedCallsKept - 2*time.Hour, counting.FailedCallsKept + 2*time.Hour} {
		call := failed(customer, 0, 400, "invalid_image", "")
		call.At = time.Now().Add(-age)
		f.Note(call, "")
	}
	f.Close()
	for _, table := range []string{"failed_calls", "newest_failed_calls"} {
		var rows int
		if err := pool.QueryRow(t.Context(), "select count(*) from "+table).Scan(&rows); err != nil || rows != 2 {
			t.Errorf("%s has %d rows, want the two of the last 90 days; %v", table, rows, err)
		}
	}
}

// An erased customer has none, and gets none from a node that still serves their keys.
func TestFailedCallsOfAnErasedCustomer(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	customer, other := uuid.New(), uuid.New()
	queries := postgres.NewFailedCallQueries(pool)
	for range 2 {
		f := newFailedCalls(t, pool, &keyRing{})
		f.Note(failed(customer, 1, 400, "invalid_image", ""), "")
		f.Note(failed(other, 1, 400, "invalid_image", ""), "")
		f.Close()
		if err := queries.Erase(t.Context(), customer); err != nil {
			t.Fatal(err)
		}
	}
	f := newFailedCalls(t, pool, &keyRing{})
	f.Note(failed(customer, 1, 400, "invalid_image", ""), "")
	f.Close()
	newest, err := queries.Newest(t.Context(), customer)
	if got := kinds(t, pool, customer); len(got) != 0 || len(newest) != 0 || err != nil {
		t.Errorf("of the erased customer are kept %v and %v, %v", got, newest, err)
	}
	if got := kinds(t, pool, other); len(got) != 1 || got[0].Calls != 2 {
		t.Errorf("of another customer are kept %v", got)
	}
}
