package inference

import (
	"context"
	"fmt"
	"math"

	"github.com/pas-ta/liveness/inference/pixels"
)

// sighting is the largest face of an image in one of its four turns.
type sighting struct {
	view   *pixels.Image
	turned int // degrees clockwise
	faces  int // all that were found; 0 when there is none to judge
	face   face
	// doubt is how little the face looks upright: up to sure it does, up to likely it does when no other turn does more.
	doubt float64
}

// Limits of doubt.
const (
	sure   = 1
	likely = 2
)

// What makes a face surely upright, doubt 1. The figures are of 123 photos in all four turns (decision 25): models that find
// points in faces always find an upright face, so that the order of eyes and nose says nothing.
const (
	// wideEyes is the distance of the eyes, in widths of the face, that no face reaches that lies on its side or stands on
	// its head. Four in five upright faces do.
	wideEyes = 0.45
	// sureShift is by how much, in sides of the face, points shift at most when the face is mirrored.
	sureShift = 0.016
	// sureScore is the least score that YuNet gives to upright faces.
	sureScore = 0.91
)

// findFace finds the face to judge. A photo whose orientation was lost, or is stated wrongly, shows its face on the side or
// upside down, where the models find it badly or not at all and call it a fake. So when no face is found that is surely
// upright, the three other turns are looked at, on the detector's small input, until one is.
func (w *worker) findFace(ctx context.Context, img *pixels.Image) (sighting, error) {
	var best sighting
	for _, turned := range []int{0, 90, 270, 180} {
		if err := ctx.Err(); err != nil {
			return sighting{}, err
		}
		seen, err := w.look(img, turned)
		if err != nil {
			return sighting{}, err
		}
		if seen.faces > 0 && (turned == 0 || seen.doubt <= likely && (best.faces == 0 || seen.doubt < best.doubt)) {
			best = seen
		}
		if best.faces > 0 && best.doubt <= sure {
			return best, nil
		}
	}
	if best.faces == 0 {
		return sighting{}, ErrNoFace
	}
	return best, nil
}

// look finds the largest face in a turned view of the image, its landmarks where the pack can, and how upright it is.
func (w *worker) look(img *pixels.Image, turned int) (sighting, error) {
	seen := sighting{view: img, turned: turned}
	if turned != 0 {
		seen.view = img.Turned(turned)
	}
	w.looked = turned
	faces, err := w.detector.detect(seen.view, &w.sampler)
	if err != nil {
		return sighting{}, fmt.Errorf("detect faces: %w", err)
	}
	if len(faces) == 0 {
		return seen, nil
	}
	seen.faces, seen.face = len(faces), largest(faces)
	switch {
	case seen.face.hasMarks:
		seen.doubt = float64(1-seen.face.score) / (1 - sureScore)
	case w.landmarker != nil:
		seen.doubt, err = w.landmarker.markAndDoubt(&seen.face, seen.view, &w.sampler)
	case turned != 0:
		seen.doubt = sure + float64(1-seen.face.score) // the best one counts
	}
	if err != nil {
		return sighting{}, fmt.Errorf("find landmarks: %w", err)
	}
	return seen, nil
}

// markAndDoubt sets the landmarks of a face and says how little it looks upright. Of an upright face the model says the same
// as of its mirror image; of others it guesses.
func (l *landmarker) markAndDoubt(f *face, img *pixels.Image, sampler *pixels.Sampler) (float64, error) {
	if err := l.mark(f, img, sampler); err != nil {
		return 0, err
	}
	window := f.box.crop(1, img.Width(), img.Height())
	if f.marks.rightEye.X-f.marks.leftEye.X >= wideEyes*float64(window.Dx()) {
		return 0, nil
	}
	mirrored, err := l.mirrored(window)
	if err != nil {
		return 0, err
	}
	shift := func(a, b Point) float64 {
		return math.Hypot((a.X-b.X)/float64(window.Dx()), (a.Y-b.Y)/float64(window.Dy())) / 3
	}
	return (shift(f.marks.leftEye, mirrored.leftEye) + shift(f.marks.rightEye, mirrored.rightEye) + shift(f.marks.nose, mirrored.nose)) / sureShift, nil
}

// upright reports whether the face of a sighting stands upright, as far as the pack can tell: by the order of eyes and nose,
// and where a model of its own finds them, which always finds an order, by how much it doubts it.
func (w *worker) upright(s sighting) bool {
	return (!s.face.hasMarks || s.face.marks.inOrder()) && (w.landmarker == nil || s.doubt <= likely)
}

// inOrder reports whether the left eye is the one on the left, and the nose on the lower side of the line between the eyes.
func (m landmarks) inOrder() bool {
	across, down := m.rightEye.X-m.leftEye.X, m.rightEye.Y-m.leftEye.Y
	return across > 0 && across*(m.nose.Y-m.leftEye.Y) > down*(m.nose.X-m.leftEye.X)
}
