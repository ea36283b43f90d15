package conformance_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	crashClients = 64
	// crashKills is how often the node is killed unless LIVENESS_CRASH_KILLS says otherwise.
	crashKills = 5
)

var crashData = strings.Repeat("x", 500)

// TestCrash kills a node (SIGKILL) while clients append, starts it again and checks the log: no acknowledged event is missing,
// revisions have no gap, positions rise. Each client repeats what was not acknowledged, and nothing is there twice. A
// persistent subscription beside them misses nothing.
func TestCrash(t *testing.T) {
	t.Parallel()
	kills := crashKills
	if text := os.Getenv("LIVENESS_CRASH_KILLS"); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatalf("LIVENESS_CRASH_KILLS: %v", err)
		}
	}
	dir := t.TempDir()
	random := rand.New(rand.NewPCG(1, uint64(kills)))
	log, consumer := newCrashLog(), &crashConsumer{seen: make(map[string]bool)}
	for kill := range kills {
		process := startProcess(t, dir)
		log.verify(t, process.address, false)
		// Sometimes before the first answer, mostly in the middle of many.
		log.appendUntil(t, process, consumer, int64(random.IntN(20*crashClients)))
		if t.Failed() {
			t.Fatalf("after %d kills", kill)
		}
	}
	process := startProcess(t, dir)
	log.verify(t, process.address, true)
	consumer.finish(t, process.address, log)
	process.kill(t)
	t.Logf("%d kills, %d events", kills, log.events())
}

// process is a node in a process of its own.
type process struct {
	address string
	command *exec.Cmd
	stdin   interface{ Close() error }
}

func startProcess(t *testing.T, dir string) *process {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	command := exec.CommandContext(t.Context(), self)
	command.Env = append(os.Environ(), nodeDir+"="+dir)
	command.Stderr = os.Stderr
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("the node did not start: %v, %v", err, command.Wait())
	}
	return &process{address: strings.TrimSpace(line), command: command, stdin: stdin}
}

func (p *process) kill(t *testing.T) {
	t.Helper()
	if err := p.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = p.command.Wait() // always "signal: killed"
	_ = p.stdin.Close()
}

// crashLog is what the clients know of the log.
type crashLog struct {
	writers  []*crashWriter
	verified esdb.Position // of the last event seen
	seen     []uint64      // events seen of each writer
}

// crashWriter appends to a stream of its own, one event after the other.
type crashWriter struct {
	stream    string
	ids       []uuid.UUID     // by revision; the last one may not be acknowledged
	positions []esdb.Position // by revision, of those acknowledged
}

func newCrashLog() *crashLog {
	log := &crashLog{writers: make([]*crashWriter, crashClients), seen: make([]uint64, crashClients)}
	for i := range log.writers {
		log.writers[i] = &crashWriter{stream: fmt.Sprintf("crash-%d", i)}
	}
	return log
}

func (l *crashLog) events() (count uint64) {
	for _, seen := range l.seen {
		count += seen
	}
	return count
}

// appendUntil lets all writers append, and kills the node once it has acknowledged that many events.
func (l *crashLog) appendUntil(t *testing.T, node *process, consumer *crashConsumer, events int64) {
	t.Helper()
	// The generated client, because the official one may wait for ever for a node that is gone.
	connection, err := grpc.NewClient(configure(t, node.address).Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	client := streams.NewStreamsClient(connection)
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	var acknowledged atomic.Int64
	enough := make(chan struct{})
	reached := sync.OnceFunc(func() { close(enough) })
	if events == 0 {
		reached()
	}
	var writers sync.WaitGroup
	writers.Go(func() { consumer.consume(ctx, t, connection, func() bool { return false }) })
	for _, writer := range l.writers {
		writers.Go(func() {
			for writer.append(ctx, t, client) {
				if acknowledged.Add(1) >= events {
					reached()
				}
			}
		})
	}
	select {
	case <-enough:
	case <-ctx.Done():
		t.Errorf("%d of %d events acknowledged in time", acknowledged.Load(), events)
	}
	node.kill(t)
	cancel()
	writers.Wait()
}

// append appends the next event, or once more the one that was not acknowledged; false when the node is gone.
func (w *crashWriter) append(ctx context.Context, t *testing.T, client streams.StreamsClient) bool {
	revision := len(w.positions)
	if len(w.ids) == revision {
		w.ids = append(w.ids, uuid.New())
	}
	options := &streams.AppendReq_Options{
		StreamIdentifier: identifier(w.stream), ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: &shared.Empty{}},
	}
	if revision > 0 {
		options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: uint64(revision - 1)}
	}
	call, err := client.Append(ctx)
	if err != nil {
		return false
	}
	// What Send says only matters if the answer does not.
	_ = call.Send(&streams.AppendReq{Content: &streams.AppendReq_Options_{Options: options}})
	event := proposal(esdb.ContentTypeBinary, crashData)
	event.GetProposedMessage().Id = &shared.UUID{Value: &shared.UUID_String_{String_: w.ids[revision].String()}}
	_ = call.Send(event)
	answer, err := call.CloseAndRecv()
	if err != nil {
		return false
	}
	success := answer.GetSuccess()
	if success == nil || success.GetCurrentRevision() != uint64(revision) {
		t.Errorf("%s: event %d was answered with %v", w.stream, revision, answer)
		return false
	}
	at := success.GetPosition()
	w.positions = append(w.positions, esdb.Position{Commit: at.GetCommitPosition(), Prepare: at.GetPreparePosition()})
	return true
}

// verify reads the log, all of it or what is new, and compares it with what the writers know.
func (l *crashLog) verify(t *testing.T, address string, all bool) {
	t.Helper()
	client, err := esdb.NewClient(configure(t, address))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	var from esdb.AllPosition = l.verified
	if all || l.verified.Commit == 0 {
		from, l.verified, l.seen = esdb.Start{}, esdb.Position{}, make([]uint64, crashClients)
	}
	ctx, cancel := context.WithTimeout(t.Context(), waitTimeout)
	defer cancel()
	events, err := collect(client.ReadAll(ctx, esdb.ReadAllOptions{From: from}, everything))
	if err != nil {
		t.Fatalf("read the log: %v", err)
	}
	first := l.verified.Commit
	for _, e := range events {
		at := position(e)
		if at.Commit == first && first != 0 {
			continue // the read begins with the event at its position
		}
		if at.Commit <= l.verified.Commit {
			t.Fatalf("position %d after %d", at.Commit, l.verified.Commit)
		}
		l.verified = at
		number, ours := strings.CutPrefix(e.Event.StreamID, "crash-")
		if !ours {
			continue
		}
		index, err := strconv.Atoi(number)
		if err != nil {
			t.Fatalf("stream %s: %v", e.Event.StreamID, err)
		}
		writer := l.writers[index]
		if e.Event.EventNumber != l.seen[index] {
			t.Fatalf("%s: event %d after %d events", e.Event.StreamID, e.Event.EventNumber, l.seen[index])
		}
		if l.seen[index] >= uint64(len(writer.ids)) || writer.ids[l.seen[index]] != e.Event.EventID {
			t.Fatalf("%s: event %d is %s, which was not appended there", e.Event.StreamID, e.Event.EventNumber, e.Event.EventID)
		}
		if l.seen[index] < uint64(len(writer.positions)) && writer.positions[l.seen[index]] != at {
			t.Fatalf("%s: event %d at %v, acknowledged at %v", e.Event.StreamID, e.Event.EventNumber, at, writer.positions[l.seen[index]])
		}
		l.seen[index]++
	}
	for i, writer := range l.writers {
		if l.seen[i] < uint64(len(writer.positions)) {
			t.Fatalf("%s: %d events were acknowledged, %d are there", writer.stream, len(writer.positions), l.seen[i])
		}
	}
}
