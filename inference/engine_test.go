package inference_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// gate is a decoder that reports each start and lets it go on when told, so
// that tests hold checks in the engine without waiting for time to pass.
type gate struct {
	decode.Decoder
	started, open chan struct{}
}

func newGate() *gate {
	return &gate{Decoder: decode.NewStdlib(decode.Limits{}), started: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Decode(ctx context.Context, data []byte, f decode.Format) (*pixels.Image, error) {
	g.started <- struct{}{}
	<-g.open
	return g.Decoder.Decode(ctx, data, f)
}

// awaitFull waits until every place of the engine is taken.
func awaitFull(engine *inference.Engine) {
	for now, most := engine.Admitted(); now < most; now, most = engine.Admitted() {
		runtime.Gosched()
	}
}

func TestOverloadIsRefusedAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate()
	engine := openEngine(t, inference.Config{Workers: 1, Queue: 1, Deadline: time.Hour, Decoder: g})
	photo := samplePhoto(t, 4)
	var group sync.WaitGroup
	errs := make([]error, 2)
	group.Go(func() { _, errs[0] = engine.Check(t.Context(), photo, decode.JPEG) })
	<-g.started
	group.Go(func() { _, errs[1] = engine.Check(t.Context(), photo, decode.JPEG) })
	awaitFull(engine)
	if _, err := engine.Check(t.Context(), photo, decode.JPEG); !errors.Is(err, inference.ErrOverloaded) {
		t.Errorf("a check over the queue: %v, want ErrOverloaded", err)
	}
	close(g.open)
	<-g.started
	group.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Error(err)
	}
	if now, _ := engine.Admitted(); now != 0 {
		t.Errorf("%d places are still taken", now)
	}
}

func TestWaitEndsAtDeadlineContextAndClose(t *testing.T) {
	t.Parallel()
	photo := samplePhoto(t, 4)
	held := func(deadline time.Duration) (*inference.Engine, *gate, func()) {
		g := newGate()
		engine := openEngine(t, inference.Config{Workers: 1, Queue: 1, Deadline: deadline, Decoder: g})
		var group sync.WaitGroup
		group.Go(func() { _, _ = engine.Check(context.Background(), photo, decode.JPEG) })
		<-g.started
		return engine, g, group.Wait
	}

	engine, g, wait := held(time.Millisecond)
	if _, err := engine.Check(t.Context(), photo, decode.JPEG); !errors.Is(err, inference.ErrOverloaded) {
		t.Errorf("after the deadline: %v, want ErrOverloaded", err)
	}
	close(g.open)
	wait()

	engine, g, wait = held(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := engine.Check(ctx, photo, decode.JPEG); !errors.Is(err, context.Canceled) {
		t.Errorf("with a cancelled context: %v, want context.Canceled", err)
	}
	waiting, closed := make(chan error), make(chan error)
	go func() {
		_, err := engine.Check(context.Background(), photo, decode.JPEG)
		waiting <- err
	}()
	awaitFull(engine)
	go func() { closed <- engine.Close() }()
	if err := <-waiting; !errors.Is(err, inference.ErrClosed) {
		t.Errorf("during Close: %v, want ErrClosed", err)
	}
	select {
	case err := <-closed:
		t.Errorf("Close did not wait for the check that is being computed: %v", err)
	default:
	}
	close(g.open)
	wait()
	if err := <-closed; err != nil {
		t.Error(err)
	}
	if _, err := engine.Check(t.Context(), photo, decode.JPEG); !errors.Is(err, inference.ErrClosed) {
		t.Errorf("after Close: %v, want ErrClosed", err)
	}
}

func TestConcurrentChecksAgree(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, inference.Config{Workers: 2, Queue: 16, Deadline: time.Hour})
	other := openEngine(t, inference.Config{Workers: 1})
	var b bytes.Buffer
	if err := jpeg.Encode(&b, facePhoto(t), nil); err != nil {
		t.Fatal(err)
	}
	photo := b.Bytes()
	want, err := other.Check(t.Context(), photo, decode.JPEG)
	if err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	for range 6 {
		group.Go(func() {
			got, err := engine.Check(t.Context(), photo, decode.JPEG)
			if err != nil || got.FakeLikelihood != want.FakeLikelihood || got.Face != want.Face {
				t.Errorf("%v %v, want %v", got, err, want)
			}
		})
	}
	group.Wait()
	if want.PackID != engine.Pack().ID || want.PackHash != engine.PackHash() || len(want.PackHash) != 64 {
		t.Errorf("the result names pack %s %s", want.PackID, want.PackHash)
	}
}

func TestNoFace(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, inference.Config{})
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 640, 480)), nil); err != nil {
		t.Fatal(err)
	}
	_, err := engine.Check(t.Context(), b.Bytes(), decode.JPEG)
	var refused *decode.Error
	if !errors.Is(err, inference.ErrNoFace) || !errors.As(err, &refused) || refused.Kind != inference.KindNoFace {
		t.Errorf("%v, want ErrNoFace", err)
	}
}

func TestThreshold(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, inference.Config{Threshold: 1e-9})
	r, err := engine.Check(t.Context(), samplePhoto(t, 2), decode.JPEG)
	if err != nil {
		t.Fatal(err)
	}
	if r.Threshold != 1e-9 {
		t.Errorf("likelihood %v with threshold %v", r.FakeLikelihood, r.Threshold)
	}
}

// Each worker loads models for as long as all others do: none waits for another.
func TestWorkersStartSideBySide(t *testing.T) {
	t.Parallel()
	library, p, workers := runtimeLibrary(t), defaultPack(t), min(2, runtime.NumCPU())
	started, all := make(chan struct{}, workers), make(chan struct{})
	go func() {
		for range workers {
			<-started
		}
		close(all)
	}()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	engine := openEngine(t, inference.Config{Workers: workers, Start: func(context.Context) (inference.Worker, error) {
		started <- struct{}{}
		select {
		case <-all:
		case <-ctx.Done():
			return nil, errors.New("this worker waited for the others in vain")
		}
		return inference.OpenWorker(library, p, decode.NewStdlib(decode.Limits{}), 1)
	}})
	if engine.Workers() != workers {
		t.Errorf("%d workers, want %d", engine.Workers(), workers)
	}
}

// TestWorkersShareSessions: to open a model takes longer than most of the rest of a start.
func TestWorkersShareSessions(t *testing.T) {
	t.Parallel()
	sessions, models, err := inference.OpenedSessions(runtimeLibrary(t), defaultPack(t), 3)
	if err != nil || sessions != models || models == 0 {
		t.Errorf("3 workers of %d models run %d sessions, %v", models, sessions, err)
	}
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	library, p := runtimeLibrary(t), defaultPack(t)

	damaged := p
	damaged.Dir = t.TempDir()
	for name := range p.Files {
		if err := os.WriteFile(filepath.Join(damaged.Dir, name), []byte("not a model"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	misfit := p
	misfit.Scorers = append(misfit.Scorers[:0:0], p.Scorers...)
	misfit.Scorers[0].Input.Width = 64
	unnamed := p
	unnamed.Detector.Input.Name = "picture"

	for name, tc := range map[string]struct {
		cfg  inference.Config
		want string
	}{
		"a second library":   {inference.Config{LibraryPath: filepath.Join(t.TempDir(), "absent.so"), Pack: p}, "absent.so"},
		"a damaged file":     {inference.Config{LibraryPath: library, Pack: damaged}, "fetch it again"},
		"a wrong shape":      {inference.Config{LibraryPath: library, Pack: misfit}, "the manifest needs"},
		"a wrong input name": {inference.Config{LibraryPath: library, Pack: unnamed}, `no "picture"`},
		"a wrong threshold":  {inference.Config{LibraryPath: library, Pack: p, Threshold: 1.5}, "1.5"},
	} {
		e, err := inference.Open(t.Context(), tc.cfg)
		if err == nil {
			t.Errorf("%s: no error", name)
			_ = e.Close()
			continue
		}
		if !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want it to say %q", name, err, tc.want)
		}
	}
}
