package inference

import (
	"fmt"

	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// landmarker finds eyes and nose of a face. It belongs to one worker.
type landmarker struct {
	spec  pack.Landmarks
	model *model
}

// newLandmarker returns nil when the pack has no such stage.
func newLandmarker(p pack.Pack, threads int) (*landmarker, error) {
	if p.Landmarks == nil {
		return nil, nil
	}
	spec := *p.Landmarks
	onnx, err := p.Read(spec.File)
	if err != nil {
		return nil, err
	}
	m, err := newModel(onnx, spec.Input, []output{{spec.Output, []int64{1, int64(2 * spec.Points)}}}, threads)
	if err != nil {
		return nil, fmt.Errorf("model pack %s: landmarks %s: %w", p.ID, spec.File, err)
	}
	return &landmarker{spec: spec, model: m}, nil
}

// mark sets the landmarks of a face.
func (l *landmarker) mark(f *face, img *pixels.Image, sampler *pixels.Sampler) error {
	window := f.box.crop(1, img.Width(), img.Height())
	in := l.model.input
	sampler.Bilinear(img, window, in, in.Width, in.Height)
	if err := l.model.run(); err != nil {
		return fmt.Errorf("run %s: %w", l.spec.File, err)
	}
	middle := func(points ...int) (p Point) {
		for _, i := range points {
			p.X += float64(l.model.outputs[0][2*i]) / float64(len(points))
			p.Y += float64(l.model.outputs[0][2*i+1]) / float64(len(points))
		}
		return Point{
			X: float64(window.Min.X) + p.X*float64(window.Dx()),
			Y: float64(window.Min.Y) + p.Y*float64(window.Dy()),
		}
	}
	f.marks = landmarks{
		leftEye: middle(l.spec.LeftEye...), rightEye: middle(l.spec.RightEye...), nose: middle(l.spec.NoseTip),
	}
	f.hasMarks = true
	return nil
}
