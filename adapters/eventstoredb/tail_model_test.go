package eventstoredb

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/pas-ta/liveness/domain"
)

var (
	succeededType = domain.LoginSucceeded{}.EventType()
	failedType    = domain.LoginFailed{}.EventType()
)

// tailAt returns a tail that has begun behind a position.
func tailAt(position uint64, most int) *liveTail {
	tail := newTail(nil, most)
	tail.connect(position)
	return tail
}

// Whatever comes in, whosever it is, however often the connection is lost and however far apart readers are: who is within
// reach gets exactly the events of its types behind its place, once and in order, and who is not gets an error.
func TestTailGivesExactlyWhatIsBehindAPlace(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.IntRange(1, 8).Draw(t, "most")
		head := rapid.Uint64Range(0, 50).Draw(t, "head")
		tail := tailAt(head, most)
		readers := []*tailReader{tail.join(map[string]bool{succeededType: true}), tail.join(map[string]bool{failedType: true, succeededType: true})}
		places := []uint64{head, head + rapid.Uint64Range(0, 5).Draw(t, "ahead")} // who has caught up alone may be ahead
		var log []domain.Recorded                                                 // what is ours
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
			"foreign event": func(t *rapid.T) {
				high += rapid.Uint64Range(1, 3).Draw(t, "gap")
				tail.pass(high)
			},
			"reconnection": func(t *rapid.T) {
				tail.disconnect()
				tail.connect(high)
				if len(log) > 0 && rapid.Bool().Draw(t, "repeats") {
					tail.add(log[len(log)-1])
				}
			},
			"read": func(t *rapid.T) {
				n := rapid.IntRange(0, 1).Draw(t, "reader")
				reader, place, due := readers[n], places[n], rapid.Bool().Draw(t, "due")
				batch, worth, err := reader.read(place, due)
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
				if len(want) != len(batch.Events) || worth != (len(want) > 0 || due && high > place) {
					t.Fatalf("behind %d: got %v (worth delivering: %v, due: %v), want %v", place, batch.Events, worth, due, want)
				}
				for i, recorded := range batch.Events {
					if recorded.Position != want[i] {
						t.Fatalf("behind %d: got %d, want %d", place, recorded.Position, want[i])
					}
				}
				if batch.Position != max(place, high) {
					t.Fatalf("covers up to %d, want %d", batch.Position, max(place, high))
				}
				if worth {
					places[n] = batch.Position
				}
			},
		})
	})
}

// A batch is bounded, and what did not fit comes next.
func TestTailBoundsABatch(t *testing.T) {
	t.Parallel()
	tail := tailAt(0, tailEvents)
	reader := tail.join(map[string]bool{failedType: true})
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

// A reader is woken for its own events; for others by the first, so that its place is noted in a while, and when many have
// gone by; not for each.
func TestTailWakesForOwnEventsOnly(t *testing.T) {
	t.Parallel()
	tail := tailAt(0, tailEvents)
	reader := tail.join(map[string]bool{failedType: true})
	position := uint64(0)
	woken := func() bool {
		select {
		case <-reader.news:
			return true
		default:
			return false
		}
	}
	pass := func() {
		if position++; position%2 == 0 {
			tail.pass(position)
		} else {
			tail.add(domain.Recorded{Position: position, Event: domain.LoginSucceeded{}})
		}
	}
	for range 2 {
		place := position
		for n := range foreignEvents - 1 {
			if pass(); woken() != (n == 0) {
				t.Fatalf("woken by foreign event %d, or not by the first", n)
			}
			if _, worth, _ := reader.read(place, false); worth {
				t.Fatalf("%d foreign events are worth a batch", n)
			}
		}
		if batch, worth, _ := reader.read(place, true); !worth || batch.Position != position {
			t.Fatalf("when it is due the place is not noted: %+v", batch)
		}
		reader.noted -= foreignEvents - 1 // nothing was delivered
		if pass(); !woken() {
			t.Fatalf("not woken after %d foreign events", foreignEvents)
		}
		batch, worth, err := reader.read(place, false)
		if !worth || err != nil || len(batch.Events) != 0 || batch.Position != position {
			t.Fatalf("%+v, worth delivering: %v, %v", batch, worth, err)
		}
		if _, worth, _ = reader.read(position, true); worth {
			t.Fatal("nothing new is worth a batch")
		}
	}
	position++
	tail.add(domain.Recorded{Position: position, Event: domain.LoginFailed{}})
	if !woken() {
		t.Fatal("not woken by an event that it wants")
	}
}

// A place that moved by events of others alone is noted in a while, with all that came until then.
func TestTailNotesItsPlaceWhenNothingIsWanted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tail := tailAt(0, tailEvents)
		reader := tail.join(map[string]bool{failedType: true})
		begun := time.Now()
		go func() {
			for position := range uint64(9) {
				tail.pass(position + 1)
				time.Sleep(placeInterval / 10) //nolint:forbidigo // the bubble's time
			}
		}()
		batch, err := reader.next(t.Context(), 0)
		if err != nil || batch.Position != 9 || len(batch.Events) != 0 || time.Since(begun) != placeInterval {
			t.Fatalf("after %v: %+v, %v", time.Since(begun), batch, err)
		}
	})
}

// While somebody waits, a place is noted as soon as it moves, also by an event that comes later, and not for longer.
func TestTailHurriesWhileSomebodyWaits(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tail := tailAt(0, tailEvents)
		reader := tail.join(map[string]bool{failedType: true})
		position := uint64(0)
		within := func(want time.Duration, happen func()) {
			t.Helper()
			begun := time.Now()
			go happen()
			batch, err := reader.next(t.Context(), position)
			if err != nil || len(batch.Events) != 0 || batch.Position <= position || time.Since(begun) != want {
				t.Fatalf("after %v: %+v, %v; want the place after %v", time.Since(begun), batch, err, want)
			}
			position = batch.Position
		}
		pause := func(d time.Duration) { time.Sleep(d) } //nolint:forbidigo // the bubble's time
		within(placeInterval, func() { tail.pass(1) })
		within(placeInterval/10, func() {
			tail.pass(2)
			pause(placeInterval / 10)
			tail.hurry()
		})
		within(hurryTime/2, func() {
			pause(hurryTime / 2)
			tail.pass(3)
		})
		within(hurryTime/2+placeInterval, func() {
			pause(hurryTime / 2)
			tail.pass(4)
		})
	})
}
