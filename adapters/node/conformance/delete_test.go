package conformance_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
)

var deleteSection = section{
	"a deleted stream is not found and goes on numbering": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 3)
		result, err := s.client.DeleteStream(deadline(t), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(2)})
		if err != nil {
			t.Fatal(err)
		}
		if result.Position.Commit == 0 || result.Position.Prepare == 0 {
			t.Errorf("deleted at %v", result.Position)
		}
		_, err = s.tryRead(t, stream, esdb.ReadStreamOptions{}, everything)
		wantCode(t, err, esdb.ErrorCodeResourceNotFound)
		if again := s.append(t, stream, esdb.NoStream{}, newEvent()); again.NextExpectedVersion != 3 {
			t.Errorf("first new event has number %d, want 3", again.NextExpectedVersion)
		}
		s.append(t, stream, esdb.Revision(3), newEvent())
		if diff := cmp.Diff([]uint64{3, 4}, revisions(s.read(t, stream, esdb.ReadStreamOptions{}, everything))); diff != "" {
			t.Errorf("visible (-want +got):\n%s", diff)
		}
	},
	"a deleted stream takes an append at its last revision": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 2)
		if _, err := s.client.DeleteStream(deadline(t), stream, esdb.DeleteStreamOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := s.try(t, stream, esdb.Revision(0), newEvent())
		wantCode(t, err, esdb.ErrorCodeWrongExpectedVersion)
		if again := s.append(t, stream, esdb.Revision(1), newEvent()); again.NextExpectedVersion != 2 {
			t.Errorf("number %d, want 2", again.NextExpectedVersion)
		}
	},
	"a tombstone is for ever": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 2)
		result, err := s.client.TombstoneStream(deadline(t), stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(1)})
		if err != nil {
			t.Fatal(err)
		}
		if result.Position.Commit == 0 {
			t.Errorf("tombstoned at %v", result.Position)
		}
		_, err = s.tryRead(t, stream, esdb.ReadStreamOptions{}, 1)
		wantCode(t, err, esdb.ErrorCodeStreamDeleted)
		for _, expected := range []esdb.ExpectedRevision{esdb.Any{}, esdb.NoStream{}, esdb.Revision(1), esdb.StreamExists{}} {
			_, err = s.try(t, stream, expected, newEvent())
			wantCode(t, err, esdb.ErrorCodeStreamDeleted)
		}
		_, err = s.client.DeleteStream(deadline(t), stream, esdb.DeleteStreamOptions{})
		wantCode(t, err, esdb.ErrorCodeStreamDeleted)
		_, err = s.client.TombstoneStream(deadline(t), stream, esdb.TombstoneStreamOptions{})
		wantCode(t, err, esdb.ErrorCodeStreamDeleted)
	},
	"a stream without events can be tombstoned": func(t *testing.T, s *suite) {
		stream := newStream()
		if _, err := s.client.TombstoneStream(deadline(t), stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.NoStream{}}); err != nil {
			t.Fatal(err)
		}
		_, err := s.try(t, stream, esdb.Any{}, newEvent())
		wantCode(t, err, esdb.ErrorCodeStreamDeleted)
	},
	"the wrong revision deletes nothing": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 2)
		_, err := s.client.DeleteStream(deadline(t), stream, esdb.DeleteStreamOptions{ExpectedRevision: esdb.Revision(0)})
		wantCode(t, err, esdb.ErrorCodeUnknown)
		_, err = s.client.TombstoneStream(deadline(t), stream, esdb.TombstoneStreamOptions{ExpectedRevision: esdb.Revision(5)})
		wantCode(t, err, esdb.ErrorCodeUnknown)
		if got := s.read(t, stream, esdb.ReadStreamOptions{}, everything); len(got) != 2 {
			t.Errorf("%d events, want 2", len(got))
		}
	},
}
