package inference

import (
	"fmt"
	"image"
	"slices"

	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// landmarker finds eyes and nose of a face. It belongs to one worker.
type landmarker struct {
	spec  pack.Landmarks
	model *model
}

// newLandmarker returns nil when the pack has no such stage.
func newLandmarker(p *models) (*landmarker, error) {
	if p.Landmarks == nil {
		return nil, nil
	}
	spec := *p.Landmarks
	m, err := newModel(p, spec.File, spec.Input, []output{{spec.Output, []int64{1, int64(2 * spec.Points)}}})
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
	if err := l.run(); err != nil {
		return err
	}
	place := func(points ...int) Point { return l.place(points, window, false) }
	f.marks = landmarks{leftEye: place(l.spec.LeftEye...), rightEye: place(l.spec.RightEye...), nose: place(l.spec.NoseTip)}
	f.hasMarks = true
	return nil
}

// mirrored returns the landmarks that the model finds in the mirror image of the face that was marked last, from window, put
// back to where they are in the image.
func (l *landmarker) mirrored(window image.Rectangle) (landmarks, error) {
	in := l.model.input
	for row := range slices.Chunk(in.Data, in.Width) {
		slices.Reverse(row)
	}
	if err := l.run(); err != nil {
		return landmarks{}, err
	}
	place := func(points ...int) Point { return l.place(points, window, true) }
	return landmarks{leftEye: place(l.spec.RightEye...), rightEye: place(l.spec.LeftEye...), nose: place(l.spec.NoseTip)}, nil
}

func (l *landmarker) run() error {
	if err := l.model.run(); err != nil {
		return fmt.Errorf("run %s: %w", l.spec.File, err)
	}
	return nil
}

// place returns the middle of some points of the output, in pixels of the image.
func (l *landmarker) place(points []int, window image.Rectangle, mirrored bool) Point {
	var x, y float64 // in sides of the window
	for _, i := range points {
		x += float64(l.model.outputs[0][2*i]) / float64(len(points))
		y += float64(l.model.outputs[0][2*i+1]) / float64(len(points))
	}
	if mirrored {
		x = 1 - x
	}
	return Point{X: float64(window.Min.X) + x*float64(window.Dx()), Y: float64(window.Min.Y) + y*float64(window.Dy())}
}
