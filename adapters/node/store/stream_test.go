package store_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// revisions reads a stream page by page and returns the revisions of its events.
func revisions(t *testing.T, s *store.Store, stream string, direction store.Direction, from uint64, page int) ([]int, error) {
	t.Helper()
	out := []int{}
	for {
		slice, err := s.ReadStream(t.Context(), stream, direction, from, page)
		if err != nil {
			return out, err
		}
		for _, e := range slice.Events {
			out = append(out, int(e.Revision))
		}
		if slice.End {
			return out, nil
		}
		from = slice.Next
	}
}

func setMetadata(t *testing.T, s *store.Store, stream, json string) {
	t.Helper()
	append1(t, s, "$$"+stream, store.ExpectAny, store.NewEvent{ID: uuid.New(), Type: store.MetadataType, ContentType: store.ContentTypeJSON, Data: []byte(json)})
}

func TestReadStreamDirectionsAndLimits(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	append1(t, s, "s", store.ExpectNoStream, events(5, 1)...)
	append1(t, s, "other", store.ExpectNoStream, events(5, 1)...)
	tests := []struct {
		direction store.Direction
		from      uint64
		want      []int
	}{
		{store.Forwards, 0, []int{0, 1, 2, 3, 4}},
		{store.Forwards, 3, []int{3, 4}},
		{store.Forwards, 5, []int{}},
		{store.Forwards, store.End, []int{}},
		{store.Backwards, store.End, []int{4, 3, 2, 1, 0}},
		{store.Backwards, 7, []int{4, 3, 2, 1, 0}},
		{store.Backwards, 2, []int{2, 1, 0}},
		{store.Backwards, 0, []int{0}},
	}
	for _, test := range tests {
		for _, page := range []int{1, 2, 5, 100} {
			got, err := revisions(t, s, "s", test.direction, test.from, page)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("direction %d from %d by %d: %v\n%s", test.direction, test.from, page, err, diff)
			}
		}
	}
	if _, err := revisions(t, s, "missing", store.Forwards, 0, 1); !errors.Is(err, store.ErrStreamNotFound) {
		t.Errorf("missing stream = %v", err)
	}
}

func TestReadAllDirections(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, from := range []string{"memory", "disk"} {
		s, err := store.Open(t.Context(), dir, store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		if from == "memory" {
			append1(t, s, "a", store.ExpectAny, events(3, 1)...)
			append1(t, s, "b", store.ExpectAny, events(2, 1)...)
		}
		for _, test := range []struct {
			direction store.Direction
			from      uint64
			want      []int
		}{
			{store.Forwards, 0, []int{1, 2, 3, 4, 5}},
			{store.Forwards, 3, []int{3, 4, 5}}, // includes the event at the position
			{store.Forwards, 6, []int{}},
			{store.Forwards, store.End, []int{}},
			{store.Backwards, store.End, []int{5, 4, 3, 2, 1}},
			{store.Backwards, 3, []int{2, 1}}, // excludes it
			{store.Backwards, 0, []int{}},
		} {
			for _, limit := range []int{1, 2, 100} {
				got := []int{}
				for next := test.from; ; {
					page, err := s.ReadAll(t.Context(), test.direction, next, limit)
					if err != nil {
						t.Fatal(err)
					}
					for _, e := range page.Events {
						got = append(got, int(e.Position))
					}
					if page.End {
						break
					}
					next = page.Next
				}
				if diff := cmp.Diff(test.want, got); diff != "" {
					t.Errorf("%s: direction %d from %d by %d:\n%s", from, test.direction, test.from, limit, diff)
				}
			}
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestPagesAreBoundedInBytes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	for range 12 {
		append1(t, s, "s", store.ExpectAny, events(1, 1<<20-100)...)
	}
	for name, read := range map[string]func() (store.Slice, error){
		"log":       func() (store.Slice, error) { return s.ReadAll(t.Context(), store.Forwards, 0, 100) },
		"backwards": func() (store.Slice, error) { return s.ReadAll(t.Context(), store.Backwards, store.End, 100) },
		"stream":    func() (store.Slice, error) { return s.ReadStream(t.Context(), "s", store.Forwards, 0, 100) },
	} {
		page, err := read()
		if err != nil || len(page.Events) < 1 || len(page.Events) > 2 || page.End {
			t.Errorf("%s: page of %d MiB, end %t, %v", name, len(page.Events), page.End, err)
		}
	}
	if got, err := revisions(t, s, "s", store.Forwards, 0, 100); err != nil || len(got) != 12 {
		t.Errorf("all pages = %v, %v", got, err)
	}
}

func TestRetention(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := open(t, t.TempDir(), store.Options{Now: func() time.Time { return now }})
	for i := range 10 {
		append1(t, s, "s", store.ExpectAny, events(1, i)...)
		now = now.Add(time.Minute)
	}
	// It is ten minutes after the first event and one after the last.
	for _, test := range []struct {
		metadata string
		want     []int
	}{
		{`{}`, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{`{"$maxCount":3}`, []int{7, 8, 9}},
		{`{"$maxCount":100}`, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{`{"$tb":8}`, []int{8, 9}},
		{`{"$maxAge":150}`, []int{8, 9}},
		{`{"$maxAge":60}`, []int{9}},
		{`{"$maxAge":1}`, []int{}},
		{`{"$maxAge":300,"$maxCount":4,"$tb":2}`, []int{6, 7, 8, 9}},
		{`{"$maxAge":150,"$maxCount":4,"$tb":2}`, []int{8, 9}},
		{`{"$tb":10}`, []int{}},
		{`{"$maxCount":"three"}`, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{`no JSON`, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
		{`{"$maxAge":99999999999999999,"custom":{"a":1}}`, []int{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}},
	} {
		setMetadata(t, s, "s", test.metadata)
		for _, page := range []int{1, 100} {
			got, err := revisions(t, s, "s", store.Forwards, 0, page)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%s forwards: %v\n%s", test.metadata, err, diff)
			}
			got, err = revisions(t, s, "s", store.Backwards, store.End, page)
			for i, j := 0, len(got)-1; i < j; i, j = i+1, j-1 {
				got[i], got[j] = got[j], got[i]
			}
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%s backwards: %v\n%s", test.metadata, err, diff)
			}
		}
		_, found, err := s.ReadEvent(t.Context(), "s", 0)
		if wanted := len(test.want) == 10; err != nil || found != wanted {
			t.Errorf("%s: event 0 found = %t, %v", test.metadata, found, err)
		}
	}
	if last := append1(t, s, "s", 9, events(1, 1)...); last.Revision != 10 {
		t.Errorf("retention touched the revision: %+v", last)
	}
	// A metadata stream shows its last event only, read from any side, and byte for byte.
	page, err := s.ReadStream(t.Context(), "$$s", store.Forwards, 0, 1)
	if err != nil || len(page.Events) != 1 || !page.End || string(page.Events[0].Data) != `{"$maxAge":99999999999999999,"custom":{"a":1}}` {
		t.Errorf("metadata = %+v, %v", page, err)
	}
}

func TestMetadataDoesNotMakeAStream(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	setMetadata(t, s, "s", `{"$maxCount":1}`)
	if _, err := revisions(t, s, "s", store.Forwards, 0, 1); !errors.Is(err, store.ErrStreamNotFound) {
		t.Errorf("read = %v, want not found", err)
	}
	append1(t, s, "s", store.ExpectNoStream, events(3, 1)...)
	if got, err := revisions(t, s, "s", store.Forwards, 0, 9); err != nil || len(got) != 1 || got[0] != 2 {
		t.Errorf("metadata written before the stream has no effect: %v, %v", got, err)
	}
	if _, err := revisions(t, s, "$$other", store.Forwards, 0, 1); !errors.Is(err, store.ErrStreamNotFound) {
		t.Errorf("metadata of nothing = %v, want not found", err)
	}
}

func TestSoftDelete(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	append1(t, s, "s", store.ExpectNoStream, events(3, 1)...)
	setMetadata(t, s, "s", `{"$maxCount":50,"owner":"x"}`)
	position, err := s.Delete(t.Context(), "s", 2)
	if err != nil || position != s.Head() {
		t.Fatalf("delete = %d, %v", position, err)
	}
	if _, err := revisions(t, s, "s", store.Forwards, 0, 9); !errors.Is(err, store.ErrStreamNotFound) {
		t.Errorf("read of a deleted stream = %v", err)
	}
	if len(readAll(t, s)) != 5 {
		t.Error("the log lost the deleted events")
	}
	if result := append1(t, s, "s", store.ExpectNoStream, events(2, 1)...); result.Revision != 4 || result.Position != s.Head() {
		t.Errorf("append after the delete = %+v", result)
	}
	if got, err := revisions(t, s, "s", store.Forwards, 0, 9); err != nil || !cmp.Equal(got, []int{3, 4}) {
		t.Errorf("read after the append = %v, %v", got, err)
	}
	page, err := s.ReadStream(t.Context(), "$$s", store.Forwards, 0, 1)
	if err != nil || string(page.Events[0].Data) != `{"$tb":3}` {
		t.Errorf("metadata after the append = %s, %v", page.Events[0].Data, err)
	}

	// Metadata for a deleted stream brings it back without its events.
	if _, err := s.Delete(t.Context(), "s", store.ExpectAny); err != nil {
		t.Fatal(err)
	}
	setMetadata(t, s, "s", `{"owner":"y"}`)
	if got, err := revisions(t, s, "s", store.Forwards, 0, 9); err != nil || len(got) != 0 {
		t.Errorf("read after metadata for a deleted stream = %v, %v", got, err)
	}
}

func TestTombstone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	append1(t, s, "s", store.ExpectNoStream, events(3, 1)...)
	if _, err := s.Tombstone(t.Context(), "s", 2); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Tombstone(t.Context(), "never", store.ExpectNoStream); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir, store.Options{})
	var deleted *store.StreamDeletedError
	for _, stream := range []string{"s", "never", "$$s"} {
		if _, err := revisions(t, s, stream, store.Forwards, 0, 9); !errors.As(err, &deleted) || deleted.Stream != stream {
			t.Errorf("read of %s = %v", stream, err)
		}
		if _, err := s.Append(t.Context(), store.Write{Stream: stream, Expected: store.ExpectAny, Events: events(1, 1)}); !errors.As(err, &deleted) {
			t.Errorf("append to %s = %v", stream, err)
		}
	}
	all := readAll(t, s)
	if last := all[len(all)-1]; len(all) != 5 || last.Type != store.TombstoneType || last.Revision != store.TombstoneRevision {
		t.Errorf("log ends with %+v", last)
	}
	inspector, err := store.Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer inspector.Close()
	if _, err := inspector.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestIndexStreams(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir(), store.Options{})
	for i := range 6 {
		new := events(1, 1)
		if i%2 == 1 {
			new[0].Type = "Odd"
		}
		append1(t, s, fmt.Sprintf("account-%d", i%3), store.ExpectAny, new...)
		append1(t, s, fmt.Sprintf("usage-%d", i), store.ExpectAny, events(1, 1)...)
	}
	links := func(stream string, direction store.Direction, from uint64, limit int) string {
		t.Helper()
		var out []string
		for {
			page, err := s.ReadStream(t.Context(), stream, direction, from, limit)
			if err != nil {
				return err.Error()
			}
			for _, e := range page.Events {
				if e.Type != store.LinkType || e.Stream != stream || e.ID == uuid.Nil {
					t.Errorf("link = %+v", e)
				}
				out = append(out, fmt.Sprintf("%d:%s", e.Revision, e.Data))
			}
			if page.End {
				return strings.Join(out, " ")
			}
			from = page.Next
		}
	}
	for _, limit := range []int{1, 2, 100} {
		for _, test := range []struct {
			stream    string
			direction store.Direction
			from      uint64
			want      string
		}{
			{"$ce-account", store.Forwards, 0, "0:0@account-0 1:0@account-1 2:0@account-2 3:1@account-0 4:1@account-1 5:1@account-2"},
			{"$ce-account", store.Forwards, 4, "4:1@account-1 5:1@account-2"},
			{"$ce-account", store.Forwards, 6, ""},
			{"$ce-account", store.Backwards, store.End, "5:1@account-2 4:1@account-1 3:1@account-0 2:0@account-2 1:0@account-1 0:0@account-0"},
			{"$ce-account", store.Backwards, 1, "1:0@account-1 0:0@account-0"},
			{"$et-Odd", store.Forwards, 0, "0:0@account-1 1:1@account-0 2:1@account-2"},
			{"$et-never", store.Forwards, 0, store.ErrStreamNotFound.Error()},
			{"$ce-Odd", store.Forwards, 0, store.ErrStreamNotFound.Error()},
		} {
			if got := links(test.stream, test.direction, test.from, limit); got != test.want {
				t.Errorf("%s direction %d from %d by %d = %q, want %q", test.stream, test.direction, test.from, limit, got, test.want)
			}
		}
	}
}
