package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// heldDecoder says when a worker has taken an image and keeps it there until it is released, or the test is over.
type heldDecoder struct {
	decode.Decoder
	taken, release, over chan struct{}
}

func (d heldDecoder) Decode(ctx context.Context, data []byte, format decode.Format) (*pixels.Image, error) {
	select {
	case d.taken <- struct{}{}:
	case <-d.over:
	}
	select {
	case <-d.release:
	case <-d.over:
	}
	return d.Decoder.Decode(ctx, data, format)
}

// overloadable is the API before an engine of one worker.
type overloadable struct {
	*checkable
	images heldDecoder
	body   []byte
}

func newOverloadable(t *testing.T, queue int, wait time.Duration) *overloadable {
	t.Helper()
	o := &overloadable{
		images: heldDecoder{decode.NewStdlib(decode.Limits{}), make(chan struct{}), make(chan struct{}), make(chan struct{})},
		body:   smallFace(t),
	}
	o.checkable = newCheckable(t, inference.Config{Workers: 1, Queue: queue, Deadline: wait, Decoder: o.images})
	t.Cleanup(func() { close(o.images.over) }) // first: the others wait for the checks under way
	return o
}

func (o *overloadable) check() *httptest.ResponseRecorder {
	return o.send(http.MethodPost, v1.PathCheck, o.body)
}

func (o *overloadable) wantInference(t *testing.T, want string) {
	t.Helper()
	o.seconds.Add(2) // a report stands for one
	var health struct {
		Status     string
		Components map[string]struct{ Status string }
	}
	if err := json.Unmarshal(o.send(http.MethodGet, v1.PathHealth, nil).Body.Bytes(), &health); err != nil {
		t.Fatal(err)
	}
	if got := health.Components["inference"].Status; got != want || (health.Status == "ok") != (want == "up") {
		t.Errorf("inference is %q and all is %q, want inference to be %q", got, health.Status, want)
	}
}

func wantOverloaded(t *testing.T, answer *httptest.ResponseRecorder) {
	t.Helper()
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" || !strings.Contains(answer.Body.String(), `"overloaded"`) {
		t.Errorf("%d %s, Retry-After %q; want 503 overloaded", answer.Code, answer.Body, answer.Header().Get("Retry-After"))
	}
}

// One check is judged and as many wait as --queue says. One more is refused, component inference is down meanwhile, and
// all is well again when they are answered.
func TestFullQueueTakesInferenceDown(t *testing.T) {
	t.Parallel()
	for _, queue := range []int{1, 12} {
		t.Run(fmt.Sprintf("queue=%d", queue), func(t *testing.T) {
			t.Parallel()
			o := newOverloadable(t, queue, time.Hour)
			o.wantInference(t, "up")
			answers := make(chan *httptest.ResponseRecorder, 1+queue)
			go func() { answers <- o.check() }()
			<-o.images.taken
			o.wantInference(t, "up")
			for range queue {
				go func() { answers <- o.check() }()
			}
			eventually(t, "a full queue", func() error {
				if now, most := o.engine.Admitted(); now < most {
					return fmt.Errorf("%d of %d places are taken", now, most)
				}
				return nil
			})
			o.wantInference(t, "down")
			wantOverloaded(t, o.check())

			o.images.release <- struct{}{}
			for range queue {
				<-o.images.taken
				o.images.release <- struct{}{}
			}
			for range 1 + queue {
				if answer := <-answers; answer.Code != http.StatusOK {
					t.Errorf("%d %s", answer.Code, answer.Body)
				}
			}
			o.wantInference(t, "up")
			if n := o.counted(t); n != 1+queue {
				t.Errorf("%d calls are counted, want %d", n, 1+queue)
			}
		})
	}
}

func TestNoCheckWaitsLongerThanQueueWait(t *testing.T) {
	t.Parallel()
	o := newOverloadable(t, 1, time.Millisecond)
	first := make(chan *httptest.ResponseRecorder)
	go func() { first <- o.check() }()
	<-o.images.taken
	wantOverloaded(t, o.check())
	o.images.release <- struct{}{}
	if answer := <-first; answer.Code != http.StatusOK {
		t.Errorf("%d %s", answer.Code, answer.Body)
	}
	if n := o.counted(t); n != 1 {
		t.Errorf("%d calls are counted, want 1", n)
	}
}

func TestQueueFlagsReachTheEngine(t *testing.T) {
	t.Parallel()
	for flags, want := range map[EngineFlags]int{
		{Workers: 1, Queue: 3, Decoder: "go"}: 4,
		{Workers: 1, Decoder: "go"}:           1 + inference.QueuePerWorker,
	} {
		engine, err := flags.open(t.Context(), &App{Err: io.Discard, Log: slog.New(slog.DiscardHandler)}, parts.New(parts.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if _, most := engine.Admitted(); most != want {
			t.Errorf("%+v: %d places, want %d", flags, most, want)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}
}
