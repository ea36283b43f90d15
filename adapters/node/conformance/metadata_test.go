package conformance_test

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
)

var metadataSection = section{
	"comes back as it was set": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		var acl esdb.Acl
		acl.AddReadRoles("readers") // one: the client cannot read back several
		var metadata esdb.StreamMetadata
		metadata.SetMaxCount(17)
		metadata.SetMaxAge(time.Hour)
		metadata.SetTruncateBefore(0)
		metadata.SetCacheControl(time.Minute)
		metadata.SetAcl(acl)
		metadata.AddCustomProperty("own", "value")
		s.setMetadata(t, stream, metadata)
		got, err := s.client.GetStreamMetadata(deadline(t), stream, esdb.ReadStreamOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if *got.MaxCount() != 17 || *got.MaxAge() != time.Hour || *got.CacheControl() != time.Minute || got.CustomProperty("own") != "value" {
			t.Errorf("metadata %+v", got)
		}
		if diff := cmp.Diff([]string{"readers"}, got.StreamAcl().ReadRoles()); diff != "" {
			t.Errorf("readers (-want +got):\n%s", diff)
		}
	},
	"the newest counts": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 1)
		for count := range uint64(3) {
			var metadata esdb.StreamMetadata
			metadata.SetMaxCount(count + 10)
			s.setMetadata(t, stream, metadata)
		}
		got, err := s.client.GetStreamMetadata(deadline(t), stream, esdb.ReadStreamOptions{})
		if err != nil || *got.MaxCount() != 12 {
			t.Errorf("metadata %+v, error %v", got, err)
		}
	},
	"does not make a stream": func(t *testing.T, s *suite) {
		stream := newStream()
		var metadata esdb.StreamMetadata
		metadata.SetMaxCount(2)
		s.setMetadata(t, stream, metadata)
		_, err := s.tryRead(t, stream, esdb.ReadStreamOptions{}, 1)
		wantCode(t, err, esdb.ErrorCodeResourceNotFound)
		s.append(t, stream, esdb.NoStream{}, newEvents(5)...)
		if diff := cmp.Diff([]uint64{3, 4}, revisions(s.read(t, stream, esdb.ReadStreamOptions{}, everything))); diff != "" {
			t.Errorf("visible (-want +got):\n%s", diff)
		}
	},
	"limits count": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 5)
		var metadata esdb.StreamMetadata
		metadata.SetMaxCount(2)
		s.setMetadata(t, stream, metadata)
		s.wantVisible(t, stream, 3, 4)
		s.append(t, stream, esdb.Revision(4), newEvent())
		s.wantVisible(t, stream, 4, 5)
		sub := s.subscribe(t, stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
		if diff := cmp.Diff([]uint64{4, 5}, revisions(sub.events(2))); diff != "" {
			t.Errorf("subscribed (-want +got):\n%s", diff)
		}
	},
	"truncates": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 5)
		var metadata esdb.StreamMetadata
		metadata.SetTruncateBefore(3)
		s.setMetadata(t, stream, metadata)
		s.wantVisible(t, stream, 3, 4)
		metadata.SetMaxCount(1)
		s.setMetadata(t, stream, metadata)
		s.wantVisible(t, stream, 4)
		s.append(t, stream, esdb.Revision(4), newEvent())
	},
	"limits age": func(t *testing.T, s *suite) {
		stream, _ := s.filled(t, 2)
		var metadata esdb.StreamMetadata
		metadata.SetMaxAge(time.Hour)
		s.setMetadata(t, stream, metadata)
		s.wantVisible(t, stream, 0, 1)
		metadata.SetMaxAge(time.Second)
		s.setMetadata(t, stream, metadata)
		for end := time.Now().Add(waitTimeout); ; {
			events := s.read(t, stream, esdb.ReadStreamOptions{}, everything)
			if len(events) == 0 {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("%d events do not expire", len(events))
			}
			<-time.After(50 * time.Millisecond)
		}
		s.append(t, stream, esdb.Revision(1), newEvent())
	},
}

func (s *suite) setMetadata(t *testing.T, stream string, metadata esdb.StreamMetadata) {
	t.Helper()
	if _, err := s.client.SetStreamMetadata(deadline(t), stream, esdb.AppendToStreamOptions{}, metadata); err != nil {
		t.Fatalf("set metadata of %s: %v", stream, err)
	}
}

func (s *suite) wantVisible(t *testing.T, stream string, want ...uint64) {
	t.Helper()
	if diff := cmp.Diff(want, revisions(s.read(t, stream, esdb.ReadStreamOptions{}, everything))); diff != "" {
		t.Errorf("forwards (-want +got):\n%s", diff)
	}
	back := revisions(s.read(t, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, everything))
	for i, j := 0, len(back)-1; i < j; i, j = i+1, j-1 {
		back[i], back[j] = back[j], back[i]
	}
	if diff := cmp.Diff(want, back); diff != "" {
		t.Errorf("backwards (-want +got):\n%s", diff)
	}
}
