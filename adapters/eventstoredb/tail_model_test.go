package eventstoredb

import (
	"errors"
	"testing"

	"pgregory.net/rapid"

	"github.com/pas-ta/liveness/domain"
)

// Whatever comes in and however far apart readers are: who is within reach gets exactly the events of its types behind its
// place, once and in order, and who is not is told so.
func TestTailGivesExactlyWhatIsBehindAPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 8).Draw(t, "most")
		head := rapid.Uint64Range(0, 50).Draw(t, "head")
		tail := &liveTail{begun: make(chan struct{}), ended: make(chan struct{}), ring: ring{most: most}, readers: map[*tailReader]struct{}{}}
		tail.begin(head)
		succeeded, failed := domain.LoginSucceeded{}.EventType(), domain.LoginFailed{}.EventType()
		readers := []*tailReader{tail.join(map[string]bool{succeeded: true}), tail.join(map[string]bool{failed: true, succeeded: true})}
		places := []uint64{head, head + rapid.Uint64Range(0, 5).Draw(t, "ahead")} // who has caught up alone may be ahead
		var log []domain.Recorded
		high := head
		t.Repeat(map[string]func(*rapid.T){
			"event": func(t *rapid.T) {
				high += rapid.Uint64Range(1, 3).Draw(t, "gap")
				recorded := domain.Recorded{Position: high, Event: domain.LoginSucceeded{}}
				if rapid.Bool().Draw(t, "failed") {
					recorded.Event = domain.LoginFailed{}
				}
				log = append(log, recorded)
				tail.add(recorded)
			},
			"checkpoint": func(t *rapid.T) {
				position := high + rapid.Uint64Range(0, 3).Draw(t, "gap") // it may tell nothing new
				high = position
				tail.cover(position)
			},
			"read": func(t *rapid.T) {
				n := rapid.IntRange(0, 1).Draw(t, "reader")
				reader, place := readers[n], places[n]
				batch, worth, err := reader.read(place)
				lost := len(log) > most && place < log[len(log)-most-1].Position
				if lost != errors.Is(err, errBehindTail) {
					t.Fatalf("place %d, %d events of %d: %v", place, len(log), most, err)
				}
				if lost {
					places[n] = high
					return
				}
				var want []uint64
				for _, recorded := range log {
					if recorded.Position > place && reader.wanted[recorded.Event.EventType()] {
						want = append(want, recorded.Position)
					}
				}
				if len(want) != len(batch.Events) || len(want) > 0 && !worth {
					t.Fatalf("behind %d: got %v (worth delivering: %v), want %v", place, batch.Events, worth, want)
				}
				for i, recorded := range batch.Events {
					if recorded.Position != want[i] {
						t.Fatalf("behind %d: got %d, want %d", place, recorded.Position, want[i])
					}
				}
				if batch.Position != high {
					t.Fatalf("covers up to %d, want %d", batch.Position, high)
				}
				if worth {
					places[n] = max(place, batch.Position)
				}
			},
		})
	})
}

// A batch is bounded, and what did not fit comes next.
func TestTailBoundsABatch(t *testing.T) {
	t.Parallel()
	tail := &liveTail{begun: make(chan struct{}), ended: make(chan struct{}), ring: ring{most: tailEvents}, readers: map[*tailReader]struct{}{}}
	tail.begin(0)
	reader := tail.join(map[string]bool{domain.LoginFailed{}.EventType(): true})
	for position := range uint64(maxBatchEvents + 5) {
		tail.add(domain.Recorded{Position: position + 1, Event: domain.LoginFailed{}})
	}
	first, err := reader.next(t.Context(), 0)
	if err != nil || len(first.Events) != maxBatchEvents || first.Position != maxBatchEvents {
		t.Fatalf("%d events up to %d, %v", len(first.Events), first.Position, err)
	}
	second, err := reader.next(t.Context(), first.Position)
	if err != nil || len(second.Events) != 5 || second.Events[0].Position != maxBatchEvents+1 || second.Position != maxBatchEvents+5 {
		t.Fatalf("then %d events up to %d, %v", len(second.Events), second.Position, err)
	}
}

// A reader is woken for its own events, and for others only when many have gone by; not for each.
func TestTailWakesForOwnEventsOnly(t *testing.T) {
	t.Parallel()
	tail := &liveTail{begun: make(chan struct{}), ended: make(chan struct{}), ring: ring{most: tailEvents}, readers: map[*tailReader]struct{}{}}
	tail.begin(0)
	reader := tail.join(map[string]bool{domain.LoginFailed{}.EventType(): true})
	position := uint64(0)
	add := func(event domain.Event) (woken bool) {
		position++
		tail.add(domain.Recorded{Position: position, Event: event})
		select {
		case <-reader.news:
			return true
		default:
			return false
		}
	}
	for range 2 {
		for n := range foreignEvents - 1 {
			if add(domain.LoginSucceeded{}) {
				t.Fatalf("woken by foreign event %d", n)
			}
			if _, worth, _ := reader.read(position - uint64(n) - 1); worth {
				t.Fatalf("%d foreign events are worth a batch", n)
			}
		}
		if !add(domain.LoginSucceeded{}) {
			t.Fatalf("not woken after %d foreign events", foreignEvents)
		}
		batch, worth, err := reader.read(position - foreignEvents)
		if !worth || err != nil || len(batch.Events) != 0 || batch.Position != position {
			t.Fatalf("%+v, worth delivering: %v, %v", batch, worth, err)
		}
		if _, worth, _ = reader.read(position); worth {
			t.Fatal("nothing new is worth a batch")
		}
	}
	if !add(domain.LoginFailed{}) {
		t.Fatal("not woken by an event that it wants")
	}
	tail.cover(position + 1)
	if _, worth, _ := reader.read(position); !worth {
		t.Fatal("a checkpoint is not passed on")
	}
}
