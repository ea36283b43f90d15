package inference

import (
	"fmt"

	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// detector finds the faces of an image. It belongs to one worker.
type detector interface {
	// detect returns the faces after non-maximum suppression, best first. The slice is valid until the next call.
	detect(img *pixels.Image, sampler *pixels.Sampler) ([]face, error)
	// scene returns the image that was looked at last, until the next one.
	scene() scene
	models() []*model
}

func newDetector(p *models) (d detector, err error) {
	switch p.Detector.Kind {
	case pack.UltraLight:
		d, err = newUltraLight(p)
	case pack.YuNet:
		d, err = newYuNet(p)
	default:
		err = fmt.Errorf("unknown detector kind %q", p.Detector.Kind)
	}
	if err != nil {
		return nil, fmt.Errorf("model pack %s: detector %s: %w", p.ID, p.Detector.File, err)
	}
	return d, nil
}
