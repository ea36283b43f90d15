package conformance_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/pas-ta/liveness/adapters/node"
)

var batchSection = section{
	"answers every write with its correlation id": func(t *testing.T, s *suite) {
		b := s.batch(t)
		stream := newStream()
		one, two := uuid.New(), uuid.New()
		b.send(write(one, stream, noStream, true, newEvents(2)...))
		b.send(write(two, stream, atRevision(1), true, newEvents(3)...))
		answers := b.answers(2)
		if got := answers[one.String()].GetSuccess().GetCurrentRevision(); got != 1 {
			t.Errorf("first write at revision %d, want 1", got)
		}
		success := answers[two.String()].GetSuccess()
		if success.GetCurrentRevision() != 4 || success.GetPosition().GetCommitPosition() == 0 {
			t.Errorf("second write answered %v", answers[two.String()])
		}
		s.end(b)
		if got := s.read(t, stream, esdb.ReadStreamOptions{}, everything); len(got) != 5 {
			t.Errorf("%d events, want 5", len(got))
		}
	},
	"collects the chunks of interleaved writes": func(t *testing.T, s *suite) {
		b := s.batch(t)
		first, second := newStream(), newStream()
		one, two := uuid.New(), uuid.New()
		events := newEvents(4)
		b.send(write(one, first, noStream, false, events[0]))
		b.send(write(two, second, noStream, false, events[1]))
		b.send(chunk(one, true, events[2]))
		b.send(chunk(two, true, events[3]))
		b.answers(2)
		for stream, want := range map[string][]uuid.UUID{first: {events[0].EventID, events[2].EventID}, second: {events[1].EventID, events[3].EventID}} {
			var got []uuid.UUID
			for _, e := range s.read(t, stream, esdb.ReadStreamOptions{}, everything) {
				got = append(got, e.Event.EventID)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", stream, diff)
			}
		}
	},
	"an error answers one write and the stream stays open": func(t *testing.T, s *suite) {
		b := s.batch(t)
		stream, _ := s.filled(t, 2)
		bad, late, good := uuid.New(), uuid.New(), uuid.New()
		b.send(write(bad, stream, noStream, true, newEvent()))
		past := write(late, stream, anyRevision, true, newEvent())
		past.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Now().Add(-time.Minute))}
		b.send(past)
		b.send(write(good, stream, atRevision(1), true, newEvent()))
		answers := b.answers(3)
		if got := string(answers[bad.String()].GetStreamIdentifier().GetStreamName()); got != stream {
			t.Errorf("the error names stream %q, want %q", got, stream)
		}
		wantDetail(t, answers[bad.String()], "event_store.client.WrongExpectedVersion")
		wantDetail(t, answers[late.String()], "event_store.client.Timeout")
		detail := &shared.WrongExpectedVersion{}
		if err := answers[bad.String()].GetError().GetDetails()[0].UnmarshalTo(detail); err != nil {
			t.Fatal(err)
		}
		if detail.GetCurrentStreamRevision() != 1 || detail.GetExpectedNoStream() == nil {
			t.Errorf("detail %v, want current 1 and expected no stream", detail)
		}
		if answers[good.String()].GetSuccess().GetCurrentRevision() != 2 {
			t.Errorf("good write answered %v", answers[good.String()])
		}
	},
	"says what is wrong with a write": func(t *testing.T, s *suite) {
		deleted, _ := s.filled(t, 1)
		if _, err := s.client.TombstoneStream(deadline(t), deleted, esdb.TombstoneStreamOptions{}); err != nil {
			t.Fatal(err)
		}
		b := s.batch(t)
		dead, large := uuid.New(), uuid.New()
		b.send(write(dead, deleted, anyRevision, true, newEvent()))
		huge := newEvent()
		huge.Data = []byte(strings.Repeat("x", 1<<20+1))
		b.send(write(large, newStream(), anyRevision, true, huge))
		answers := b.answers(2)
		wantDetail(t, answers[dead.String()], "event_store.client.StreamDeleted")
		wantDetail(t, answers[large.String()], "event_store.client.MaximumAppendSizeExceeded")
	},
	"one MiB of data": func(t *testing.T, s *suite) {
		b := s.batch(t)
		id, event := uuid.New(), newEvent()
		event.Data = []byte(strings.Repeat("x", 1<<20))
		b.send(write(id, newStream(), noStream, true, event))
		answer := b.answers(1)[id.String()]
		if s.line == node.OwnLine {
			wantDetail(t, answer, "event_store.client.MaximumAppendSizeExceeded") // with its type and metadata it is more
		} else if answer.GetSuccess() == nil {
			t.Errorf("answered %v, want it accepted", answer)
		}
	},
	"repeats are answered as the first": func(t *testing.T, s *suite) {
		b := s.batch(t)
		stream, events := newStream(), newEvents(2)
		one, two := uuid.New(), uuid.New()
		b.send(write(one, stream, noStream, true, events...))
		first := b.answers(1)[one.String()].GetSuccess()
		b.send(write(two, stream, noStream, true, events...))
		second := b.answers(1)[two.String()].GetSuccess()
		if first.GetCurrentRevision() != 1 || second.GetCurrentRevision() != 1 || second.GetPosition().GetCommitPosition() != first.GetPosition().GetCommitPosition() {
			t.Errorf("answered %v, first %v", second, first)
		}
	},
	"finishes what is pending when the client half-closes": func(t *testing.T, s *suite) {
		s.ours(t, "pending writes may stay unanswered and the stream open")
		b := s.batch(t)
		stream := newStream()
		for range 20 {
			b.send(write(uuid.New(), stream, anyRevision, true, newEvent()))
		}
		if err := b.CloseSend(); err != nil {
			t.Fatal(err)
		}
		answers := b.answers(20)
		s.end(b)
		for id, answer := range answers {
			if answer.GetSuccess() == nil {
				t.Errorf("write %s answered %v", id, answer)
			}
		}
	},
}

// batch is a BatchAppend call.
type batch struct {
	streams.Streams_BatchAppendClient
	t *testing.T
}

func (s *suite) batch(t *testing.T) *batch {
	t.Helper()
	call, err := streams.NewStreamsClient(s.wire).BatchAppend(deadline(t))
	if err != nil {
		t.Fatal(err)
	}
	return &batch{Streams_BatchAppendClient: call, t: t}
}

func (b *batch) send(request *streams.BatchAppendReq) {
	b.t.Helper()
	if err := b.Send(request); err != nil {
		b.t.Fatal(err)
	}
}

// answers receives that many answers, by correlation id.
func (b *batch) answers(count int) map[string]*streams.BatchAppendResp {
	b.t.Helper()
	found := make(map[string]*streams.BatchAppendResp)
	for range count {
		answer, err := b.Recv()
		if err != nil {
			b.t.Fatal(err)
		}
		found[answer.GetCorrelationId().GetString_()] = answer
	}
	return found
}

// end closes the client's side. The node closes its own, unless it is of a line that leaves it open.
func (s *suite) end(b *batch) {
	b.t.Helper()
	if err := b.CloseSend(); err != nil {
		b.t.Fatal(err)
	}
	if s.line != node.OwnLine {
		return
	}
	if answer, err := b.Recv(); !errors.Is(err, io.EOF) {
		b.t.Errorf("after the last answer: %v, %v", answer, err)
	}
}

func write(id uuid.UUID, stream string, expect func(*streams.BatchAppendReq_Options), final bool, events ...esdb.EventData) *streams.BatchAppendReq {
	request := chunk(id, final, events...)
	request.Options = &streams.BatchAppendReq_Options{
		StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(stream)},
		DeadlineOption:   &streams.BatchAppendReq_Options_Deadline_21_10_0{Deadline_21_10_0: timestamppb.New(time.Now().Add(waitTimeout))},
	}
	expect(request.Options)
	return request
}

func chunk(id uuid.UUID, final bool, events ...esdb.EventData) *streams.BatchAppendReq {
	request := &streams.BatchAppendReq{
		CorrelationId: &shared.UUID{Value: &shared.UUID_String_{String_: id.String()}}, IsFinal: final,
	}
	for _, e := range events {
		request.ProposedMessages = append(request.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id:       &shared.UUID{Value: &shared.UUID_String_{String_: e.EventID.String()}},
			Metadata: map[string]string{"type": e.EventType, "content-type": "application/json"},
			Data:     e.Data, CustomMetadata: e.Metadata,
		})
	}
	return request
}

func noStream(o *streams.BatchAppendReq_Options) {
	o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: &emptypb.Empty{}}
}

func anyRevision(o *streams.BatchAppendReq_Options) {
	o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: &emptypb.Empty{}}
}

func atRevision(revision uint64) func(*streams.BatchAppendReq_Options) {
	return func(o *streams.BatchAppendReq_Options) {
		o.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: revision}
	}
}

func wantDetail(t *testing.T, answer *streams.BatchAppendResp, want string) {
	t.Helper()
	details := answer.GetError().GetDetails()
	if len(details) != 1 || string(details[0].MessageName()) != want {
		t.Errorf("answered %v, want one detail %s", answer, want)
	}
}
