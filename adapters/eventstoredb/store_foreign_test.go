package eventstoredb_test

import (
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// theirs are events as another program, or a newer one of ours, might write them.
func theirs(times int, eventType, data, metadata string) []esdb.EventData {
	events := make([]esdb.EventData, times)
	for i := range events {
		events[i] = esdb.EventData{EventID: uuid.New(), EventType: eventType, Data: []byte(data), Metadata: []byte(metadata)}
	}
	return events
}

// newerProgram is metadata of ours.
const newerProgram = `{"$correlationId": "2f6e0b1c-3a54-4d0e-9a6b-0c9b1d5a7e10", "$causationId": "2f6e0b1c-3a54-4d0e-9a6b-0c9b1d5a7e11", ` +
	`"actor": "system", "schemaVersion": 99, "time": "2026-11-30T12:00:00Z"}`

// tally counts what a stream folds into.
type tally struct{ Events int }

func (s tally) Fold(event domain.Event) tally {
	if event != nil {
		s.Events++
	}
	return s
}

// Commands go on in a stream of ours that another program has appended to. What they may not decide without stops them: what
// one of ours says that this program cannot read, and a place that counts.
func TestForeignEventsInStreamsOfOurs(t *testing.T) {
	t.Parallel()
	uri := nodetest.Start(t, node.Config{}).ConnectionString()
	store := eventstoredb.NewStore(connect(t, uri), domain.NewRegistry())
	x := commands.Executor{Store: store, Now: time.Now}
	month := domain.Month{Year: 2026, Month: 11}
	for name, tt := range map[string]struct {
		stream string
		ours   domain.Event
		theirs []esdb.EventData
		stops  bool
	}{
		"of another program": {domain.SubscriptionStream(uuid.New()), domain.SubscriptionStarted{},
			slices.Concat(theirs(1, "CustomerMoved", `{}`, ``), theirs(1, "CustomerMoved", `not JSON`, `nor this`)), false},
		"more than a page of them": {domain.AccountStream(uuid.New()), domain.AccountRegistered{},
			theirs(commands.PageSize+2, "CustomerMoved", `{}`, `{}`), false},
		"garbage among checkpoints": {domain.TransparencyStream, domain.CheckpointSigned{Size: 1},
			slices.Concat(theirs(1, "CheckpointSigned", `{"size":`, ``), theirs(1, "CheckpointSigned", `""`, `{"schemaVersion":1}`)), false},
		"of a newer program":  {domain.APIKeysStream(uuid.New()), domain.KeyIssued{}, theirs(1, "KeyLent", `{}`, newerProgram), true},
		"ours, unreadable":    {domain.APIKeysStream(uuid.New()), domain.KeyIssued{}, theirs(1, "KeyIssued", `{`, `{}`), true},
		"among counted calls": {domain.UsageStream(uuid.New(), month), domain.CheckCompleted{}, theirs(1, "CustomerMoved", `{}`, ``), true},
		"before any of ours":  {domain.SubscriptionStream(uuid.New()), nil, theirs(3, "CustomerMoved", `{}`, ``), false},
	} {
		t.Run(name, func(t *testing.T) {
			want := 0
			decide := func(tally) ([]domain.Event, error) { return []domain.Event{domain.SubscriptionStarted{}}, nil }
			if tt.ours != nil {
				want++
				decide = func(tally) ([]domain.Event, error) { return []domain.Event{tt.ours}, nil }
				if _, err := commands.Execute(t.Context(), x, commands.NewOrigin(domain.ActorSystem), tt.stream, decide); err != nil {
					t.Fatal(err)
				}
			}
			appendRaw(t, uri, tt.stream, tt.theirs...)
			last, found, err := store.ReadLast(t.Context(), tt.stream)
			if (err != nil) != tt.stops || found != (want > 0 && !tt.stops) || last.Revision != 0 || found && last.Event == nil {
				t.Errorf("the newest of ours is %+v, %t, %v", last, found, err)
			}
			done, err := commands.Execute(t.Context(), x, commands.NewOrigin(domain.ActorSystem), tt.stream, decide)
			if stopped := err != nil; stopped != tt.stops || !stopped && (done.State.Events != want+1 || done.Revision != int64(want+len(tt.theirs))) {
				t.Errorf("the next command: %+v, %v", done, err)
			}
		})
	}
}

// Who proves a month from its streams has to tell a place that another program has taken from one whose event is gone.
func TestReadStreamTellsOfForeignEvents(t *testing.T) {
	t.Parallel()
	uri := nodetest.Start(t, node.Config{}).ConnectionString()
	client, registry := connect(t, uri), domain.NewRegistry()
	x := commands.Executor{Store: eventstoredb.NewStore(client, registry), Now: time.Now}
	stream := domain.SubscriptionStream(uuid.New())
	appendRaw(t, uri, stream, slices.Concat(theirs(1, "CustomerMoved", `not JSON`, `nor this`), theirs(1, "KeyIssued", `{}`, `{"schemaVersion":1}`))...)
	started := func(tally) ([]domain.Event, error) { return []domain.Event{domain.SubscriptionStarted{}}, nil }
	if _, err := commands.Execute(t.Context(), x, commands.NewOrigin(domain.ActorSystem), stream, started); err != nil {
		t.Fatal(err)
	}
	events, err := eventstoredb.NewSource(client, registry, slog.New(slog.DiscardHandler)).ReadStream(t.Context(), stream)
	if err != nil || len(events) != 3 {
		t.Fatalf("%+v, %v", events, err)
	}
	for i, r := range events {
		if ours := i == 2; r.Revision != uint64(i) || r.Stream != stream || (r.Event != nil) != ours || r.Meta.Ours() != ours {
			t.Errorf("at revision %d stands %+v", i, r)
		}
	}
}
