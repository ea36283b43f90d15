package inference

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/jpeg"
	"image/png"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// watched is a queue as tests use it: nobody waits, they look.
type watched struct {
	*queue
	t *testing.T
}

func newWatched(t *testing.T, workers, places int) watched {
	return watched{newQueue(workers, places, nil), t}
}

func (l watched) join(holder string, size float64) *turn {
	l.t.Helper()
	t, err := l.admit(Share{Holder: holder}, size)
	if err != nil {
		l.t.Fatalf("%s is refused: %v", holder, err)
	}
	return t
}

// told returns what a turn was told so far, errNothing when it waits.
func told(t *turn) error {
	select {
	case err := <-t.told:
		return err
	default:
		return errNothing
	}
}

var errNothing = errors.New("nothing yet")

// serve lets n checks be judged, one after the other, each as long as cost says, and returns whose they were.
func (l watched) serve(n int, cost func(holder string) time.Duration) (order []string) {
	for range n {
		t := l.running[0]
		name := ""
		for holder, h := range l.holders {
			if h == t.holder {
				name = holder
			}
		}
		order = append(order, name)
		l.leave(t, cost(name), true)
	}
	return order
}

func count(order []string, name string) (n int) {
	for _, other := range order {
		if other == name {
			n++
		}
	}
	return n
}

func alike(string) time.Duration { return 10 * time.Millisecond }

func TestOneThatWaitsAmongManyOfAnotherIsNext(t *testing.T) {
	t.Parallel()
	l := newWatched(t, 1, 100)
	for range 50 {
		l.join("many", 1)
	}
	l.join("one", 1)
	if order := l.serve(3, alike); order[1] != "one" {
		t.Errorf("the order is %v", order)
	}
}

func TestProcessorTimeIsDividedByWeight(t *testing.T) {
	t.Parallel()
	l := newWatched(t, 1, 1000)
	for range 300 {
		l.join("light", 1)
		if _, err := l.admit(Share{Holder: "heavy", Weight: 3}, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(l.serve(200, alike), "heavy"); n < 148 || n > 152 {
		t.Errorf("three times the weight got %d of 200", n)
	}
}

// What counts is the time, not the number of images: whoever sends expensive ones gets fewer of them judged.
func TestExpensiveImagesCostTheirHolder(t *testing.T) {
	t.Parallel()
	l := newWatched(t, 1, 1000)
	for range 300 {
		l.join("cheap", 1)
		l.join("expensive", 1) // as its header has it
	}
	order := l.serve(220, func(holder string) time.Duration {
		return map[string]time.Duration{"cheap": 10 * time.Millisecond, "expensive": 100 * time.Millisecond}[holder]
	})
	if n := count(order, "expensive"); n < 18 || n > 22 {
		t.Errorf("%d of 220 were expensive, want a tenth of the others", n)
	}
}

// Who was away has saved nothing up: it is next once, not for as long as it was away.
func TestTimeIsNotSavedUp(t *testing.T) {
	t.Parallel()
	l := newWatched(t, 1, 1000)
	for range 200 {
		l.join("busy", 1)
	}
	l.serve(100, alike)
	for range 100 {
		l.join("late", 1)
	}
	if n := count(l.serve(20, alike), "late"); n < 9 || n > 11 {
		t.Errorf("who came late got %d of 20", n)
	}
}

// What an image is expected to take keeps nobody waiting once it has not taken it, whatever its header says.
func TestAnExpectationGivesNoLead(t *testing.T) {
	t.Parallel()
	for _, size := range []float64{sizeOf(claiming(1e6, 1e6)), 1e6} {
		l := newWatched(t, 2, 1000)
		claimed := l.join("claims", size)
		for range 400 {
			l.join("claims", 1)
		}
		l.leave(claimed, time.Millisecond, false)
		for range 400 {
			l.join("late", 1)
		}
		order := l.serve(400, func(string) time.Duration { return 20 * time.Millisecond })
		if n := count(order, "late"); n < 195 || n > 205 {
			t.Errorf("beside one that claimed %v megapixels another got %d turns of 400", size, n)
		}
	}
}

// scanned returns a progressive JPEG of 4 megapixels that has nothing but headers: of scans that refine all coefficients, so
// many, with a comment of so many bytes between them.
func scanned(scans, apart int) []byte {
	data := []byte{0xFF, 0xD8, 0xFF, 0xC2, 0, 11, 8, 2000 >> 8, 2000 & 0xFF, 2000 >> 8, 2000 & 0xFF, 1, 1, 0x11, 0}
	for range scans {
		data = append(data, 0xFF, 0xFE, byte((apart+2)>>8), byte(apart+2))
		data = append(data, make([]byte, apart)...)
		data = append(data, 0xFF, 0xDA, 0, 8, 1, 1, 0, 1, 63, 0x10)
	}
	return append(data, 0xFF, 0xD9)
}

func TestPaceIsLearntFromWhatWasJudged(t *testing.T) {
	t.Parallel()
	l := newWatched(t, 1, 10)
	usual := l.pace
	l.leave(l.join("refused", 50), time.Millisecond, false)
	if l.pace != usual {
		t.Errorf("after an image that was refused the pace is %v, before %v", l.pace, usual)
	}
	l.leave(l.join("judged", 50), time.Second, true)
	if l.pace <= usual {
		t.Errorf("after a slow image the pace is %v, before %v", l.pace, usual)
	}
}

func TestAFullQueueIsDivided(t *testing.T) {
	t.Parallel()
	l := newWatched(t, 1, 9) // one is judged, eight wait
	many := []*turn{l.join("many", 1)}
	for range 8 {
		many = append(many, l.join("many", 1))
	}
	if _, err := l.admit(Share{Holder: "many"}, 1); !errors.Is(err, ErrOverloaded) {
		t.Errorf("the tenth: %v", err)
	}
	if l.admits(Share{Holder: "many"}) || !l.admits(Share{Holder: "other"}) {
		t.Error("what admits says is not what admit does")
	}
	for range 4 {
		l.join("other", 1)
	}
	if l.admits(Share{Holder: "other"}) {
		t.Error("the other would have more than half")
	}
	if _, err := l.admit(Share{Holder: "other"}, 1); !errors.Is(err, ErrOverloaded) {
		t.Errorf("more than half: %v", err)
	}
	if !l.admits(Share{Holder: "other", Weight: 2}) {
		t.Error("with twice the weight more than half is due")
	}
	gone := 0
	for i, turn := range many {
		if err := told(turn); errors.Is(err, ErrOverloaded) {
			if gone++; i < 5 {
				t.Errorf("place %d gave way before newer ones", i)
			}
		}
	}
	if now, _ := l.taken(); gone != 4 || now != 9 || l.gaveWay.Load() != 4 {
		t.Errorf("%d gave way (%d are counted), %d are there", gone, l.gaveWay.Load(), now)
	}
}

func TestOneHolderMayFillTheQueue(t *testing.T) {
	t.Parallel()
	l := newWatched(t, 2, 130)
	for range 130 {
		l.join("alone", 1)
	}
}

func TestSmallImagesDoNotWaitForLargeOnes(t *testing.T) {
	t.Parallel()
	wanted := 0
	l := watched{newQueue(2, 100, func() { wanted++ }), t}
	for range 10 {
		l.join("large", 50)
	}
	if wanted != 0 {
		t.Fatal("a spare worker is wanted for large images")
	}
	small, medium := l.join("small", 1), l.join("medium", 26)
	if wanted != 1 || !errors.Is(told(small), errNothing) {
		t.Fatalf("wanted %d times; small was told something before there was a worker", wanted)
	}
	l.add()
	if err := told(small); err != nil {
		t.Errorf("small, with a spare worker: %v", err)
	}
	if err := told(medium); !errors.Is(err, errNothing) || len(l.running) != 3 {
		t.Errorf("medium has started: %v; %d are judged", err, len(l.running))
	}
	next := l.join("small", 1)
	if err := told(next); !errors.Is(err, errNothing) {
		t.Errorf("there is one spare worker: %v", err)
	}
	l.leave(small, time.Millisecond, true)
	if err := told(next); err != nil || wanted != 1 {
		t.Errorf("the next small one: %v; wanted %d times", err, wanted)
	}
}

// Large images take all workers but the last, and that one too when nobody else has sent small ones for a moment.
func TestLargeImagesLeaveAWorkerToSmallOnes(t *testing.T) {
	t.Parallel()
	for _, workers := range []int{1, 2, 4} {
		synctest.Test(t, func(t *testing.T) {
			l, alone := newWatched(t, workers, 100), newWatched(t, workers, 100)
			l.leave(l.join("small", 1), time.Millisecond, true)
			for _, q := range []watched{l, alone} {
				q.leave(q.join("large", 1), time.Millisecond, true) // its own affair
				for range 10 {
					q.join("large", 50)
				}
			}
			if len(alone.running) != workers {
				t.Errorf("%d of %d workers judge the large images of who sends small ones itself", len(alone.running), workers)
			}
			if want := max(workers-1, 1); len(l.running) != want {
				t.Errorf("%d of %d workers judge large images beside small ones, want %d", len(l.running), workers, want)
			}
			<-time.After(smallFor)
			l.leave(l.running[0], time.Second, true)
			if len(l.running) != workers {
				t.Errorf("%d of %d workers judge large images alone", len(l.running), workers)
			}
			l.leave(l.running[0], time.Second, true)
			if len(l.running) != workers {
				t.Errorf("then %d of %d", len(l.running), workers)
			}
		})
	}
}

// Small images alone, or large ones alone, are judged by the workers of the configuration.
func TestSpareWorkersAreForUnequalImages(t *testing.T) {
	t.Parallel()
	for _, size := range []float64{1, 12, 50} {
		l := newWatched(t, 2, 100)
		l.add()
		for _, holder := range []string{"a", "b", "c", "d"} {
			l.join(holder, size)
		}
		if len(l.running) != 2 {
			t.Errorf("%d of %v megapixels are judged at once", len(l.running), size)
		}
	}
}

func TestNothingStaysOfWhoLeft(t *testing.T) {
	t.Parallel()
	q := newQueue(1, 10, nil)
	running, err := q.enter(t.Context(), Share{Holder: "a"}, 1, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.enter(t.Context(), Share{Holder: "b"}, 1, time.Microsecond); !errors.Is(err, ErrOverloaded) {
		t.Errorf("after the deadline: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.enter(ctx, Share{Holder: "c"}, 1, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that has left: %v", err)
	}
	q.leave(running, time.Second, true)
	if now, _ := q.taken(); now != 0 || len(q.running) != 0 {
		t.Errorf("%d are in the queue, %d are judged", now, len(q.running))
	}
	for i := range 3 * maxIdleHolders {
		turn, err := q.enter(t.Context(), Share{Holder: time.Duration(i).String()}, 1, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		q.leave(turn, 0, true)
	}
	if len(q.holders) > maxIdleHolders {
		t.Errorf("%d holders are remembered", len(q.holders))
	}
	q.close()
	if _, err := q.enter(t.Context(), Share{}, 1, time.Hour); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed queue: %v", err)
	}
}

func TestSizeIsReadFromTheHeader(t *testing.T) {
	t.Parallel()
	var photo, drawing bytes.Buffer
	large := image.NewGray(image.Rect(0, 0, 4000, 3000))
	if err := errors.Join(jpeg.Encode(&photo, large, nil), png.Encode(&drawing, image.NewGray(image.Rect(0, 0, 100, 100)))); err != nil {
		t.Fatal(err)
	}
	late := slices.Concat(photo.Bytes()[:2], bytes.Repeat([]byte{0xFF}, 1<<20), photo.Bytes()[2:])
	withoutHeight := bytes.Clone(photo.Bytes())
	frame := bytes.Index(withoutHeight, []byte{0xFF, 0xC0})
	clear(withoutHeight[frame+5 : frame+7])
	for name, test := range map[string]struct {
		data []byte
		want float64 // rounded
	}{
		"a PNG of grey": {claiming(3000, 3000), 3},
		"one of four channels in 16 bits, interlaced": {claiming(2600, 2600, 16, 6, 0, 0, 1), unknownSize},
		"a few scans": {scanned(3, 0), 10}, "many": {scanned(40, 0), unknownSize}, "many, far apart": {scanned(40, 60_000), unknownSize},
		"a photo": {photo.Bytes(), 12}, "a small drawing": {drawing.Bytes(), leastSize},
		"a photo whose height comes behind its rows": {withoutHeight, unknownSize},
		"a header that claims anything":              {claiming(1e6, 1e6), unknownSize},
		"no image":                                   {[]byte("nonsense"), unknownSize}, "nothing": {nil, unknownSize}, "a header that never comes": {late, unknownSize},
	} {
		if got := sizeOf(test.data); math.Round(got) != test.want {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
}

// claiming returns a PNG that has nothing but a header: of grey in 8 bits, unless its last bytes say something else.
func claiming(width, height uint32, end ...byte) []byte {
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32([]byte("IHDR"), width), height)
	header = append(append(header, end...), []byte{8, 0, 0, 0, 0}[len(end):]...)
	return slices.Concat([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x0d"), header,
		binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(header)))
}
