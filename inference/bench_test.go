package inference_test

import (
	"fmt"
	"image"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/phototest"
	"github.com/pas-ta/liveness/inference/pixels"
)

// benchPhoto is a sample photo made over into a kind.
func benchPhoto(b *testing.B, kind phototest.Kind) ([]byte, decode.Format) {
	b.Helper()
	data, err := phototest.Make(samplePhoto(b, 1), kind)
	if err != nil {
		b.Fatal(err)
	}
	return data, decode.Format(kind.Format)
}

// BenchmarkCheck puts one check (decode, detect, score, measure) beside what it cannot go below: decoding, sampling and the
// bare runs of the models. They take turns, so that whatever else the machine does falls on all of them alike; reported
// are medians.
func BenchmarkCheck(b *testing.B) {
	models, closeModels, err := inference.BareRuns(runtimeLibrary(b), defaultPack(b), samplePhoto(b, 1))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(closeModels)
	for _, kind := range phototest.Kinds() {
		data, format := benchPhoto(b, kind)
		for name, decoder := range decoders(b) {
			b.Run(fmt.Sprintf("image=%s/decoder=%s", kind.Name, name), func(b *testing.B) {
				benchCheck(b, decoder, models, data, format)
			})
		}
	}
}

func benchCheck(b *testing.B, decoder decode.Decoder, models []func() error, data []byte, format decode.Format) {
	engine := openEngine(b, inference.Config{Decoder: decoder})
	sample := bareSampling(b, engine, decoder, data, format)
	var decoded *pixels.Image
	stages := []struct {
		unit  string
		run   func() error
		times []time.Duration
	}{
		{unit: "check-ns/op", run: func() error {
			_, err := engine.Check(b.Context(), data, format)
			return err
		}},
		{unit: "decode-ns/op", run: func() (err error) {
			decoded, err = decoder.Decode(b.Context(), data, format)
			return err
		}},
		{unit: "sample-ns/op", run: func() error {
			sample(decoded)
			decoded.Release()
			return nil
		}},
		{unit: "models-ns/op", run: func() error {
			for _, run := range models {
				if err := run(); err != nil {
					return err
				}
			}
			return nil
		}},
	}
	for b.Loop() {
		for i := range stages {
			began := time.Now()
			if err := stages[i].run(); err != nil {
				b.Fatal(err)
			}
			stages[i].times = append(stages[i].times, time.Since(began))
		}
	}
	for _, stage := range stages {
		slices.Sort(stage.times)
		b.ReportMetric(float64(stage.times[len(stage.times)/2]), stage.unit)
	}
}

// bareSampling returns a function that reads of an image what a check reads: the tensors of all models, with the face
// where the engine finds it, and the face's luma.
func bareSampling(b *testing.B, engine *inference.Engine, decoder decode.Decoder, data []byte, format decode.Format) func(*pixels.Image) {
	b.Helper()
	r, err := engine.Check(b.Context(), data, format)
	if err != nil {
		b.Fatal(err)
	}
	type target struct {
		window image.Rectangle
		tensor pixels.Tensor
	}
	var targets []target
	add := func(in pack.Input, window image.Rectangle) {
		targets = append(targets, target{window, pixels.Tensor{
			Data: make([]float32, 3*in.Width*in.Height), Width: in.Width, Height: in.Height,
			Order: in.Order, Mean: in.Mean, Scale: in.Scale,
		}})
	}
	p := engine.Pack()
	face := r.Face.Crop(1, r.ImageWidth, r.ImageHeight)
	add(p.Detector.Input, image.Rect(0, 0, r.ImageWidth, r.ImageHeight))
	for _, scorer := range p.Scorers {
		add(scorer.Input, r.Face.Square().Crop(scorer.CropScale, r.ImageWidth, r.ImageHeight))
	}
	if p.Landmarks != nil {
		add(p.Landmarks.Input, face)
	}
	var sampler pixels.Sampler
	var tile pixels.Tile
	return func(m *pixels.Image) {
		for _, t := range targets {
			sampler.Bilinear(m, t.window, t.tensor, t.tensor.Width, t.tensor.Height)
		}
		tile.Luma(m, face)
	}
}

// BenchmarkAllocations is what one check leaves to the garbage collector: nothing that grows with the image.
func BenchmarkAllocations(b *testing.B) {
	decoder := decoders(b)["native"]
	for _, kind := range phototest.Kinds() {
		data, format := benchPhoto(b, kind)
		b.Run("image="+kind.Name, func(b *testing.B) {
			engine := openEngine(b, inference.Config{Decoder: decoder})
			b.ReportAllocs()
			for b.Loop() {
				if _, err := engine.Check(b.Context(), data, format); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSessionsAndThreads spends the processors in both orders: a worker for each, whose models run on one thread, or
// fewer workers whose models run on several. All workers are kept busy, as in a loaded server.
func BenchmarkSessionsAndThreads(b *testing.B) {
	data, format := benchPhoto(b, phototest.Kinds()[0])
	decoder := decoders(b)["native"]
	cores := runtime.NumCPU()
	for _, shape := range []struct{ workers, threads int }{{1, 1}, {cores, 1}, {1, cores}, {2 * cores, 1}} {
		b.Run(fmt.Sprintf("workers=%d/threads=%d", shape.workers, shape.threads), func(b *testing.B) {
			engine := openEngine(b, inference.Config{Workers: shape.workers, Threads: shape.threads, Queue: 64, Decoder: decoder})
			var group sync.WaitGroup
			next := make(chan struct{})
			for range shape.workers {
				group.Go(func() {
					for range next {
						if _, err := engine.Check(b.Context(), data, format); err != nil {
							b.Error(err)
						}
					}
				})
			}
			for b.Loop() {
				next <- struct{}{}
			}
			close(next)
			group.Wait()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "checks/s")
		})
	}
}
