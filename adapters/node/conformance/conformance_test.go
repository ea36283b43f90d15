package conformance_test

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

// waitTimeout bounds every wait; nothing in the suite is expected to come near it.
const waitTimeout = time.Minute

// section is a part of the protocol: the tests of one area by name.
type section map[string]func(*testing.T, *suite)

func TestConformance(t *testing.T) {
	t.Parallel()
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		newSuite(t, startEmbedded(t, t.TempDir()).address, nodetest.Line(t), true).run(t)
	})
	for _, address := range servers() {
		t.Run(configure(t, address).Address, func(t *testing.T) {
			t.Parallel()
			newSuite(t, address, lineOf(t, address), false).run(t)
		})
	}
}

// servers returns the connection strings of the real servers that are to be tested too.
func servers() []string {
	return strings.FieldsFunc(os.Getenv(serversVariable), func(r rune) bool { return r == ',' })
}

// serversVariable has connection strings of real servers, separated by commas.
const serversVariable = "LIVENESS_CONFORMANCE_ADDRESSES"

// lineOf asks a real server for the line it is of. One of no line that the node can be like keeps every promise.
func lineOf(t *testing.T, address string) node.Line {
	t.Helper()
	version, err := newClient(t, address).GetServerVersion()
	if err != nil {
		t.Fatal(err)
	}
	switch version.Major {
	case 23:
		return node.Line23
	case 24:
		return node.Line24
	}
	return node.OwnLine
}

// run runs every section on the node.
func (s *suite) run(t *testing.T) {
	for name, tests := range map[string]section{
		"connection": connectionSection, "append": appendSection, "batch append": batchSection, "read": readSection,
		"read all": readAllSection, "subscribe": subscribeSection, "filter": filterSection, "delete": deleteSection,
		"metadata": metadataSection, "persistent": persistentSection, "persistent all": persistentAllSection,
		"persistent admin": persistentAdminSection, "error": errorSection,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for name, test := range tests {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					test(t, s)
				})
			}
		})
	}
}

// suite is the node under test with a client of it. Streams have names of their own, so that everything runs at once.
type suite struct {
	client   *esdb.Client
	wire     *grpc.ClientConn // for what the client has no call for
	line     node.Line        // which the node is of, or like
	embedded bool             // not a server of somebody else
}

func newSuite(t *testing.T, address string, line node.Line, embedded bool) *suite {
	t.Helper()
	return &suite{client: newClient(t, address), wire: dial(t, address), line: line, embedded: embedded}
}

// ours skips what the node promises by itself and servers of the lines do not.
func (s *suite) ours(t *testing.T, reason string) {
	t.Helper()
	if s.line != node.OwnLine {
		t.Skipf("ours alone: on %s %s", s.line, reason)
	}
}

func configure(t *testing.T, address string) *esdb.Configuration {
	t.Helper()
	configuration, err := esdb.ParseConnectionString(address)
	if err != nil {
		t.Fatalf("connection string %q: %v", address, err)
	}
	configuration.Logger = esdb.NoopLogging()
	return configuration
}

func newClient(t *testing.T, address string) *esdb.Client {
	t.Helper()
	client, err := esdb.NewClient(configure(t, address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := client.Close(); err != nil {
			t.Error(err)
		}
	})
	return client
}

func dial(t *testing.T, address string) *grpc.ClientConn {
	t.Helper()
	configuration := configure(t, address)
	transport := insecure.NewCredentials()
	if !configuration.DisableTLS {
		transport = credentials.NewClientTLSFromCert(configuration.RootCAs, "")
	}
	connection, err := grpc.NewClient(configuration.Address, grpc.WithTransportCredentials(transport))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := connection.Close(); err != nil {
			t.Error(err)
		}
	})
	return connection
}

// deadline returns a context that ends with the test, and long before it.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	t.Cleanup(cancel)
	return ctx
}

// newStream returns a name nobody else uses.
func newStream() string { return "conformance-" + uuid.NewString() }

func newEvent() esdb.EventData {
	return esdb.EventData{
		EventID: uuid.New(), EventType: "Tested", ContentType: esdb.ContentTypeJson,
		Data: []byte(`{"answer":42}`), Metadata: []byte(`{"$correlationId":"7"}`),
	}
}

func newEvents(count int) []esdb.EventData {
	events := make([]esdb.EventData, count)
	for i := range events {
		events[i] = newEvent()
	}
	return events
}

func typed(kind string) esdb.EventData {
	e := newEvent()
	e.EventType = kind
	return e
}

func (s *suite) try(t *testing.T, stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) (*esdb.WriteResult, error) {
	t.Helper()
	return s.client.AppendToStream(deadline(t), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, events...)
}

func (s *suite) append(t *testing.T, stream string, expected esdb.ExpectedRevision, events ...esdb.EventData) *esdb.WriteResult {
	t.Helper()
	result, err := s.try(t, stream, expected, events...)
	if err != nil {
		t.Fatalf("append to %s: %v", stream, err)
	}
	return result
}

// filled returns a new stream with some events.
func (s *suite) filled(t *testing.T, count int) (string, []esdb.EventData) {
	t.Helper()
	stream, events := newStream(), newEvents(count)
	s.append(t, stream, esdb.NoStream{}, events...)
	return stream, events
}

func collect(stream *esdb.ReadStream, err error) ([]*esdb.ResolvedEvent, error) {
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	var events []*esdb.ResolvedEvent
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
}

func (s *suite) tryRead(t *testing.T, stream string, options esdb.ReadStreamOptions, count uint64) ([]*esdb.ResolvedEvent, error) {
	t.Helper()
	return collect(s.client.ReadStream(deadline(t), stream, options, count))
}

func (s *suite) read(t *testing.T, stream string, options esdb.ReadStreamOptions, count uint64) []*esdb.ResolvedEvent {
	t.Helper()
	events, err := s.tryRead(t, stream, options, count)
	if err != nil {
		t.Fatalf("read %s: %v", stream, err)
	}
	return events
}

func (s *suite) readAll(t *testing.T, options esdb.ReadAllOptions, count uint64) []*esdb.ResolvedEvent {
	t.Helper()
	events, err := collect(s.client.ReadAll(deadline(t), options, count))
	if err != nil {
		t.Fatalf("read $all: %v", err)
	}
	return events
}

const everything = ^uint64(0)

func revisions(events []*esdb.ResolvedEvent) []uint64 {
	found := make([]uint64, 0, len(events))
	for _, e := range events {
		found = append(found, e.OriginalEvent().EventNumber)
	}
	return found
}

func span(from, to uint64) []uint64 {
	all := make([]uint64, 0, 1)
	for ; from < to; from++ {
		all = append(all, from)
	}
	return all
}

func position(e *esdb.ResolvedEvent) esdb.Position { return e.OriginalEvent().Position }

func written(r *esdb.WriteResult) esdb.Position {
	return esdb.Position{Commit: r.CommitPosition, Prepare: r.PreparePosition}
}

// wantCode fails unless the error is what the client makes of the case.
func wantCode(t *testing.T, err error, want esdb.ErrorCode) {
	t.Helper()
	var found *esdb.Error
	if !errors.As(err, &found) || found.Code() != want {
		t.Errorf("error %v, want code %d", err, want)
	}
}
