package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

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

func TestExpectedRevisions(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	prepare := map[string]func(stream string){
		"missing": func(string) {},
		"two events": func(stream string) {
			append1(t, s, stream, store.ExpectNoStream, events(2, 1)...)
		},
		"metadata only": func(stream string) {
			append1(t, s, "$$"+stream, store.ExpectAny, store.NewEvent{ID: uuid.New(), Type: store.MetadataType, ContentType: store.ContentTypeJSON, Data: []byte(`{"$maxCount":9}`)})
		},
		"soft-deleted": func(stream string) {
			append1(t, s, stream, store.ExpectNoStream, events(2, 1)...)
			if _, err := s.Delete(t.Context(), stream, 1); err != nil {
				t.Fatal(err)
			}
		},
		"tombstoned": func(stream string) {
			append1(t, s, stream, store.ExpectNoStream, events(2, 1)...)
			if _, err := s.Tombstone(t.Context(), stream, store.ExpectAny); err != nil {
				t.Fatal(err)
			}
		},
	}
	const (
		accepted = "accepted"
		wrong    = "wrong expected revision"
		deleted  = "stream deleted"
	)
	cases := map[string]map[store.Expected]string{
		"missing":       {store.ExpectAny: accepted, store.ExpectNoStream: accepted, store.ExpectStreamExists: wrong, 0: wrong, 5: wrong},
		"two events":    {store.ExpectAny: accepted, store.ExpectNoStream: wrong, store.ExpectStreamExists: accepted, 0: wrong, 1: accepted, 2: wrong},
		"metadata only": {store.ExpectAny: accepted, store.ExpectNoStream: accepted, store.ExpectStreamExists: accepted, 0: wrong},
		"soft-deleted":  {store.ExpectAny: accepted, store.ExpectNoStream: accepted, store.ExpectStreamExists: deleted, 0: wrong, 1: accepted, 2: wrong},
		"tombstoned":    {store.ExpectAny: deleted, store.ExpectNoStream: deleted, store.ExpectStreamExists: deleted, 1: deleted},
	}
	operations := map[string]func(stream string, expected store.Expected) error{
		"append": func(stream string, expected store.Expected) error {
			_, err := s.Append(t.Context(), store.Write{Stream: stream, Expected: expected, Events: events(1, 1)})
			return err
		},
		"append nothing": func(stream string, expected store.Expected) error {
			_, err := s.Append(t.Context(), store.Write{Stream: stream, Expected: expected})
			return err
		},
		"delete": func(stream string, expected store.Expected) error {
			_, err := s.Delete(t.Context(), stream, expected)
			return err
		},
		"tombstone": func(stream string, expected store.Expected) error {
			_, err := s.Tombstone(t.Context(), stream, expected)
			return err
		},
	}
	for state, outcomes := range cases {
		for expected, want := range outcomes {
			for name, operation := range operations {
				t.Run(fmt.Sprintf("%s/%s/%d", name, state, expected), func(t *testing.T) {
					stream := "s-" + uuid.NewString()
					prepare[state](stream)
					err := operation(stream, expected)
					got := accepted
					var wrongExpected *store.WrongExpectedError
					var streamDeleted *store.StreamDeletedError
					switch {
					case errors.As(err, &wrongExpected):
						got = wrong
						if wrongExpected.Stream != stream || wrongExpected.Expected != expected {
							t.Errorf("error names %+v", wrongExpected)
						}
					case errors.As(err, &streamDeleted):
						got = deleted
					case err != nil:
						t.Fatal(err)
					}
					if got != want {
						t.Errorf("outcome = %s, want %s", got, want)
					}
				})
			}
		}
	}
}

func TestRepeatedAppends(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	written := events(4, 1)
	append1(t, s, "s", store.ExpectNoStream, written[:2]...)
	last := append1(t, s, "s", 1, written[2:]...)
	other := events(2, 1)
	tests := []struct {
		name     string
		expected store.Expected
		events   []store.NewEvent
		revision int64 // -1 = wrong expected revision
	}{
		{"first again", store.ExpectNoStream, written[:2], 1},
		{"part of the first", store.ExpectNoStream, written[:1], 0},
		{"both as one", store.ExpectNoStream, written, 3},
		{"second again", 1, written[2:], 3},
		{"second after the wrong revision", 0, written[2:], -1},
		{"one more than written", 1, append(written[2:4:4], other[0]), -1},
		{"other events", 1, other, -1},
		{"swapped", store.ExpectNoStream, []store.NewEvent{written[1], written[0]}, -1},
		{"any: middle", store.ExpectAny, written[1:3], 2},
		{"any: known, then new", store.ExpectAny, []store.NewEvent{written[3], other[0]}, -1},
		{"exists: last", store.ExpectStreamExists, written[3:], 3},
		{"nothing, behind", 0, nil, -1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			result, err := s.Append(t.Context(), store.Write{Stream: "s", Expected: test.expected, Events: test.events})
			var wrong *store.WrongExpectedError
			if test.revision < 0 {
				if !errors.As(err, &wrong) || wrong.Current != 3 {
					t.Errorf("= %+v, %v; want wrong expected revision at 3", result, err)
				}
				return
			}
			if err != nil || result.Revision != test.revision || (test.revision == 3 && result.Position != last.Position) {
				t.Errorf("= %+v, %v; want revision %d", result, err, test.revision)
			}
		})
	}
	if head := s.Head(); head != last.Position {
		t.Errorf("repetitions moved the head to %d", head)
	}
	// Ids count within a stream only, and an unknown first id is a new event.
	if result := append1(t, s, "t", store.ExpectNoStream, written...); result.Revision != 3 {
		t.Errorf("same ids in another stream = %+v", result)
	}
	if result := append1(t, s, "s", store.ExpectAny, other[0], written[0]); result.Revision != 5 {
		t.Errorf("append with an unknown first id = %+v", result)
	}
}

func TestInvalidWrites(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{MaxAppendBytes: 100})
	for name, write := range map[string]store.Write{
		"no name":        {Expected: store.ExpectAny, Events: events(1, 1)},
		"not UTF-8":      {Stream: "a\xff", Expected: store.ExpectAny, Events: events(1, 1)},
		"$all":           {Stream: "$all", Expected: store.ExpectAny, Events: events(1, 1)},
		"no type":        {Stream: "s", Expected: store.ExpectAny, Events: []store.NewEvent{{}}},
		"expectation -3": {Stream: "s", Expected: -3, Events: events(1, 1)},
		"category":       {Stream: "$ce-s", Expected: store.ExpectAny, Events: events(1, 1)},
	} {
		if _, err := s.Append(t.Context(), write); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if _, err := s.Delete(t.Context(), "$$s", store.ExpectAny); !errors.Is(err, store.ErrInvalid) {
		t.Errorf("delete of metadata: %v, want ErrInvalid", err)
	}
	var large *store.TooLargeError
	if _, err := s.Append(t.Context(), store.Write{Stream: "s", Expected: store.ExpectAny, Events: events(2, 50)}); !errors.As(err, &large) || large.Limit != 100 {
		t.Errorf("large append: %v, want TooLargeError with limit 100", err)
	}
	append1(t, s, "s", store.ExpectNoStream, events(1, 100-len("Checked"))...)
	if head := s.Head(); head != 1 {
		t.Errorf("head = %d, want the one accepted event", head)
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
	s := open(t, dir, store.Options{MaxPages: 200})
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
	if err := s.DeleteBucket(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	for bucket, want := range map[string]int{"a": 0, "b": 1} {
		if n, err := s.CountRecords(t.Context(), bucket); err != nil || n != want {
			t.Errorf("bucket %s has %d records, %v; want %d", bucket, n, err, want)
		}
	}
}

func TestBackupWhileWriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	append1(t, s, "s-1", store.ExpectAny, events(50, 100)...)
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.Append(context.Background(), store.Write{Stream: "s-2", Expected: store.ExpectAny, Events: events(1, 100)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writer.Wait()
	defer cancel()
	inspector, err := store.Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer inspector.Close()
	dest := filepath.Join(t.TempDir(), "backup")
	if err := inspector.Backup(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	if err := inspector.Backup(t.Context(), dest); err == nil {
		t.Error("a second backup into the same directory did not fail")
	}
	if n, err := inspector.Verify(t.Context()); err != nil || n < 50 {
		t.Errorf("verify of the served store = %d, %v", n, err)
	}
	stats, err := inspector.Stats(t.Context())
	if err != nil || stats.Events < 50 || stats.Events != int64(stats.Head) || stats.Streams > 2 || stats.DatabaseBytes == 0 || time.Since(stats.Last) > time.Minute {
		t.Errorf("stats = %+v, %v", stats, err)
	}
	restored := open(t, dest, store.Options{})
	if restored.Instance() != s.Instance() {
		t.Error("a backup has another identity")
	}
	if got := readAll(t, restored); len(got) < 50 || got[49].Revision != 49 {
		t.Errorf("restored store has %d events", len(got))
	}
	append1(t, restored, "s-1", 49, events(1, 1)...)
}

func TestInspectNeedsAStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := store.Inspect(t.Context(), dir); err == nil {
		t.Error("an empty directory was inspected")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("inspecting left %v, %v", entries, err)
	}
}
