package pixels

import "image"

// Order is the order in which a tensor holds the colour planes.
type Order string

// The colour orders that models are trained with. Grey is a single plane of luma.
const (
	RGB  Order = "RGB"
	BGR  Order = "BGR"
	Grey Order = "GREY"
)

// Planes returns the number of planes, 0 for an unknown order.
func (o Order) Planes() int {
	switch o {
	case RGB, BGR:
		return 3
	case Grey:
		return 1
	}
	return 0
}

// Tensor describes where sampled pixels go: planes of Height rows of Width values each (NCHW with N = 1), every value
// (pixel − Mean) × Scale with pixels from 0 to 255.
type Tensor struct {
	Data          []float32
	Width, Height int
	Order         Order
	Mean, Scale   float32
}

// Sampler reads windows of images. It owns the tables of sample positions, so
// that a reused Sampler does not allocate. It is not safe for concurrent use.
type Sampler struct {
	columns, rows []tap
}

// tap is where one output column or row reads: a pair of source pixels and the share of the second one, and the same
// for the chroma samples of a planar image.
type tap struct {
	luma0, luma1     uint32
	chroma0, chroma1 uint32
	share, chroma    int32 // of 1<<shareBits
}

// shareBits is the resolution of an interpolation share. Two shares and eight bits of colour fit into an int32, which
// is faster than converting every byte to a float; the error stays below an eighth of a grey level.
const shareBits = 11

// taps lists the bilinear taps of n outputs over size pixels from origin, at half-pixel centres and without
// antialiasing: output i reads the source at origin + (i + 0.5)·size/n − 0.5. Taps outside the window repeat its edge,
// as if the window had been cut out first.
func taps(into []tap, a axis, origin, size, n int) []tap {
	into = into[:0]
	scale := float64(size) / float64(n)
	for i := range n {
		at := float64(origin) + min(max((float64(i)+0.5)*scale-0.5, 0), float64(size-1))
		if a.flip {
			at = float64(a.length-1) - at
		}
		var t tap
		t.luma0, t.luma1, t.share = between(at, a.length, a.step)
		// A chroma sample lies in the middle of the pixels that share it. Interpolating between the samples, which
		// libjpeg calls fancy upsampling, keeps colours as the models saw them in training.
		shared := float64(int(1) << a.chromaShift)
		t.chroma0, t.chroma1, t.chroma = between((at+0.5)/shared-0.5, (a.length-1)>>a.chromaShift+1, a.chromaStep)
		into = append(into, t)
	}
	return into
}

// between returns the offsets of the neighbours of a position among n samples
// that lie step apart, and the share of the second one.
func between(at float64, n, step int) (first, second uint32, share int32) {
	at = min(max(at, 0), float64(n-1))
	i := int(at)
	return uint32(i * step), uint32(min(i+1, n-1) * step), int32((at-float64(i))*(1<<shareBits) + 0.5)
}

// Bilinear resizes window, which has to lie inside the image, to width × height and writes it into the top left of dst.
// What lies outside of that part of dst is left as it is.
func (s *Sampler) Bilinear(m *Image, window image.Rectangle, dst Tensor, width, height int) {
	s.columns = taps(s.columns, m.x, window.Min.X, window.Dx(), width)
	s.rows = taps(s.rows, m.yy, window.Min.Y, window.Dy(), height)
	if dst.Order == Grey {
		s.grey(m, dst, width)
		return
	}
	plane := dst.Width * dst.Height
	r, g, b := dst.Data[:plane], dst.Data[plane:2*plane], dst.Data[2*plane:3*plane]
	if dst.Order == BGR {
		r, b = b, r
	}
	bias := -dst.Mean * dst.Scale
	for y := range s.rows {
		row, at := &s.rows[y], y*dst.Width
		if m.planar {
			s.planarRow(m, row, r[at:at+width], g[at:at+width], b[at:at+width], dst.Scale, bias)
		} else {
			s.interleavedRow(m, row, r[at:at+width], g[at:at+width], b[at:at+width], dst.Scale, bias)
		}
	}
}

func (s *Sampler) interleavedRow(m *Image, row *tap, r, g, b []float32, scale, bias float32) {
	r0, g0, b0 := m.r[row.luma0:], m.g[row.luma0:], m.b[row.luma0:]
	r1, g1, b1 := m.r[row.luma1:], m.g[row.luma1:], m.b[row.luma1:]
	for x := range s.columns {
		c := &s.columns[x]
		p, q := c.luma0, c.luma1
		r[x] = float32(round(mix(r0[p], r0[q], r1[p], r1[q], c.share, row.share)))*scale + bias
		g[x] = float32(round(mix(g0[p], g0[q], g1[p], g1[q], c.share, row.share)))*scale + bias
		b[x] = float32(round(mix(b0[p], b0[q], b1[p], b1[q], c.share, row.share)))*scale + bias
	}
}

// planarRow interpolates luma and chroma each in its own plane and converts once per output by the JFIF formula.
func (s *Sampler) planarRow(m *Image, row *tap, r, g, b []float32, scale, bias float32) {
	// 10 fraction bits of a colour and 10 of a factor fit into an int32.
	const (
		drop     = 2*shareBits - 10
		half     = 1 << 19
		redCr    = 1436 // 1.402 × 1024
		greenCb  = 352  // 0.344136 × 1024
		greenCr  = 731  // 0.714136 × 1024
		blueCb   = 1815 // 1.772 × 1024
		noChroma = 128 << 10
	)
	y0, y1 := m.y[row.luma0:], m.y[row.luma1:]
	cb0, cb1 := m.cb[row.chroma0:], m.cb[row.chroma1:]
	cr0, cr1 := m.cr[row.chroma0:], m.cr[row.chroma1:]
	for x := range s.columns {
		c := &s.columns[x]
		p, q := c.luma0, c.luma1
		luma := mix(y0[p], y0[q], y1[p], y1[q], c.share, row.share)>>drop<<10 + half
		p, q = c.chroma0, c.chroma1
		cb := mix(cb0[p], cb0[q], cb1[p], cb1[q], c.chroma, row.chroma)>>drop - noChroma
		cr := mix(cr0[p], cr0[q], cr1[p], cr1[q], c.chroma, row.chroma)>>drop - noChroma
		r[x] = float32(clamp((luma+redCr*cr)>>20))*scale + bias
		g[x] = float32(clamp((luma-greenCb*cb-greenCr*cr)>>20))*scale + bias
		b[x] = float32(clamp((luma+blueCb*cb)>>20))*scale + bias
	}
}

// grey writes the single plane of luma.
func (s *Sampler) grey(m *Image, dst Tensor, width int) {
	bias := -dst.Mean * dst.Scale
	for y := range s.rows {
		row, out := &s.rows[y], dst.Data[y*dst.Width:][:width]
		for x := range out {
			c := &s.columns[x]
			luma := mix(m.luma(row.luma0+c.luma0), m.luma(row.luma0+c.luma1),
				m.luma(row.luma1+c.luma0), m.luma(row.luma1+c.luma1), c.share, row.share)
			out[x] = float32(round(luma))*dst.Scale + bias
		}
	}
}

// mix interpolates between four neighbours: a and b in the upper row, c and d
// in the lower one. The result is in units of 1/(1<<(2·shareBits)).
func mix(a, b, c, d uint8, share, lower int32) int32 {
	upperRow := int32(a)<<shareBits + (int32(b)-int32(a))*share
	lowerRow := int32(c)<<shareBits + (int32(d)-int32(c))*share
	return upperRow<<shareBits + (lowerRow-upperRow)*lower
}

// round returns a mixed value as a whole number. The models were trained on, and their reference values were made with,
// resized pictures of 8 bits; with the fractions left in, the YuNet detector chooses other boxes where two are close.
func round(v int32) int32 { return (v + 1<<(2*shareBits-1)) >> (2 * shareBits) }

// clamp limits a colour to 0..255.
func clamp(v int32) int32 { return min(max(v, 0), 255) }
