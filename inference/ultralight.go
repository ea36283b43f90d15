package inference

import (
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// ultraLight is the detector kind pack.UltraLight.
type ultraLight struct {
	spec  pack.Detector
	model *model
	faces []face
}

func newUltraLight(p *models) (*ultraLight, error) {
	spec := p.Detector
	// One box per anchor: 3, 2, 2 and 3 anchors on the cells of strides 8, 16, 32 and 64, 4420 for 320×240.
	anchors := 0
	for _, level := range []struct{ stride, perCell int }{{8, 3}, {16, 2}, {32, 2}, {64, 3}} {
		columns := (spec.Input.Width + level.stride - 1) / level.stride
		rows := (spec.Input.Height + level.stride - 1) / level.stride
		anchors += columns * rows * level.perCell
	}
	m, err := newModel(p, spec.File, spec.Input, []output{
		{"scores", []int64{1, int64(anchors), 2}},
		{"boxes", []int64{1, int64(anchors), 4}},
	})
	if err != nil {
		return nil, err
	}
	return &ultraLight{spec: spec, model: m}, nil
}

func (d *ultraLight) models() []*model { return []*model{d.model} }

func (d *ultraLight) scene() scene {
	in := d.model.input
	return scene{tensor: in, width: in.Width, height: in.Height}
}

func (d *ultraLight) detect(img *pixels.Image, sampler *pixels.Sampler) ([]face, error) {
	in := d.model.input
	sampler.Bilinear(img, img.Bounds(), in, in.Width, in.Height)
	if err := d.model.run(); err != nil {
		return nil, err
	}
	scores, boxes := d.model.outputs[0], d.model.outputs[1]
	width, height := float64(img.Width()), float64(img.Height())
	d.faces = d.faces[:0]
	for i := range len(scores) / 2 {
		score := scores[2*i+1]
		if score < d.spec.MinScore {
			continue
		}
		b := boxes[4*i : 4*i+4]
		box := Box{
			X: float64(b[0]) * width, Y: float64(b[1]) * height,
			W: float64(b[2]-b[0]) * width, H: float64(b[3]-b[1]) * height,
		}
		if box.W >= 1 && box.H >= 1 {
			d.faces = append(d.faces, face{box: box, score: score})
		}
	}
	return suppress(d.faces, d.spec.MaxOverlap), nil
}
