//go:build amd64 || arm64

package isolated_test

import (
	"testing"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/isolated"
	"github.com/pas-ta/liveness/inference/phototest"
)

// BenchmarkCheck is one caller's check, in a process of its own and in this one.
func BenchmarkCheck(b *testing.B) {
	cfg := config(b)
	workers, err := isolated.New(cfg)
	if err != nil {
		b.Fatal(err)
	}
	apart, err := workers.Start(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer apart.Close()
	native, err := decode.OpenNative(cfg.Libvips, decode.Limits{})
	if err != nil {
		b.Fatal(err)
	}
	here, err := inference.OpenWorker(cfg.LibraryPath, cfg.Pack, native, cfg.Threads)
	if err != nil {
		b.Fatal(err)
	}
	defer here.Close()
	for _, kind := range phototest.Kinds() {
		photo, err := phototest.Make(samplePhoto(b, 1), kind)
		if err != nil {
			b.Fatal(err)
		}
		format := decode.Format(kind.Format)
		for name, worker := range map[string]inference.Worker{"isolated": apart, "in-process": here} {
			b.Run(kind.Name+"/"+name, func(b *testing.B) {
				for b.Loop() {
					if _, err := worker.Check(b.Context(), photo, format); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}
