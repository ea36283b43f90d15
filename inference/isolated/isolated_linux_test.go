//go:build amd64 || arm64

package isolated_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/jpeg"
	"log/slog"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/isolated"
	"github.com/pas-ta/liveness/inference/pack"
)

func supply(t testing.TB, part func(context.Context) (string, error)) string {
	t.Helper()
	path, err := part(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func samplePhoto(t testing.TB, n int) []byte {
	t.Helper()
	photo, err := os.ReadFile(supply(t, func(ctx context.Context) (string, error) { return parts.New(parts.Options{}).SamplePhoto(ctx, n) }))
	if err != nil {
		t.Fatal(err)
	}
	return photo
}

func config(t testing.TB) isolated.Config {
	t.Helper()
	cache := parts.New(parts.Options{})
	models, err := pack.Open(supply(t, cache.ModelPack))
	if err != nil {
		t.Fatal(err)
	}
	return isolated.Config{
		LibraryPath: supply(t, cache.ONNXRuntime), Pack: models, Libvips: supply(t, cache.Libvips), NeedLibvips: true, CheckTimeout: 5 * time.Minute,
	}
}

// newWorkers prepares processes, and an engine of some.
func newWorkers(t *testing.T, cfg isolated.Config, count int) (*isolated.Workers, *inference.Engine) {
	t.Helper()
	workers, err := isolated.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := inference.Open(t.Context(), inference.Config{Pack: cfg.Pack, Workers: count, Deadline: time.Hour, Start: workers.Start})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	})
	return workers, engine
}

// refusedAs fails the test unless the image was refused.
func refusedAs(t *testing.T, err error, kind decode.Kind) *decode.Error {
	t.Helper()
	refused := (*decode.Error)(nil)
	if !errors.As(err, &refused) || refused.Kind != kind {
		t.Fatalf("%v, want a refusal of kind %s", err, kind)
	}
	return refused
}

// What a process answers is what the same check in this process does: results, refusals, and in the decoder's own words.
func TestProcessJudgesAlike(t *testing.T) {
	t.Parallel()
	cfg := config(t)
	faceless := bytes.Buffer{}
	if err := jpeg.Encode(&faceless, image.NewGray(image.Rect(0, 0, 640, 480)), nil); err != nil {
		t.Fatal(err)
	}
	photo := samplePhoto(t, 1)
	images := map[string][]byte{
		"faceless": faceless.Bytes(), "empty": {}, "text": []byte("no image"), "cut": photo[:len(photo)/2],
		"too many bytes": make([]byte, 10<<20+1), "far too many bytes": make([]byte, 14<<20),
	}
	for i := range 6 {
		images["sample "+string(rune('1'+i))] = samplePhoto(t, i+1)
	}
	for _, libvips := range []string{cfg.Libvips, ""} {
		var decoder decode.Decoder = decode.NewStdlib(decode.Limits{})
		if libvips != "" {
			native, err := decode.OpenNative(libvips, decode.Limits{})
			if err != nil {
				t.Fatal(err)
			}
			decoder = native
		}
		inProcess, err := inference.Open(t.Context(), inference.Config{LibraryPath: cfg.LibraryPath, Pack: cfg.Pack, Workers: 1, Decoder: decoder})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = inProcess.Close() })
		cfg.Libvips = libvips
		_, engine := newWorkers(t, cfg, 1)
		if engine.Decoder() != inProcess.Decoder() {
			t.Errorf("the decoder is %q, want %q", engine.Decoder(), inProcess.Decoder())
		}
		for name, data := range images {
			want, wantErr := inProcess.Check(t.Context(), data, decode.JPEG)
			got, gotErr := engine.Check(t.Context(), data, decode.JPEG)
			want.Timings, got.Timings = inference.Timings{}, inference.Timings{}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s, %s: %s", engine.Decoder(), name, diff)
			}
			refused, wantRefused := (*decode.Error)(nil), (*decode.Error)(nil)
			same := errors.As(gotErr, &refused) == errors.As(wantErr, &wantRefused) && (gotErr == nil) == (wantErr == nil) &&
				errors.Is(gotErr, inference.ErrNoFace) == errors.Is(wantErr, inference.ErrNoFace)
			if same && refused != nil {
				same = refused.Kind == wantRefused.Kind && (refused.Message == wantRefused.Message || name == "far too many bytes")
			}
			if !same {
				t.Errorf("%s, %s: %v, want %v", engine.Decoder(), name, gotErr, wantErr)
			}
		}
	}
}

// An image that ends its process is refused, and the next one judged.
func TestHarmfulImageIsRefused(t *testing.T) {
	t.Parallel()
	for do, want := range map[string]map[string]int64{
		"crash":  {"crashed": 2, "hung": 0, "garbled": 0},
		"panic":  {"crashed": 2, "hung": 0, "garbled": 0},
		"exit":   {"crashed": 2, "hung": 0, "garbled": 0},
		"hog":    {"crashed": 2, "hung": 0, "garbled": 0},
		"garble": {"crashed": 0, "hung": 0, "garbled": 2},
		"hang":   {"crashed": 0, "hung": 1, "garbled": 0},
		"say x":  {"crashed": 0, "hung": 0, "garbled": 2}, // words that a terminal obeys
	} {
		t.Run(do, func(t *testing.T) {
			t.Parallel()
			cfg := config(t)
			switch do {
			case "hang":
				cfg.CheckTimeout = 5 * time.Second // the next check has no longer either
			case "hog":
				cfg.Memory = 256 << 20
			}
			workers, engine := newWorkers(t, cfg, 1)
			photo := samplePhoto(t, 4)
			_, err := engine.Check(t.Context(), marked(photo, do), decode.JPEG)
			refused := refusedAs(t, err, decode.KindHarmful)
			t.Log(refused.Message, "|", refused.Err)
			if diff := cmp.Diff(want, workers.Ends()); diff != "" {
				t.Error(diff)
			}
			if _, err := engine.Check(t.Context(), photo, decode.JPEG); err != nil {
				t.Errorf("the next check: %v", err)
			}
			if err := workers.Check(); err != nil {
				t.Errorf("health says %v", err)
			}
		})
	}
}

// A process may crash by what an earlier image did to it. Whose turn it is then is not refused for it.
func TestInnocentImageIsJudgedAgain(t *testing.T) {
	t.Parallel()
	workers, engine := newWorkers(t, config(t), 1)
	photo := samplePhoto(t, 4)
	if _, err := engine.Check(t.Context(), marked(photo, "poison"), decode.JPEG); err != nil {
		t.Fatal(err)
	}
	if _, err := engine.Check(t.Context(), photo, decode.JPEG); err != nil {
		t.Errorf("%v, want a judgement by the next process", err)
	}
	if ends := workers.Ends(); ends["crashed"] != 1 {
		t.Errorf("%v, want one crash", ends)
	}
}

// While one image after the other crashes its process, others are judged, all of them.
func TestCrashesHarmNoOtherCheck(t *testing.T) {
	t.Parallel()
	workers, engine := newWorkers(t, config(t), 2)
	photo := samplePhoto(t, 4)
	want, err := engine.Check(t.Context(), photo, decode.JPEG)
	if err != nil {
		t.Fatal(err)
	}
	var attack, victims sync.WaitGroup
	var stop atomic.Bool
	attack.Go(func() {
		for !stop.Load() {
			if _, err := engine.Check(t.Context(), marked(photo, "crash"), decode.JPEG); err == nil {
				t.Error("an image that crashes is judged")
			}
		}
	})
	for range 4 {
		victims.Go(func() {
			for range 20 {
				if got, err := engine.Check(t.Context(), photo, decode.JPEG); err != nil || got.FakeLikelihood != want.FakeLikelihood {
					t.Errorf("%v %v, want %v", got.FakeLikelihood, err, want.FakeLikelihood)
				}
			}
		})
	}
	victims.Wait()
	stop.Store(true)
	attack.Wait()
	if workers.Ends()["crashed"] < 2 {
		t.Errorf("only %v", workers.Ends())
	}
}

// A process that an image has taken over finds no secret, and nothing to do harm with.
func TestProcessCanOnlyJudge(t *testing.T) {
	t.Setenv("LIVENESS_SECRET", "a secret of the program")
	if err := unix.Dup3(int(os.Stderr.Fd()), inherited, 0); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(inherited) })
	workers, engine := newWorkers(t, config(t), 1)
	sandbox := workers.Sandbox()
	t.Logf("%+v", sandbox)
	if sandbox.Seccomp == "" || sandbox.Landlock == "" {
		t.Fatalf("the kernel of this machine encloses nothing: %v", sandbox.Missing)
	}
	_, err := engine.Check(t.Context(), marked(samplePhoto(t, 4), "escape"), decode.JPEG)
	refused := refusedAs(t, err, decode.KindCorrupted)
	could, knows, _ := strings.Cut(refused.Message, "; knows: ")
	if could != "could: " {
		t.Error(could)
	}
	if strings.Contains(knows, "secret") {
		t.Errorf("the environment holds %s", knows)
	}
	if ends := workers.Ends(); ends["crashed"] != 0 {
		t.Errorf("trying ended the process: %v", ends)
	}
	if _, err := engine.Check(t.Context(), marked(samplePhoto(t, 4), "shrink"), decode.JPEG); err != nil {
		t.Error(err) // and this program is still there
	}
}

// A caller who leaves ends its check in the process, and no other.
func TestCallerLeaves(t *testing.T) {
	t.Parallel()
	workers, engine := newWorkers(t, config(t), 1)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	photo := samplePhoto(t, 4)
	if _, err := engine.Check(ctx, marked(photo, "wait"), decode.JPEG); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, want the caller's own", err)
	}
	if _, err := engine.Check(t.Context(), photo, decode.JPEG); err != nil {
		t.Error(err)
	}
	if ends := workers.Ends(); ends["crashed"]+ends["hung"]+ends["garbled"] != 0 {
		t.Errorf("%v, want the process to have gone on", ends)
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := config(t)
	for name, tc := range map[string]struct {
		change func(*isolated.Config)
		want   string
	}{
		"no library": {func(c *isolated.Config) { c.LibraryPath = "/absent/libonnxruntime.so" }, "/absent/libonnxruntime.so"},
		"no models":  {func(c *isolated.Config) { c.Pack.Dir = t.TempDir() }, "no such file"},
		"no libvips": {func(c *isolated.Config) { c.Libvips = "/absent/libvips.so" }, "libvips"},
	} {
		cfg := good
		tc.change(&cfg)
		workers, err := isolated.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		w, err := workers.Start(t.Context())
		if err == nil {
			w.Close()
		}
		if !errors.Is(err, inference.ErrNoWorker) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v; want it to say %q", name, err, tc.want)
		}
		if workers.Check() == nil {
			t.Errorf("%s: health says that all is well", name)
		}
	}
	good.Libvips, good.NeedLibvips, good.Log = "/absent/libvips.so", false, slog.New(slog.DiscardHandler)
	if _, engine := newWorkers(t, good, 1); !strings.HasPrefix(engine.Decoder(), "go") {
		t.Errorf("without libvips %q decodes, want Go", engine.Decoder())
	}
}
