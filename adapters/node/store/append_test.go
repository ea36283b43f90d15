package store_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

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
