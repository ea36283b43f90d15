package inference

import (
	"math"

	"github.com/pas-ta/liveness/inference/pixels"
)

// scene is the whole photo as the detector's input holds it: small, and read already, so that looking at it costs next to
// nothing. It may be stretched and turned, which nothing here minds.
type scene struct {
	tensor        pixels.Tensor
	width, height int // of the part that holds the photo
}

// rgb is a colour, 0 to 255 each.
type rgb [3]float32

func (s scene) at(x, y int) (c rgb) {
	t := s.tensor
	for plane := range c {
		c[plane] = t.Data[(plane*t.Height+y)*t.Width+x]/t.Scale + t.Mean
	}
	if t.Order == pixels.BGR {
		c[0], c[2] = c[2], c[0]
	}
	return c
}

func (c rgb) luma() float32 { return 0.299*c[0] + 0.587*c[1] + 0.114*c[2] }

// apart returns the largest difference of a channel.
func (c rgb) apart(d rgb) float32 {
	most := float32(0)
	for i := range c {
		most = max(most, c[i]-d[i], d[i]-c[i])
	}
	return most
}

// colours measures in how many ways the picture is coloured. variety is the standard deviation of the chroma among pixels of
// about the same luma, in steps of 255; share is the part it is of all chroma. Both are 0 where the brightness settles the
// colour: variety for greyscale, share for sepia and every other picture of a single hue, however strong. The light of a room
// changes both chroma and its variety, and so leaves the share.
func (s scene) colours() (variety, share float64) {
	const (
		step   = 6 // every sixth row and column
		levels = 32
	)
	var bins [levels]struct{ n, blue, red, squares float64 }
	total, all := 0.0, 0.0
	for y := 0; y < s.height; y += step {
		for x := 0; x < s.width; x += step {
			c := s.at(x, y)
			luma := c.luma()
			blue, red := float64(0.564*(c[2]-luma)), float64(0.713*(c[0]-luma))
			b := &bins[min(max(int(luma)*levels/256, 0), levels-1)]
			b.n++
			b.blue += blue
			b.red += red
			b.squares += blue*blue + red*red
			total++
		}
	}
	rest := 0.0
	for _, b := range bins {
		if b.n > 0 {
			all += b.squares
			rest += b.squares - (b.blue*b.blue+b.red*b.red)/b.n
		}
	}
	rest = max(rest, 0)
	return math.Sqrt(rest / total), math.Sqrt(rest / max(all, 1))
}

// borders returns how wide the uniform bands along the four edges are, in shares of the picture: left, top, right, bottom.
// A band counts only if the picture behind it begins in a straight line; a white wall is none, since what stands before it
// does not begin at one distance from the edge.
func (s scene) borders() []float64 {
	w, h := s.width, s.height
	return []float64{
		band(w, h, s.at),
		band(h, w, func(depth, along int) rgb { return s.at(along, depth) }),
		band(w, h, func(depth, along int) rgb { return s.at(w-1-depth, along) }),
		band(h, w, func(depth, along int) rgb { return s.at(along, h-1-depth) }),
	}
}

// band returns the width of the uniform band at one edge of a picture that is deep pixels deep from there and length pixels
// long along it, as a share of the depth.
func band(deep, length int, at func(depth, along int) rgb) float64 {
	const (
		like    = 8  // largest difference within a band: what JPEG leaves
		unlike  = 16 // least difference of what follows
		blurred = 10 // lines over which JPEG and scaling spread the edge
	)
	colour := at(0, length/2)
	uniform := func(depth int) bool {
		for along := range length {
			if at(depth, along).apart(colour) > like {
				return false
			}
		}
		return true
	}
	depth := 0
	for depth < deep/2 && uniform(depth) {
		depth++
	}
	if depth == 0 || depth >= deep/2 {
		return 0
	}
	for behind := depth; behind < min(depth+blurred, deep); behind++ {
		differs := 0
		for along := length / 4; along < length*3/4; along++ {
			if at(behind, along).apart(colour) > unlike {
				differs++
			}
		}
		if differs*10 >= length/2*6 {
			return float64(depth) / float64(deep)
		}
	}
	return 0
}

// framed returns how nearly the face, given in shares of the picture, stands in a rectangle with straight sides, such as
// those of a picture that lies in the picture: of the four sides, the share of the least complete that is an edge. What a
// camera sees behind a person may have straight lines, but hardly four that meet around the face.
func (s scene) framed(left, top, right, bottom float64) float64 {
	x1, x2 := int(left*float64(s.width)), int(right*float64(s.width))
	y1, y2 := int(top*float64(s.height)), int(bottom*float64(s.height))
	x1, x2, y1, y2 = max(x1, 1), min(x2, s.width-2), max(y1, 1), min(y2, s.height-2)
	if x2-x1 < leastSide || y2-y1 < leastSide {
		return 0
	}
	row, limit := s.tensor.Width, edge*s.tensor.Scale
	upright := func(x, y int) bool { return s.differ(y*row+x-1, y*row+x+1, limit) }
	across := func(y, x int) bool { return s.differ((y-1)*row+x, (y+1)*row+x, limit) }
	l, r := line(upright, x1, 0, y1, y2), line(upright, x2, s.width-1, y1, y2)
	t, b := line(across, y1, 0, x1, x2), line(across, y2, s.height-1, x1, x2)
	if min(l, r, t, b) == 0 {
		return 0
	}
	return min(
		share(upright, l, t, b), share(upright, r, t, b),
		share(across, t, l, r), share(across, b, l, r))
}

const (
	edge      = 16  // least difference of the pixels on both sides of an edge
	straight  = 0.8 // least share of the face along which the side of a frame is an edge
	leastSide = 8   // of a face in the scene, to be looked at
)

// line returns the position, going from a side of the face to the end of the picture, at which an edge runs along most of the
// face, the straightest if there are several; 0 when there is none.
func line(is func(at, along int) bool, from, to, first, last int) (best int) {
	step := 1
	if to < from {
		step = -1
	}
	// Every fourth pixel is looked at, and no more of a line once it cannot be straight: most cost a few pixels.
	const stride = 4
	n := (last - first + stride - 1) / stride
	most := int(straight * float64(n))
	for at := from + step; at != to; at += step {
		missed := 0
		for along := first; along < last && n-missed > most; along += stride {
			if !is(at, along) {
				missed++
			}
		}
		if n-missed > most {
			best, most = at, n-missed
		}
	}
	return best
}

// differ reports whether two pixels, by their offsets in a plane, differ by more than limit in a channel.
func (s scene) differ(a, b int, limit float32) bool {
	plane := s.tensor.Width * s.tensor.Height
	for range 3 {
		if d := s.tensor.Data[a] - s.tensor.Data[b]; d > limit || -d > limit {
			return true
		}
		a, b = a+plane, b+plane
	}
	return false
}

// share returns how much of a line is an edge.
func share(is func(at, along int) bool, at, first, last int) float64 {
	n := 0
	for along := first; along < last; along++ {
		if is(at, along) {
			n++
		}
	}
	return float64(n) / float64(max(last-first, 1))
}
