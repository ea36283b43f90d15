package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/isolated"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// crashMark in a photo ends the process that decodes it, in tests.
const crashMark = "crash the decoder"

// crashable is the decoder of worker processes in tests.
func crashable(d decode.Decoder) decode.Decoder { return crashableDecoder{d} }

type crashableDecoder struct{ decode.Decoder }

func (d crashableDecoder) Version() string {
	return d.Decoder.(interface{ Version() string }).Version()
}

func (d crashableDecoder) Decode(ctx context.Context, data []byte, format decode.Format) (*pixels.Image, error) {
	if bytes.Contains(data[:min(len(data), 100)], []byte(crashMark)) {
		os.Exit(139)
	}
	return d.Decoder.Decode(ctx, data, format)
}

// bodyOfCrash is a check of a photo that ends the process which decodes it.
func bodyOfCrash(t *testing.T) []byte {
	t.Helper()
	photo, err := os.ReadFile(samplePhoto(t, 4))
	if err != nil {
		t.Fatal(err)
	}
	comment := append([]byte{0xFF, 0xFE, 0, byte(len(crashMark) + 2)}, crashMark...)
	return fmt.Appendf(nil, bodyOfPhoto, base64.StdEncoding.EncodeToString(bytes.Join([][]byte{photo[:2], comment, photo[2:]}, nil)))
}

// Under load one caller's images crash their processes again and again. That caller is told that the image is at fault, and is not
// charged; everybody else's checks are answered and counted as ever.
func TestCrashingImagesUnderLoad(t *testing.T) {
	t.Parallel()
	models, library := defaultModels(t)
	processes, err := isolated.New(isolated.Config{LibraryPath: library, Pack: models})
	if err != nil {
		t.Fatal(err)
	}
	api := newCheckable(t, inference.Config{Pack: models, Workers: 2, Deadline: time.Hour, Start: processes.Start})
	body, crash := smallFace(t), bodyOfCrash(t)
	const callers, each = 4, 15
	var victims, attack sync.WaitGroup
	var over atomic.Bool
	attack.Go(func() {
		for sent := 0; sent < 3 || !over.Load(); sent++ {
			if answer := api.send(http.MethodPost, v1.PathCheck, crash); answer.Code != http.StatusBadRequest ||
				!strings.Contains(answer.Body.String(), `"invalid_image"`) || !strings.Contains(answer.Body.String(), "save it anew") {
				t.Errorf("a harmful image: %d %s", answer.Code, answer.Body)
			}
		}
	})
	for range callers {
		victims.Go(func() {
			for range each {
				if answer := api.send(http.MethodPost, v1.PathCheck, body); answer.Code != http.StatusOK {
					t.Errorf("another's check: %d %s", answer.Code, answer.Body)
				}
			}
		})
	}
	victims.Wait()
	over.Store(true)
	attack.Wait()
	if n := api.counted(t); n != callers*each {
		t.Errorf("%d calls are counted, want %d", n, callers*each)
	}
	if ends := processes.Ends(); ends["crashed"] < 6 {
		t.Errorf("%v, want two crashes for each harmful image", ends)
	}
	opened := &openedEngine{Engine: api.engine, processes: processes}
	judging := judgingComponent(opened)
	version, err := judging.Version(t.Context())
	if err != nil || judging.Probe(t.Context()) != nil || !strings.HasPrefix(version, "isolated: ") {
		t.Errorf("health: %q, %v, %v", version, err, judging.Probe(t.Context()))
	}
}

func defaultModels(t *testing.T) (models pack.Pack, library string) {
	t.Helper()
	cache := parts.New(parts.Options{})
	dir, err := cache.ModelPack(t.Context())
	if err == nil {
		library, err = cache.ONNXRuntime(t.Context())
	}
	if err == nil {
		models, err = pack.Open(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	return models, library
}

func TestJudgeFlag(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]string{"isolated": "isolated: ", "auto": "isolated: ", "in-process": "in-process"} {
		engine, err := EngineFlags{Workers: 1, Judge: flag}.open(t.Context(), &App{Err: io.Discard, Log: slog.New(slog.DiscardHandler)}, parts.New(parts.Options{}))
		if err != nil {
			t.Fatal(err)
		}
		if got := engine.judging(); !strings.HasPrefix(got, want) {
			t.Errorf("--judge %s: %q, want %q", flag, got, want)
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}
}
