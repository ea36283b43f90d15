package inference

import (
	"fmt"
	"math"

	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

var yuNetStrides = []int{8, 16, 32}

// yuNet is the detector kind pack.YuNet.
type yuNet struct {
	spec  pack.Detector
	model *model
	faces []face
	// used is the part of the input tensor that the last image was laid into:
	// the rest must be zero.
	usedWidth, usedHeight int
}

func newYuNet(p *models) (*yuNet, error) {
	spec := p.Detector
	var outputs []output
	for _, kind := range []struct {
		name  string
		width int64
	}{{"cls", 1}, {"obj", 1}, {"bbox", 4}, {"kps", 10}} {
		for _, stride := range yuNetStrides {
			cells := int64(spec.Input.Width / stride * (spec.Input.Height / stride))
			outputs = append(outputs, output{fmt.Sprintf("%s_%d", kind.name, stride), []int64{1, cells, kind.width}})
		}
	}
	m, err := newModel(p, spec.File, spec.Input, outputs)
	if err != nil {
		return nil, err
	}
	return &yuNet{spec: spec, model: m}, nil
}

func (d *yuNet) models() []*model { return []*model{d.model} }

func (d *yuNet) scene() scene {
	return scene{tensor: d.model.input, width: d.usedWidth, height: d.usedHeight}
}

func (d *yuNet) detect(img *pixels.Image, sampler *pixels.Sampler) ([]face, error) {
	in := d.model.input
	scale := min(float64(in.Width)/float64(img.Width()), float64(in.Height)/float64(img.Height()))
	width := min(in.Width, max(1, int(math.Round(float64(img.Width())*scale))))
	height := min(in.Height, max(1, int(math.Round(float64(img.Height())*scale))))
	if width < d.usedWidth || height < d.usedHeight {
		clear(in.Data)
	}
	d.usedWidth, d.usedHeight = width, height
	sampler.Bilinear(img, img.Bounds(), in, width, height)
	if err := d.model.run(); err != nil {
		return nil, err
	}
	d.faces = d.faces[:0]
	for level, stride := range yuNetStrides {
		d.appendFaces(level, stride, scale)
	}
	return suppress(d.faces, d.spec.MaxOverlap), nil
}

// appendFaces reads the cells of one stride.
func (d *yuNet) appendFaces(level, stride int, scale float64) {
	levels := len(yuNetStrides)
	out := d.model.outputs
	classes, objects, boxes, marks := out[level], out[levels+level], out[2*levels+level], out[3*levels+level]
	columns := d.spec.Input.Width / stride
	t := float64(stride) / scale
	for i := range classes {
		score := float32(math.Sqrt(float64(unit(classes[i]) * unit(objects[i]))))
		if score < d.spec.MinScore {
			continue
		}
		column, row := float64(i%columns), float64(i/columns)
		b := boxes[4*i : 4*i+4]
		x, y := (column+float64(b[0]))*t, (row+float64(b[1]))*t
		w, h := math.Exp(float64(b[2]))*t, math.Exp(float64(b[3]))*t
		f := face{box: Box{X: x - w/2, Y: y - h/2, W: w, H: h}, score: score, hasMarks: true}
		mark := func(k int) Point {
			return Point{X: (column + float64(marks[10*i+2*k])) * t, Y: (row + float64(marks[10*i+2*k+1])) * t}
		}
		f.marks = landmarks{leftEye: mark(0), rightEye: mark(1), nose: mark(2)}
		if math.IsInf(f.box.area(), 0) || math.IsNaN(f.box.area()) {
			continue // not a box that could be cropped
		}
		d.faces = append(d.faces, f)
	}
}

func unit(v float32) float32 { return min(max(v, 0), 1) }
