package inference_test

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"sync"
	"testing"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// benchSizes are the images of the benchmarks: a sample photo resized.
var benchSizes = []struct {
	name          string
	width, height int
	format        decode.Format
}{
	{"640x480.jpeg", 640, 480, decode.JPEG},
	{"1280x960.jpeg", 1280, 960, decode.JPEG},
	{"1920x1280.jpeg", 1920, 1280, decode.JPEG},
	{"1280x960.png", 1280, 960, decode.PNG},
}

// resized is a sample photo at another size, encoded again.
func resized(b *testing.B, width, height int, format decode.Format) []byte {
	b.Helper()
	photo, err := decode.NewStdlib(decode.Limits{}).Decode(context.Background(), samplePhoto(b, 1), decode.JPEG)
	if err != nil {
		b.Fatal(err)
	}
	defer photo.Release()
	var s pixels.Sampler
	data := make([]float32, 3*width*height)
	s.Bilinear(photo, photo.Bounds(), pixels.Tensor{Data: data, Width: width, Height: height, Order: pixels.RGB, Scale: 1}, width, height)
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		m.SetNRGBA(i%width, i/width, color.NRGBA{uint8(data[i]), uint8(data[width*height+i]), uint8(data[2*width*height+i]), 255})
	}
	var out bytes.Buffer
	if format == decode.PNG {
		err = png.Encode(&out, m)
	} else {
		err = jpeg.Encode(&out, m, &jpeg.Options{Quality: 85})
	}
	if err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

// BenchmarkCheck puts one check (decode, detect, score, measure) beside what
// it cannot go below: the bare runs of the models, decoding and sampling alone.
func BenchmarkCheck(b *testing.B) {
	bareRuns(b)
	for name, decoder := range decoders(b) {
		engine := openEngine(b, inference.Config{Decoder: decoder})
		for _, size := range benchSizes {
			data := resized(b, size.width, size.height, size.format)
			b.Run(fmt.Sprintf("decode/%s/%s", name, size.name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					m, err := decoder.Decode(b.Context(), data, size.format)
					if err != nil {
						b.Fatal(err)
					}
					m.Release()
				}
			})
			b.Run(fmt.Sprintf("sample/%s/%s", name, size.name), func(b *testing.B) {
				benchSampling(b, engine, decoder, data, size.format)
			})
			b.Run(fmt.Sprintf("check/%s/%s", name, size.name), func(b *testing.B) {
				b.ReportAllocs()
				var sum inference.Timings
				for b.Loop() {
					r, err := engine.Check(b.Context(), data, size.format)
					if err != nil {
						b.Fatal(err)
					}
					sum.Decode += r.Timings.Decode
					sum.Detect += r.Timings.Detect
					sum.Score += r.Timings.Score
				}
				for unit, d := range map[string]float64{
					"decode-ns/op": float64(sum.Decode), "detect-ns/op": float64(sum.Detect), "score-ns/op": float64(sum.Score),
				} {
					b.ReportMetric(d/float64(b.N), unit)
				}
			})
		}
	}
}

// benchSampling fills the tensors of detector and scorer from one image.
func benchSampling(b *testing.B, engine *inference.Engine, decoder decode.Decoder, data []byte, format decode.Format) {
	r, err := engine.Check(b.Context(), data, format)
	if err != nil {
		b.Fatal(err)
	}
	m, err := decoder.Decode(b.Context(), data, format)
	if err != nil {
		b.Fatal(err)
	}
	defer m.Release()
	tensor := func(in pack.Input) pixels.Tensor {
		return pixels.Tensor{
			Data: make([]float32, 3*in.Width*in.Height), Width: in.Width, Height: in.Height,
			Order: in.Order, Mean: in.Mean, Scale: in.Scale,
		}
	}
	p := engine.Pack()
	detector, scorer := tensor(p.Detector.Input), tensor(p.Scorers[0].Input)
	window := r.Face.Square().Crop(p.Scorers[0].CropScale, m.Width(), m.Height())
	var s pixels.Sampler
	for b.Loop() {
		s.Bilinear(m, m.Bounds(), detector, detector.Width, detector.Height)
		s.Bilinear(m, window, scorer, scorer.Width, scorer.Height)
	}
}

// bareRuns runs each model of the default pack with nothing around it.
func bareRuns(b *testing.B) {
	runs, closeModels, err := inference.BareRuns(runtimeLibrary(b), defaultPack(b), samplePhoto(b, 1))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(closeModels)
	b.Run("models", func(b *testing.B) {
		for b.Loop() {
			for _, run := range runs {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		}
	})
}

// BenchmarkThroughput keeps every worker busy, as a loaded server does.
func BenchmarkThroughput(b *testing.B) {
	data := resized(b, 640, 480, decode.JPEG)
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("%d-workers", workers), func(b *testing.B) {
			engine := openEngine(b, inference.Config{Workers: workers, Queue: 64})
			var group sync.WaitGroup
			next := make(chan struct{})
			for range workers {
				group.Go(func() {
					for range next {
						if _, err := engine.Check(b.Context(), data, decode.JPEG); err != nil {
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
		})
	}
}
