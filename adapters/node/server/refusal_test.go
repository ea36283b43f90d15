package server_test

import (
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	client := streams.NewStreamsClient(dial(t, n))
	appendAll := func(requests ...*streams.AppendReq) (metadata.MD, error) {
		call, err := client.Append(patient(t))
		if err != nil {
			t.Fatal(err)
		}
		for _, request := range requests {
			if err := call.Send(request); err != nil && !errors.Is(err, io.EOF) {
				t.Fatal(err)
			}
		}
		_, err = call.CloseAndRecv()
		return call.Trailer(), err
	}
	noType := proposed(1)
	delete(noType.GetProposedMessage().Metadata, "type")
	badID := proposed(1)
	badID.GetProposedMessage().Id = &shared.UUID{Value: &shared.UUID_String_{String_: "no id"}}
	noOptions := &streams.AppendReq{}
	noExpectation := appendAny("s")
	noExpectation.GetOptions().ExpectedStreamRevision = nil
	for name, test := range map[string]struct {
		requests  []*streams.AppendReq
		exception string
		mention   string
	}{
		"nothing":          {nil, "", "options"},
		"no options":       {[]*streams.AppendReq{noOptions}, "", "options"},
		"events first":     {[]*streams.AppendReq{proposed(1)}, "", "options"},
		"options twice":    {[]*streams.AppendReq{appendAny("s"), appendAny("s")}, "", "options"},
		"no expectation":   {[]*streams.AppendReq{noExpectation, proposed(1)}, "", "expected revision"},
		"no name":          {[]*streams.AppendReq{appendAny(""), proposed(1)}, "", "stream name"},
		"no type":          {[]*streams.AppendReq{appendAny("s"), noType}, "missing-required-metadata-property", "type"},
		"bad id":           {[]*streams.AppendReq{appendAny("s"), badID}, "", "no id"},
		"one too large":    {[]*streams.AppendReq{appendAny("s"), proposed(1<<20 + 1)}, "maximum-append-size-exceeded", "1048576"},
		"together too big": {[]*streams.AppendReq{appendAny("s"), proposed(600_000), proposed(600_000), proposed(1)}, "maximum-append-size-exceeded", "1048576"},
		"beyond 4 MiB":     {[]*streams.AppendReq{appendAny("s"), proposed(6 << 20)}, "maximum-append-size-exceeded", "1048576"},
	} {
		trailer, err := appendAll(test.requests...)
		if status.Code(err) != codes.InvalidArgument || !strings.Contains(err.Error(), test.mention) {
			t.Errorf("%s: %v, want INVALID_ARGUMENT about %q", name, err, test.mention)
		}
		if got := strings.Join(trailer.Get("exception"), ","); got != test.exception {
			t.Errorf("%s: exception %q, want %q", name, got, test.exception)
		}
	}
	if state, err := n.Store().StreamState(t.Context(), "s"); err != nil || state.Last != -1 {
		t.Errorf("refused appends left the stream at %d, %v", state.Last, err)
	}
	for name, change := range map[string]func(*streams.ReadReq_Options){
		"no source":   func(o *streams.ReadReq_Options) { o.StreamOption = nil },
		"no count":    func(o *streams.ReadReq_Options) { o.CountOption = nil },
		"no ids":      func(o *streams.ReadReq_Options) { o.UuidOption = nil },
		"backwards":   func(o *streams.ReadReq_Options) { o.ReadDirection = streams.ReadReq_Options_Backwards },
		"bad regex":   func(o *streams.ReadReq_Options) { o.FilterOption = regexFilter("(") },
		"empty regex": func(o *streams.ReadReq_Options) { o.FilterOption = regexFilter("") },
		"filtered stream": func(o *streams.ReadReq_Options) {
			o.StreamOption = &streams.ReadReq_Options_Stream{Stream: &streams.ReadReq_Options_StreamOptions{
				StreamIdentifier: named("s"), RevisionOption: &streams.ReadReq_Options_StreamOptions_Start{Start: &shared.Empty{}},
			}}
			o.FilterOption = regexFilter("a")
		},
	} {
		request := subscribeAll()
		change(request.GetOptions())
		if request.GetOptions().GetUuidOption() == nil && nodetest.Line(t) == node.Line23 {
			continue // not answered at all: TestMissingIDFormIsNotAnswered
		}
		call, err := client.Read(patient(t), request)
		if err == nil {
			_, err = call.Recv()
		}
		if status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v, want INVALID_ARGUMENT", name, err)
		}
	}
}

func regexFilter(regex string) *streams.ReadReq_Options_Filter {
	return &streams.ReadReq_Options_Filter{Filter: &streams.ReadReq_Options_FilterOptions{
		Filter: &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: &streams.ReadReq_Options_FilterOptions_Expression{Regex: regex}},
		Window: &streams.ReadReq_Options_FilterOptions_Max{Max: 32}, CheckpointIntervalMultiplier: 1,
	}}
}
