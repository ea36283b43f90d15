package store_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

func append1(t *testing.T, s *store.Store, stream string, expected store.Expected, new ...store.NewEvent) store.Result {
	t.Helper()
	result, err := s.Append(t.Context(), store.Write{Stream: stream, Expected: expected, Events: new})
	if err != nil {
		t.Fatalf("append to %s: %v", stream, err)
	}
	return result
}

func readAll(t *testing.T, s *store.Store) []store.Event {
	t.Helper()
	var out []store.Event
	for from := uint64(0); ; {
		page, err := s.ReadAll(t.Context(), store.Forwards, from, 100)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, page.Events...)
		if page.End {
			return out
		}
		from = page.Next
	}
}

func TestEventsSurviveReopening(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	write := store.Write{Stream: "subscription-1", Expected: store.ExpectNoStream, Events: []store.NewEvent{
		{ID: uuid.New(), Type: "Started", ContentType: store.ContentTypeJSON, Data: []byte(`{"n":1}`), Metadata: []byte(`{"$correlationId":"x"}`)},
		{ID: uuid.New(), Type: "Täglich \x00", ContentType: "text/plain", Data: nil, Metadata: nil},
	}}
	first, err := s.Append(t.Context(), write)
	if err != nil {
		t.Fatal(err)
	}
	before := readAll(t, s)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Append(t.Context(), write); !errors.Is(err, store.ErrClosed) {
		t.Errorf("append to a closed store = %v, want ErrClosed", err)
	}
	if _, err := s.ReadStream(t.Context(), "subscription-1", store.Forwards, 0, 1); !errors.Is(err, store.ErrClosed) {
		t.Errorf("read of a closed store = %v, want ErrClosed", err)
	}

	s = open(t, dir, store.Options{})
	after := readAll(t, s)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("events differ after reopening (-before +after):\n%s", diff)
	}
	if len(after) != 2 || after[1].ContentType != store.ContentTypeBinary || after[1].Revision != 1 || after[1].Position != first.Position {
		t.Errorf("events = %+v", after)
	}
	// The repetition of an append is recognized by its exact revision and by its first id.
	for _, expected := range []store.Expected{store.ExpectNoStream, store.ExpectAny, store.ExpectStreamExists} {
		write.Expected = expected
		again, err := s.Append(t.Context(), write)
		if err != nil || again != first {
			t.Errorf("repeated append expecting %d = %+v, %v; want %+v", expected, again, err, first)
		}
	}
}

func TestConcurrentWritersKeepOrder(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	const writers, each = 16, 40
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			for i := range each {
				// Half of the writers share a stream, half have their own.
				stream := "shared-1"
				if w%2 == 0 {
					stream = fmt.Sprintf("own-%d", w)
				}
				result, err := s.Append(context.Background(), store.Write{Stream: stream, Expected: store.ExpectAny, Events: events(1+i%3, 10)})
				if err != nil {
					t.Error(err)
					return
				}
				// Acknowledged means visible.
				if head := s.Head(); head < result.Position {
					t.Errorf("acknowledged position %d, but the head is %d", result.Position, head)
				}
			}
		})
	}
	// A reader that follows the head never misses an event.
	followed := make(chan error, 1)
	total := uint64(writers / 2 * 2 * (each/3*6 + 1))
	go func() {
		next := uint64(1)
		for next <= total {
			if err := s.WaitBeyond(context.Background(), next-1); err != nil {
				followed <- err
				return
			}
			page, err := s.ReadAll(context.Background(), store.Forwards, next, 100)
			if err != nil {
				followed <- err
				return
			}
			for _, e := range page.Events {
				if e.Position != next {
					followed <- fmt.Errorf("position %d follows %d", e.Position, next-1)
					return
				}
				next++
			}
		}
		followed <- nil
	}()
	group.Wait()
	if err := <-followed; err != nil {
		t.Error(err)
	}
	last := map[string]int64{}
	created := int64(0)
	for _, e := range readAll(t, s) {
		if previous, ok := last[e.Stream]; ok && int64(e.Revision) != previous+1 || !ok && e.Revision != 0 {
			t.Errorf("revision %d of %s follows %d", e.Revision, e.Stream, previous)
		}
		if last[e.Stream] = int64(e.Revision); e.Created < created {
			t.Errorf("creation time fell at position %d", e.Position)
		}
		created = e.Created
	}
}

func TestOnlyOneProcessMayOpenADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open(t, dir, store.Options{})
	if _, err := store.Open(t.Context(), dir, store.Options{}); !errors.Is(err, store.ErrInUse) {
		t.Errorf("second open = %v, want ErrInUse", err)
	}
}

func TestFullDiskFailsWritersOnly(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{MaxPages: 400})
	write := func(size int) error {
		_, err := s.Append(t.Context(), store.Write{Stream: "s", Expected: store.ExpectAny, Events: events(1, size)})
		return err
	}
	var err error
	accepted := 0
	for ; err == nil; accepted++ {
		err = write(10_000)
	}
	accepted--
	if !errors.Is(err, store.ErrFull) {
		t.Fatalf("append to a full store = %v, want ErrFull", err)
	}
	for range 3 {
		if err := write(100_000); !errors.Is(err, store.ErrFull) {
			t.Errorf("next append = %v, want ErrFull", err)
		}
	}
	if got := len(readAll(t, s)); got != accepted {
		t.Errorf("%d events are readable, %d were accepted", got, accepted)
	}
	page, err := s.ReadStream(t.Context(), "s", store.Backwards, store.End, 10)
	if err != nil || len(page.Events) != 10 || int(page.Events[0].Revision) != accepted-1 {
		t.Errorf("read of a full store = %d events, %v", len(page.Events), err)
	}
	if err := write(1); err == nil { // a small one may still fit; then its number follows without a gap
		accepted++
	}
	page, err = s.ReadStream(t.Context(), "s", store.Backwards, store.End, 1)
	if err != nil || int(page.Events[0].Revision) != accepted-1 {
		t.Errorf("last revision = %+v, %v; want %d", page.Events, err, accepted-1)
	}
}

func TestCancelledAppendIsNotWritten(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Append(ctx, store.Write{Stream: "s", Expected: store.ExpectAny, Events: events(1, 1)}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled append = %v", err)
	}
	append1(t, s, "t", store.ExpectAny, events(1, 1)...)
	if state, err := s.StreamState(t.Context(), "s"); err != nil || state.Last != -1 {
		t.Errorf("stream of a cancelled append = %+v, %v", state, err)
	}
}

func TestWaitersWakeWhenTheStoreCloses(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), t.TempDir(), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	watch := s.Watch("s")
	defer watch.Stop()
	waited := make(chan error, 1)
	go func() { waited <- s.WaitBeyond(context.Background(), 0) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, store.ErrClosed) {
		t.Errorf("wait = %v, want ErrClosed", err)
	}
	if _, more := <-watch.C; more {
		t.Error("a watch of a closed store is not closed")
	}
}

func TestWatchTellsAboutItsStreamOnly(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	watch, category := s.Watch("account-1"), s.Watch("$ce-account")
	defer watch.Stop()
	defer category.Stop()
	append1(t, s, "account-2", store.ExpectAny, events(1, 1)...)
	<-category.C
	select {
	case <-watch.C:
		t.Error("a watch tells about another stream")
	default:
	}
	append1(t, s, "account-1", store.ExpectAny, events(1, 1)...)
	<-watch.C
}

func TestRecords(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	put := func(records ...store.Record) {
		t.Helper()
		if err := s.PutRecords(t.Context(), records...); err != nil {
			t.Fatal(err)
		}
	}
	put(store.Record{Bucket: "a", Key: "1", Value: []byte("x")}, store.Record{Bucket: "a", Key: "2", Value: []byte("y")}, store.Record{Bucket: "b", Key: "1", Value: []byte("z")})
	put(store.Record{Bucket: "a", Key: "1", Value: []byte("new")}, store.Record{Bucket: "a", Key: "3", Value: []byte{}}, store.Record{Bucket: "a", Key: "2"})
	got, err := s.Records(t.Context(), "a", "", 10)
	want := []store.Record{{Bucket: "a", Key: "1", Value: []byte("new")}, {Bucket: "a", Key: "3", Value: []byte{}}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("records: %v\n%s", err, diff)
	}
	if got, err = s.Records(t.Context(), "a", "1", 10); err != nil || len(got) != 1 {
		t.Errorf("records behind a key = %+v, %v", got, err)
	}
	if got, err = s.Records(t.Context(), "b", "", 10); err != nil || len(got) != 1 {
		t.Errorf("records of another bucket = %+v, %v", got, err)
	}
}
