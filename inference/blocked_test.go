package inference_test

import (
	"bytes"
	"math"
	"testing"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/onnx"
	"github.com/pas-ta/liveness/inference/pack"
)

// What a file states of its inputs and outputs is what the runtime finds out of it, which takes as long as loading it.
func TestShapesAreThoseOfTheRuntime(t *testing.T) {
	t.Parallel()
	library := runtimeLibrary(t)
	models := 0
	for name, p := range map[string]pack.Pack{
		"default": defaultPack(t), "second": openPack(t, sharedDir(t, "models")), "built": builtPack(t),
	} {
		for file := range p.Files {
			model, err := p.Read(file)
			if err != nil {
				t.Fatal(err)
			}
			wantIn, wantOut, err := inference.RuntimeShapes(library, model)
			if err != nil {
				t.Fatal(err)
			}
			in, out, err := onnx.Shapes(model)
			if err != nil {
				t.Fatal(err)
			}
			for stated, want := range map[*map[string][]int64]map[string][]int64{&in: wantIn, &out: wantOut} {
				for value, lengths := range want {
					got := (*stated)[value]
					if len(got) != len(lengths) {
						t.Errorf("%s, %s: %s is %v, want %v", name, file, value, got, lengths)
						continue
					}
					for i := range got {
						if got[i] != max(lengths[i], 0) {
							t.Errorf("%s, %s: %s is %v, want %v", name, file, value, got, lengths)
							break
						}
					}
				}
			}
			models++
		}
	}
	if models < 5 {
		t.Errorf("%d models were looked at", models)
	}
}

// However a model is laid out for the runtime, it computes what its file says.
func TestModelsComputeWhatTheirFilesSay(t *testing.T) {
	t.Parallel()
	library := runtimeLibrary(t)
	tensors := map[string]func(c, y, x int) float32{
		"formula": formula, "grey": grey,
		"black": func(int, int, int) float32 { return 0 },
		"noise": func(c, y, x int) float32 { return float32(uint32(c*7919+y*104729+x*1299709+1) * 2654435761 >> 24) },
	}
	for name, p := range map[string]pack.Pack{
		"default": defaultPack(t), "second": openPack(t, sharedDir(t, "models")), "built": builtPack(t),
	} {
		for _, scorer := range p.Scorers {
			file, err := p.Read(scorer.File)
			if err != nil {
				t.Fatal(err)
			}
			if laid, err := onnx.Blocked(file); err != nil || bytes.Equal(laid, file) {
				t.Errorf("%s, %s: it is not laid out in blocks, %v", name, scorer.File, err)
			}
			for filled, fill := range tensors {
				given, run, err := inference.ScorerOutputs(library, p, scorer, fill)
				if err != nil {
					t.Fatal(err)
				}
				for i := range given {
					// The sums are the same in another order.
					if d := math.Abs(float64(given[i] - run[i])); !(d <= 1e-4*max(1, math.Abs(float64(given[i])))) {
						t.Errorf("%s, %s, %s: output %d is %v, want %v", name, scorer.File, filled, i, run[i], given[i])
					}
				}
			}
		}
	}
}
