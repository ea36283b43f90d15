package inference

import (
	"cmp"
	"image"
	"math"
	"slices"
)

// Box is a rectangle in pixels of the upright image; X and Y are its left top
// corner. It may reach over the edges of the image.
type Box struct {
	X, Y, W, H float64
}

// Point is a position in pixels of the upright image.
type Point struct {
	X, Y float64
}

// face is one detection.
type face struct {
	box   Box
	score float32
	// marks is valid when hasMarks is set.
	marks    landmarks
	hasMarks bool
}

// landmarks are the points that show where a face looks. Left and right are sides of the picture.
type landmarks struct {
	leftEye, rightEye, nose Point
}

// area returns the area in square pixels.
func (b Box) area() float64 { return max(b.W, 0) * max(b.H, 0) }

// overlap returns the intersection over union of two boxes.
func (b Box) overlap(c Box) float64 {
	w := min(b.X+b.W, c.X+c.W) - max(b.X, c.X)
	h := min(b.Y+b.H, c.Y+c.H) - max(b.Y, c.Y)
	if w <= 0 || h <= 0 {
		return 0
	}
	return w * h / (b.area() + c.area() - w*h)
}

// square returns the square of the same area that stands on the middle of the lower edge. The liveness models were
// trained on such boxes; feeding them the taller boxes of the detectors multiplies the errors on live faces.
func (b Box) square() Box {
	side := math.Sqrt(b.area())
	return Box{X: b.X + b.W/2 - side/2, Y: b.Y + b.H - side, W: side, H: side}
}

// margin returns the least distance of a side of the box from the edge of a width × height image, in sides of the
// square box. It is negative for a box that reaches over the edge.
func (b Box) margin(width, height int) float64 {
	return min(b.X, b.Y, float64(width)-b.X-b.W, float64(height)-b.Y-b.H) / math.Sqrt(b.area())
}

// crop returns the window of scale times the box about its centre. The scale is reduced until the window fits into the
// image; then it is shifted inside, so that no model ever sees an invented border.
func (b Box) crop(scale float64, width, height int) image.Rectangle {
	right, bottom := float64(width-1), float64(height-1)
	k := min(scale, right/b.W, bottom/b.H)
	w, h := k*b.W, k*b.H
	x1, y1 := b.X+b.W/2-w/2, b.Y+b.H/2-h/2
	x1 = max(0, min(x1, right-w))
	y1 = max(0, min(y1, bottom-h))
	// Both corners are truncated and inclusive, as in the models' training code.
	return image.Rect(int(x1), int(y1), int(x1+w)+1, int(y1+h)+1).
		Intersect(image.Rect(0, 0, width, height))
}

// clip returns the pixels of the image that the box covers, at least one.
func (b Box) clip(width, height int) image.Rectangle {
	r := image.Rect(int(math.Floor(b.X)), int(math.Floor(b.Y)), int(math.Ceil(b.X+b.W)), int(math.Ceil(b.Y+b.H))).
		Intersect(image.Rect(0, 0, width, height))
	if r.Empty() {
		x, y := min(max(int(b.X), 0), width-1), min(max(int(b.Y), 0), height-1)
		return image.Rect(x, y, x+1, y+1)
	}
	return r
}

// suppress sorts faces by score and removes each one that overlaps a better
// one by more than maxOverlap (non-maximum suppression), in place.
func suppress(faces []face, maxOverlap float32) []face {
	slices.SortStableFunc(faces, func(a, b face) int { return cmp.Compare(b.score, a.score) })
	kept := faces[:0]
	for _, f := range faces {
		if !slices.ContainsFunc(kept, func(k face) bool { return k.box.overlap(f.box) > float64(maxOverlap) }) {
			kept = append(kept, f)
		}
	}
	return kept
}

// largest returns the face of the largest area; faces must not be empty.
func largest(faces []face) face {
	return slices.MaxFunc(faces, func(a, b face) int { return cmp.Compare(a.box.area(), b.box.area()) })
}
