package inference

import (
	"fmt"
	"math"

	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// scorer is one liveness model of a pack. It belongs to one worker.
type scorer struct {
	spec  pack.Scorer
	model *model
}

func newScorers(p pack.Pack, threads int) (scorers []scorer, err error) {
	for _, spec := range p.Scorers {
		onnx, err := p.Read(spec.File)
		if err != nil {
			closeScorers(scorers)
			return nil, err
		}
		m, err := newModel(onnx, spec.Input, []output{{spec.Output, []int64{1, int64(spec.Classes)}}}, threads)
		if err != nil {
			closeScorers(scorers)
			return nil, fmt.Errorf("model pack %s: scorer %s: %w", p.ID, spec.File, err)
		}
		scorers = append(scorers, scorer{spec: spec, model: m})
	}
	return scorers, nil
}

func closeScorers(scorers []scorer) {
	for _, s := range scorers {
		s.model.close()
	}
}

// live returns the probability, 0 to 1, that the face in the square box is a live one.
func (s *scorer) live(img *pixels.Image, square Box, sampler *pixels.Sampler) (float64, error) {
	window := square.crop(s.spec.CropScale, img.Width(), img.Height())
	in := s.model.input
	sampler.Bilinear(img, window, in, in.Width, in.Height)
	if err := s.model.run(); err != nil {
		return 0, fmt.Errorf("run %s: %w", s.spec.File, err)
	}
	return probability(s.model.outputs[0], s.spec.Live, s.spec.Softmax), nil
}

// probability reads one class of an output, through a softmax if the model ends before its own.
func probability(out []float32, class int, softmax bool) float64 {
	if !softmax {
		return float64(unit(out[class]))
	}
	sum := 0.0
	for _, v := range out {
		sum += math.Exp(float64(v - out[class]))
	}
	return 1 / sum
}
