package eventstoredb_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine"
)

var (
	succeededType = domain.LoginSucceeded{}.EventType()
	failedType    = domain.LoginFailed{}.EventType()
)

func newSource(client *eventstoredb.Client, tailEvents int) *eventstoredb.Source {
	source := eventstoredb.NewSource(client, domain.NewRegistry(), slog.New(slog.DiscardHandler))
	eventstoredb.SetTailEvents(source, tailEvents)
	return source
}

// readModel is a read model in memory: what it has taken, and the checkpoint that moved with it.
type readModel struct {
	types  []string
	refuse func(engine.Batch) bool // may be nil; true gives a batch back

	mu    sync.Mutex
	taken []uuid.UUID
	place engine.Place

	recognise func() error // asked before the place is given; may be nil
	mark      *engine.Mark
	batches   int
	caughtUp  int // batches that said so
	broken    error

	subscriber message.Subscriber
	ended      chan struct{} // closed when nothing is delivered any more
}

// follow maintains a read model until its subscriber is closed, at the latest when the test ends.
func follow(t *testing.T, source *eventstoredb.Source, m *readModel) *readModel {
	t.Helper()
	m.subscriber = source.Subscriber("test", m.types, func(context.Context) (engine.Place, error) {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.recognise != nil {
			if err := m.recognise(); err != nil {
				return engine.Place{}, err
			}
		}
		return m.place, nil
	})
	messages, err := m.subscriber.Subscribe(context.WithoutCancel(t.Context()), "test")
	if err != nil {
		t.Fatal(err)
	}
	m.ended = make(chan struct{})
	go func() {
		defer close(m.ended)
		for msg := range messages {
			batch, _ := engine.BatchOf(msg)
			if m.refuse != nil && m.refuse(batch) {
				msg.Nack()
				continue
			}
			m.take(batch)
			msg.Ack()
		}
	}()
	t.Cleanup(func() { m.close(t) })
	return m
}

func (m *readModel) close(t *testing.T) {
	if err := m.subscriber.Close(); err != nil {
		t.Error(err)
	}
	<-m.ended
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		t.Error(m.broken)
	}
}

func (m *readModel) take(batch engine.Batch) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if batch.Position < m.place.Position {
		m.broken = errors.New("the place went back")
	}
	before := m.place.Position
	for _, recorded := range batch.Events {
		if recorded.Position <= before || recorded.Position > batch.Position || !slices.Contains(m.types, recorded.Event.EventType()) {
			m.broken = errors.New("an event twice, out of order, beyond the batch's position or not asked for")
		}
		before = recorded.Position
		m.taken = append(m.taken, recorded.ID)
	}
	m.place = engine.Place{Position: batch.Position, Started: true}
	if mark := engine.MarkOf(batch.Events); mark != nil {
		m.mark = mark
	}
	m.batches++
	if batch.CaughtUp {
		m.caughtUp++
	}
}

func (m *readModel) state() (taken int, position uint64, batches, caughtUp int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.taken), m.place.Position, m.batches, m.caughtUp
}

// mustHold waits until the read model holds as many events as the log has of its types, and compares them.
func (m *readModel) mustHold(t *testing.T, client *eventstoredb.Client) {
	t.Helper()
	var want []uuid.UUID
	reader := eventstoredb.NewReader(client, domain.NewRegistry())
	err := client.Follow(deadline(t), 0, false, func(raw *esdb.RecordedEvent) error {
		if reader.Owns(raw) && slices.Contains(m.types, raw.EventType) {
			want = append(want, raw.EventID)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		taken, position, batches, caughtUp := m.state()
		if t.Failed() {
			t.Logf("%v: %d events of %d in %d batches, of which %d had caught up; now at %d", m.types, taken, len(want), batches, caughtUp, position)
		}
	}()
	awaittest.Until(t, "the read model to take everything", func() bool {
		taken, _, _, _ := m.state()
		return taken >= len(want)
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	if !slices.Equal(m.taken, want) {
		t.Errorf("%v: %d events, want %d, or not in the order of the log", m.types, len(m.taken), len(want))
	}
}

func haveJoined(t *testing.T, source *eventstoredb.Source, readers int) {
	t.Helper()
	awaittest.Until(t, "all to read the live tail", func() bool { return eventstoredb.TailReaders(source) == readers })
}

func logins(n int) []commands.Proposed {
	events := make([]commands.Proposed, n)
	for i := range events {
		events[i] = login(uuid.New())
	}
	return events
}

// deadline ends what a failing test waits for.
func deadline(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// However fast the log grows, whenever one begins, refuses a batch or falls out of a short tail: each gets exactly its
// events, once and in order, and in the end all share one subscription, which ends with the last of them.
func TestSubscribersOfOneSourceShareTheTail(t *testing.T) {
	t.Parallel()
	for name, tailEvents := range map[string]int{"long tail": 4096, "short tail": 40} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := connect(t, address(t))
			store := eventstoredb.NewStore(client, domain.NewRegistry())
			appendAll(t, store, domain.LoginsStream(uuid.New()), logins(300)...)
			source := newSource(client, tailEvents)

			refusals := 0
			models := []*readModel{
				follow(t, source, &readModel{types: []string{succeededType}}),
				follow(t, source, &readModel{types: []string{failedType, succeededType}, refuse: func(batch engine.Batch) bool {
					refusals++
					return len(batch.Events) > 0 && refusals%3 == 1
				}}),
			}
			var writers sync.WaitGroup
			for range 3 {
				writers.Go(func() {
					customer := uuid.New()
					for revision := commands.NoStream; revision < 600; {
						events := []commands.Proposed{login(customer), failed(customer), login(customer)}
						appended, err := store.Append(t.Context(), domain.LoginsStream(customer), revision, events)
						if err != nil {
							t.Error(err)
							return
						}
						revision = int64(appended.Revision)
					}
				})
			}
			models = append(models, follow(t, source, &readModel{types: []string{failedType}}))
			writers.Wait()
			for _, m := range models {
				m.mustHold(t, client)
			}
			haveJoined(t, source, len(models))
			appendAll(t, store, domain.LoginsStream(uuid.New()), login(uuid.New()), failed(uuid.New()))
			for _, m := range models {
				m.mustHold(t, client)
			}

			_, ended := eventstoredb.Tail(source)
			for i, m := range models {
				select {
				case <-ended:
					t.Fatalf("the tail has ended with %d users left", len(models)-i)
				default:
				}
				m.close(t)
			}
			select {
			case <-ended:
			default:
				t.Error("the tail outlives its last user")
			}
		})
	}
}

// Who is slower than the tail is long goes back to a subscription of its own, loses nothing, and joins again.
func TestStalledSubscriberCatchesUpByItself(t *testing.T) {
	t.Parallel()
	ctx := deadline(t)
	client := connect(t, address(t))
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	source := newSource(client, 20)
	stalled, goOn := make(chan uint64, 1), make(chan struct{})
	refused := false
	slow := follow(t, source, &readModel{types: []string{succeededType}, refuse: func(batch engine.Batch) bool {
		if len(batch.Events) == 0 || refused {
			return false
		}
		refused = true
		stalled <- batch.Position
		select {
		case <-goOn:
		case <-ctx.Done():
		}
		return true
	}})
	fast := follow(t, source, &readModel{types: []string{succeededType}})
	haveJoined(t, source, 2)

	stream := domain.LoginsStream(uuid.New())
	appendAll(t, store, stream, logins(1)...)
	var held uint64
	select {
	case held = <-stalled:
	case <-ctx.Done():
		t.Fatal("the slow one got nothing")
	}
	appendAll(t, store, stream, logins(100)...)
	fast.mustHold(t, client)
	low, _ := eventstoredb.Tail(source)
	if low <= held {
		t.Fatalf("the tail holds everything behind %d, so who stands at %d has not fallen out of it", low, held)
	}
	close(goOn)
	slow.mustHold(t, client)
	haveJoined(t, source, 2)
	appendAll(t, store, stream, logins(3)...)
	slow.mustHold(t, client)
}

// When the store was away all go on where they were, once and in order; that it was away is logged once.
func TestSubscribersGoOnAfterARestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	first := startNode(t, dir, "")
	client := connect(t, first.ConnectionString())
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	log := &warnings{}
	source := eventstoredb.NewSource(client, domain.NewRegistry(), slog.New(log))
	live := []*readModel{
		follow(t, source, &readModel{types: []string{succeededType}}),
		follow(t, source, &readModel{types: []string{failedType, succeededType}}),
	}
	stream := domain.LoginsStream(uuid.New())
	appendAll(t, store, stream, login(uuid.New()), failed(uuid.New()))
	haveJoined(t, source, len(live))
	addr := first.Addr()
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	models := append(slices.Clip(live), follow(t, source, &readModel{types: []string{failedType}})) // it waits for the store like the others
	awaittest.Until(t, "the loss to be logged", func() bool { return log.count() > 0 })

	nodetest.Start(t, node.Config{Addr: addr, Dir: dir})
	awaittest.Until(t, "the client to find the node again", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return client.Ping(ctx) == nil
	})
	appendAll(t, store, stream, failed(uuid.New()), login(uuid.New()))
	haveJoined(t, source, len(models))
	appendAll(t, store, stream, login(uuid.New()), failed(uuid.New()))
	for _, m := range models {
		m.mustHold(t, client)
	}
	if n := log.count(); n != 1 {
		t.Errorf("one lost connection is logged %d times: %v", n, log.lines)
	}
}

// warnings is a log that keeps the lines an operator should see.
type warnings struct {
	slog.Handler

	mu    sync.Mutex
	lines []string
}

func (w *warnings) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelWarn }

func (w *warnings) Handle(_ context.Context, record slog.Record) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	line := record.Message
	record.Attrs(func(a slog.Attr) bool {
		line += " " + a.String()
		return true
	})
	w.lines = append(w.lines, line)
	return nil
}

func (w *warnings) count() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.lines)
}

// Events of other types, ours or not, cost a read model nothing but a new place now and then.
func TestSubscriberOfRareEventsIsLeftInPeace(t *testing.T) {
	t.Parallel()
	uri := address(t)
	client := connect(t, uri)
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	source := newSource(client, 4096)
	rare := follow(t, source, &readModel{types: []string{failedType}})
	busy := follow(t, source, &readModel{types: []string{succeededType}})
	haveJoined(t, source, 2)
	_, begun, before, _ := rare.state()

	const others = 3000
	started := time.Now()
	stream := domain.LoginsStream(uuid.New())
	for range others / 200 {
		appendAll(t, store, stream, logins(100)...)
		appendForeign(t, uri, 100)
	}
	busy.mustHold(t, client)
	if _, position, _, _ := rare.state(); position == begun {
		t.Errorf("%d events of others have not moved the place", others)
	}
	appendAll(t, store, stream, failed(uuid.New()))
	rare.mustHold(t, client)
	const perOther = 3 // with the links that a store may write for each
	most := perOther*others/1000 + 1 + int(time.Since(started)/time.Second)
	if _, _, batches, _ := rare.state(); batches-before > most {
		t.Errorf("%d batches for one event and %d others, want at most %d", batches-before, others, most)
	}
}

// A place reaches the end of a log on which nothing happens, also when that end is an event of somebody else.
func TestPlaceReachesTheEndOfAnIdleLog(t *testing.T) {
	t.Parallel()
	uri := address(t)
	client := connect(t, uri)
	source := newSource(client, 4096)
	m := follow(t, source, &readModel{types: []string{succeededType}})
	haveJoined(t, source, 1)
	for _, last := range []func() uint64{
		func() uint64 { return appendForeign(t, uri, 3) },
		func() uint64 { return appendSystem(t, uri) },
	} {
		end := last()
		awaittest.Until(t, "the place to be at the end", func() bool {
			_, position, _, _ := m.state()
			return position >= end
		})
		m.mustHold(t, client)
	}
}

// An event that this program cannot read reaches those who follow its type, whether they catch up or are live, and nobody
// else.
func TestSubscribersLearnOfWhatCannotBeRead(t *testing.T) {
	t.Parallel()
	uri := address(t)
	client := connect(t, uri)
	source := newSource(client, 4096)
	unreadable := make(chan error, 10)
	newer := func() {
		appendRaw(t, uri, domain.LoginsStream(uuid.New()), esdb.EventData{
			EventType: succeededType, ContentType: esdb.ContentTypeJson, Data: []byte(`{}`), Metadata: []byte(`{"schemaVersion": 99}`),
		})
	}
	newer()
	concerned := follow(t, source, &readModel{types: []string{succeededType}, refuse: func(batch engine.Batch) bool {
		for _, recorded := range batch.Events {
			err, _ := recorded.Event.(engine.Undecodable)
			unreadable <- err
		}
		return false
	}})
	other := follow(t, source, &readModel{types: []string{failedType}})
	haveJoined(t, source, 2)
	newer()
	concerned.mustHold(t, client)
	other.mustHold(t, client)
	for range 2 {
		if err := <-unreadable; !errors.Is(err, domain.ErrUnknownEvent) {
			t.Errorf("got %v", err)
		}
	}
}

// Events of a type of ours in a stream that is not ours are passed over, whatever they hold, and counted.
func TestSubscribersPassOverWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	uri := address(t)
	client := connect(t, uri)
	source := newSource(client, 4096)
	m := follow(t, source, &readModel{types: []string{succeededType}})
	haveJoined(t, source, 1)
	before := source.ForeignEvents()
	if before == 0 {
		t.Error("foreign events that were there already are not counted")
	}
	appendForeign(t, uri, 10)
	appendAll(t, eventstoredb.NewStore(client, domain.NewRegistry()), domain.LoginsStream(uuid.New()), login(uuid.New()))
	m.mustHold(t, client)
	if n := source.ForeignEvents() - before; n != 10 {
		t.Errorf("%d foreign events counted, want 10", n)
	}
}
