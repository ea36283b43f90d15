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

// tap is where one output column or row reads: a pair of source pixels and the share of the second one, and the chroma
// samples of both for a planar image.
type tap struct {
	luma0, luma1     uint32
	share            int32 // of 1<<shareBits
	chroma0, chroma1 chromaTap
}

// chromaTap is what one axis says of the chroma of a pixel: the offsets of the sample that it shares and of the next one
// on its other side, and what it adds before the sum is rounded.
type chromaTap struct {
	near, far uint32
	bias      int32
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
		first := int(at)
		second := min(first+1, a.length-1)
		t := tap{luma0: uint32(first * a.step), luma1: uint32(second * a.step), share: int32((at-float64(first))*(1<<shareBits) + 0.5)}
		if a.chromaStep > 0 {
			t.chroma0, t.chroma1 = a.chroma(first), a.chroma(second)
		}
		into = append(into, t)
	}
	return into
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
	columns := s.columns
	r, g, b = r[:len(columns)], g[:len(columns)], b[:len(columns)]
	for x := range columns {
		c := &columns[x]
		p, q := c.luma0, c.luma1
		w := sharesOf(c.share, row.share)
		red, blue := w.mixTwo(pair(r0[p], b0[p]), pair(r0[q], b0[q]), pair(r1[p], b1[p]), pair(r1[q], b1[q]))
		green := w.mixOne(g0[p], g0[q], g1[p], g1[q])
		r[x], g[x], b[x] = red*scale+bias, green*scale+bias, blue*scale+bias
	}
}

// shares are what four neighbours count for, upper left and right before lower, in units of 1/(1<<(2·shareBits)).
type shares struct{ a, b, c, d uint64 }

// sharesOf returns them for a point by its shares of the right and of the lower pixels.
func sharesOf(right, lower int32) shares {
	const one = 1 << shareBits
	d := uint64(right) * uint64(lower)
	b, c := uint64(right)*one-d, uint64(lower)*one-d
	return shares{one*one - b - c - d, b, c, d}
}

// pair holds two channels, which are mixed at once: neither sum reaches the other's half.
func pair(low, high uint8) uint64 { return uint64(low) | uint64(high)<<32 }

// halfShare is what makes a mixed value a whole number by rounding, as round does.
const halfShare = 1 << (2*shareBits - 1)

// mixTwo mixes pairs and returns the whole numbers that they come to.
func (w shares) mixTwo(a, b, c, d uint64) (low, high float32) {
	v := a*w.a + b*w.b + c*w.c + d*w.d + halfShare*(1<<32+1)
	return float32(int32(uint32(v) >> (2 * shareBits))), float32(int32(v >> (32 + 2*shareBits)))
}

// mixOne is mixTwo for one channel.
func (w shares) mixOne(a, b, c, d uint8) float32 {
	return float32(int32((uint64(a)*w.a + uint64(b)*w.b + uint64(c)*w.c + uint64(d)*w.d + halfShare) >> (2 * shareBits)))
}

// planarRow interpolates between the colours that the pixels would have in an interleaved image.
func (s *Sampler) planarRow(m *Image, row *tap, r, g, b []float32, scale, bias float32) {
	for x := range s.columns {
		c := &s.columns[x]
		r00, g00, b00 := m.colour(row.luma0+c.luma0, &row.chroma0, &c.chroma0)
		r01, g01, b01 := m.colour(row.luma0+c.luma1, &row.chroma0, &c.chroma1)
		r10, g10, b10 := m.colour(row.luma1+c.luma0, &row.chroma1, &c.chroma0)
		r11, g11, b11 := m.colour(row.luma1+c.luma1, &row.chroma1, &c.chroma1)
		r[x] = float32(round(mix(r00, r01, r10, r11, c.share, row.share)))*scale + bias
		g[x] = float32(round(mix(g00, g01, g10, g11, c.share, row.share)))*scale + bias
		b[x] = float32(round(mix(b00, b01, b10, b11, c.share, row.share)))*scale + bias
	}
}

// colour returns the colour of one pixel of a planar image, from the luma at an offset and the chroma that both axes
// name. It is that of libjpeg, bit for bit: where two boxes of a detector are close, a single grey level decides.
func (m *Image) colour(luma uint32, down, across *chromaTap) (r, g, b uint8) {
	const (
		half    = 1 << 15
		redCr   = 91881  // 1.402 × 65536
		greenCb = 22554  // 0.34414 × 65536
		greenCr = 46802  // 0.71414 × 65536
		blueCb  = 116130 // 1.772 × 65536
	)
	nearest, beside, below, opposite := down.near+across.near, down.near+across.far, down.far+across.near, down.far+across.far
	bias := down.bias + across.bias
	y := int32(m.y[luma])
	cb := (9*int32(m.cb[nearest])+3*(int32(m.cb[beside])+int32(m.cb[below]))+int32(m.cb[opposite])+bias)>>4 - 128
	cr := (9*int32(m.cr[nearest])+3*(int32(m.cr[beside])+int32(m.cr[below]))+int32(m.cr[opposite])+bias)>>4 - 128
	return clamp(y + (redCr*cr+half)>>16), clamp(y + (half-greenCb*cb-greenCr*cr)>>16), clamp(y + (blueCb*cb+half)>>16)
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
func clamp(v int32) uint8 { return uint8(min(max(v, 0), 255)) }
