package inference

import (
	"fmt"
	"image"
	"math"
	"slices"

	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// scorers are the liveness models of a pack and how they look at a face. They belong to one worker.
type scorers struct {
	models []*model
	// looks are the scorers of the manifest, in its order.
	looks []look
}

// look is one scorer of the manifest.
type look struct {
	pack.Scorer
	model *model
	// crop is what the input tensor of the model holds once the look has been prepared.
	crop crop
}

// crop says which pixels an input tensor holds.
type crop struct {
	window   image.Rectangle
	mirrored bool
	gain     float64
}

func newScorers(p *models) (s scorers, err error) {
	defer func() {
		if err != nil {
			s.close()
			s = scorers{}
		}
	}()
	for _, spec := range p.Scorers {
		i := slices.IndexFunc(s.looks, func(l look) bool {
			return l.File == spec.File && l.Input == spec.Input && l.Output == spec.Output && l.Classes == spec.Classes
		})
		if i >= 0 {
			s.looks = append(s.looks, look{Scorer: spec, model: s.looks[i].model})
			continue
		}
		m, err := newModel(p, spec.File, spec.Input, []output{{spec.Output, []int64{1, int64(spec.Classes)}}})
		if err != nil {
			return s, fmt.Errorf("model pack %s: scorer %s: %w", p.ID, spec.File, err)
		}
		s.models, s.looks = append(s.models, m), append(s.looks, look{Scorer: spec, model: m})
	}
	return s, nil
}

func (s *scorers) close() {
	for _, m := range s.models {
		m.close()
	}
}

// live returns for each scorer the probability, 0 to 1, that the face in the square box is a live one. The brightness is the face's.
func (s *scorers) live(img *pixels.Image, square Box, brightness float64, sampler *pixels.Sampler) ([]float64, error) {
	live := make([]float64, len(s.looks))
	for i := range s.looks {
		l := &s.looks[i]
		l.crop = crop{square.crop(l.CropScale, img.Width(), img.Height()), l.Mirrored, l.Gain(brightness)}
		s.fill(l, s.looks[:i], img, sampler)
		if err := l.model.run(); err != nil {
			return nil, fmt.Errorf("run %s: %w", l.File, err)
		}
		live[i] = probability(l.model.outputs[0], l.Live, l.Softmax)
	}
	return live, nil
}

// fill puts the crop of a look into its model's tensor. Where the image limits the crops of several scorers they are the
// same, so what an earlier one has sampled is copied if that is still there.
func (s *scorers) fill(l *look, earlier []look, img *pixels.Image, sampler *pixels.Sampler) {
	in := l.model.input
	for i := len(earlier) - 1; i >= 0; i-- {
		e := &earlier[i]
		overwritten := slices.ContainsFunc(earlier[i+1:], func(later look) bool { return later.model == e.model })
		if e.crop == l.crop && !overwritten && e.Input.Alike(l.Input) {
			copy(in.Data, e.model.input.Data)
			return
		}
	}
	sampler.Bilinear(img, l.crop.window, in, in.Width, in.Height)
	if l.crop.gain > 1 {
		expose(in.Data, l.Input, float32(l.crop.gain))
	}
	if l.crop.mirrored {
		for row := range slices.Chunk(in.Data, in.Width) {
			slices.Reverse(row)
		}
	}
}

// expose multiplies the pixels that a tensor was filled with, as a longer exposure would have.
func expose(data []float32, in pack.Input, gain float32) {
	white := (255 - in.Mean) * in.Scale
	offset := in.Mean * in.Scale * (gain - 1) // (pixel·gain − mean)·scale, from (pixel − mean)·scale
	for i, v := range data {
		if v = v*gain + offset; in.Scale > 0 {
			data[i] = min(v, white)
		} else {
			data[i] = max(v, white)
		}
	}
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
