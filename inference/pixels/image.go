// Package pixels holds a decoded image in the layout of its decoder and reads it upright: it samples windows straight
// into the tensor of a model and measures brightness and sharpness. Nothing in it copies, rotates or converts a whole
// picture, so that its cost depends on the size of what is read and not on the size of the photograph.
package pixels

import (
	"errors"
	"fmt"
	"image"
	"math"
)

// Image is one decoded picture. Coordinates of all methods are upright: the EXIF orientation is applied while reading.
// It is immutable and may be read concurrently until Release.
type Image struct {
	width, height int // upright

	// The channels of a pixel at stored offset p are r[p], g[p] and b[p] of an interleaved image: three views, shifted
	// by a channel, of one buffer. A planar image has y instead, and cb and cr at the chroma offset.
	planar  bool
	r, g, b []byte
	y       []byte
	cb, cr  []byte
	x, yy   axis
	release func()
}

// axis turns an upright coordinate into the part of a buffer offset that it contributes. The offset of a pixel is the
// sum over both axes, whatever the orientation, which is why no rotation is needed.
type axis struct {
	length int
	flip   bool
	// step is the distance between neighbours in the luma or interleaved buffer; chroma samples lie chromaStep apart,
	// one for 1<<chromaShift pixels.
	step, chromaStep, chromaShift int
	// smooth is set where a pixel takes a quarter of its chroma from the next sample on its side; bias is what pixels at
	// even and odd places add, in sixteenths, before the sum is rounded.
	smooth bool
	bias   [2]int32
}

// at returns the offset of upright coordinate u in the luma or interleaved buffer.
func (a axis) at(u int) int {
	if a.flip {
		u = a.length - 1 - u
	}
	return u * a.step
}

// chroma returns where the pixel at a stored place has its chroma from.
func (a axis) chroma(stored int) chromaTap {
	near := stored >> a.chromaShift
	far := near
	if a.smooth {
		far = min(max(near-1+2*(stored&1), 0), (a.length-1)>>a.chromaShift)
	}
	return chromaTap{near: uint32(near * a.chromaStep), far: uint32(far * a.chromaStep), bias: a.bias[stored&1]}
}

// Width returns the upright width in pixels.
func (m *Image) Width() int { return m.width }

// Height returns the upright height in pixels.
func (m *Image) Height() int { return m.height }

// Bounds returns the upright rectangle, with its origin at 0, 0.
func (m *Image) Bounds() image.Rectangle { return image.Rect(0, 0, m.width, m.height) }

// Release gives the buffers back to the decoder. The image must not be used afterwards. Calling it again does nothing.
func (m *Image) Release() {
	release := m.release
	*m = Image{} // so that the buffers are garbage when release is called
	if release != nil {
		release()
	}
}

// orient sets the upright size and axes from those of the stored image.
func (m *Image) orient(columns, rows axis, o Orientation) {
	columns.flip, rows.flip = o.flips()
	m.x, m.yy = columns, rows
	if o.transposed() {
		m.x, m.yy = rows, columns
	}
	m.width, m.height = m.x.length, m.yy.length
}

// Interleaved wraps 8-bit pixels stored row by row: stride bytes from row to row, step bytes from pixel to pixel, and
// the three channel offsets inside a pixel (all the same for grey). Release of the image calls release, which may be
// nil.
func Interleaved(pix []byte, width, height, stride, step int, channels [3]int, o Orientation, release func()) (*Image, error) {
	last := (height-1)*stride + (width-1)*step + max(channels[0], channels[1], channels[2])
	if width <= 0 || height <= 0 || step <= 0 || stride < width*step || len(pix) <= last || last > math.MaxInt32 {
		return nil, fmt.Errorf("a buffer of %d bytes does not hold %d×%d pixels with a stride of %d, or over 2 GB", len(pix), width, height, stride)
	}
	m := &Image{r: pix[channels[0]:], g: pix[channels[1]:], b: pix[channels[2]:], release: release}
	m.orient(axis{length: width, step: step}, axis{length: height, step: stride}, o)
	return m, nil
}

// FromImage wraps what the decoders of the standard library return. Pixels that are not opaque are laid over white and
// CMYK is converted, both in place: src must not be used afterwards. Release of the image calls release, which may be
// nil.
func FromImage(src image.Image, o Orientation, release func()) (*Image, error) {
	b := src.Bounds()
	if b.Min != (image.Point{}) {
		return nil, fmt.Errorf("an image whose origin is %v, not 0, 0", b.Min)
	}
	w, h := b.Dx(), b.Dy()
	grey, colour, colour16 := [3]int{}, [3]int{0, 1, 2}, [3]int{0, 2, 4}
	switch src := src.(type) {
	case *image.YCbCr:
		return fromYCbCr(src, o, release)
	case *image.Gray:
		return Interleaved(src.Pix, w, h, src.Stride, 1, grey, o, release)
	case *image.Gray16: // big-endian: the first byte is the 8-bit value
		return Interleaved(src.Pix, w, h, src.Stride, 2, grey, o, release)
	case *image.RGBA: // the decoders use it for opaque pictures only
		return Interleaved(src.Pix, w, h, src.Stride, 4, colour, o, release)
	case *image.RGBA64:
		return Interleaved(src.Pix, w, h, src.Stride, 8, colour16, o, release)
	case *image.NRGBA:
		OverWhite(src.Pix, 3, 1)
		return Interleaved(src.Pix, w, h, src.Stride, 4, colour, o, release)
	case *image.NRGBA64:
		OverWhite(src.Pix, 3, 2)
		return Interleaved(src.Pix, w, h, src.Stride, 8, colour16, o, release)
	case *image.CMYK:
		cmykToRGB(src.Pix)
		return Interleaved(src.Pix, w, h, src.Stride, 4, colour, o, release)
	case *image.Paletted:
		return fromPaletted(src, o, release)
	}
	return nil, fmt.Errorf("pixels of type %T", src)
}

func fromYCbCr(src *image.YCbCr, o Orientation, release func()) (*Image, error) {
	shiftX, shiftY := 0, 0
	switch src.SubsampleRatio {
	case image.YCbCrSubsampleRatio444:
	case image.YCbCrSubsampleRatio422:
		shiftX = 1
	case image.YCbCrSubsampleRatio420:
		shiftX, shiftY = 1, 1
	case image.YCbCrSubsampleRatio440:
		shiftY = 1
	case image.YCbCrSubsampleRatio411:
		shiftX = 2
	case image.YCbCrSubsampleRatio410:
		shiftX, shiftY = 2, 1
	default:
		return nil, fmt.Errorf("chroma subsampling %v", src.SubsampleRatio)
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	lastY, lastC := (h-1)*src.YStride+w-1, ((h-1)>>shiftY)*src.CStride+(w-1)>>shiftX
	if w <= 0 || h <= 0 || len(src.Y) <= lastY || len(src.Cb) <= lastC || len(src.Cr) <= lastC || lastY > math.MaxInt32 {
		return nil, errors.New("planes that are smaller than the picture, or over 2 GB")
	}
	m := &Image{planar: true, y: src.Y, cb: src.Cb, cr: src.Cr, release: release}
	columns := axis{length: w, step: 1, chromaStep: 1, chromaShift: shiftX}
	rows := axis{length: h, step: src.YStride, chromaStep: src.CStride, chromaShift: shiftY}
	enlargeChroma(&columns, &rows)
	m.orient(columns, rows, o)
	return m, nil
}

// enlargeChroma says how libjpeg gives every pixel its chroma: samples for two pixels are interpolated with the shares 3/4
// and 1/4 ("fancy upsampling", rounded up and down in turns), those for four are repeated.
func enlargeChroma(columns, rows *axis) {
	if columns.chromaShift > 1 || rows.chromaShift > 1 {
		return
	}
	columns.smooth, rows.smooth = columns.chromaShift == 1, rows.chromaShift == 1
	switch {
	case columns.smooth && rows.smooth:
		columns.bias = [2]int32{8, 7}
	case columns.smooth:
		columns.bias = [2]int32{4, 8}
	case rows.smooth:
		rows.bias = [2]int32{4, 8}
	}
}

// Turned returns a view of the image, turned clockwise by a multiple of 90 degrees. It shares the pixels, and is valid
// until the image is released; its own Release does nothing.
func (m *Image) Turned(degrees int) *Image {
	view := *m
	view.release = nil
	for range degrees / 90 {
		view.x, view.yy = view.yy, view.x
		view.x.flip = !view.x.flip
	}
	view.width, view.height = view.x.length, view.yy.length
	return &view
}

// RGBA returns the colours of a planar image as libjpeg gives them, opaque.
func RGBA(src *image.YCbCr) (*image.RGBA, error) {
	m, err := fromYCbCr(src, 1, nil)
	if err != nil {
		return nil, err
	}
	out := image.NewRGBA(m.Bounds())
	across := make([]chromaTap, m.width)
	for x := range across {
		across[x] = m.x.chroma(x)
	}
	for y := range m.height {
		down, row := m.yy.chroma(y), out.Pix[y*out.Stride:]
		for x := range across {
			pixel := row[4*x : 4*x+4]
			pixel[0], pixel[1], pixel[2] = m.colour(uint32(m.yy.at(y)+m.x.at(x)), &down, &across[x])
			pixel[3] = 0xFF
		}
	}
	return out, nil
}

// fromPaletted looks the colours up once: the palette indices themselves cannot be interpolated.
func fromPaletted(src *image.Paletted, o Orientation, release func()) (*Image, error) {
	var table [256][4]byte
	for i, c := range src.Palette {
		r, g, b, a := c.RGBA() // premultiplied, 16 bits
		white := 0xFFFF - a
		table[i&0xFF] = [4]byte{byte((r + white) >> 8), byte((g + white) >> 8), byte((b + white) >> 8)}
	}
	w, h := src.Rect.Dx(), src.Rect.Dy()
	pix := make([]byte, w*h*3)
	for y := range h {
		row, out := src.Pix[y*src.Stride:][:w], pix[y*w*3:][:w*3]
		for x, index := range row {
			c := &table[index]
			out[3*x], out[3*x+1], out[3*x+2] = c[0], c[1], c[2]
		}
	}
	return Interleaved(pix, w, h, 3*w, 3, [3]int{0, 1, 2}, o, release)
}

// OverWhite blends pixels over white, in place: channels of channelSize bytes
// each, the significant one first, followed by one of alpha.
func OverWhite(pix []byte, channels, channelSize int) {
	alpha := channels * channelSize
	pixel := alpha + channelSize
	for p := 0; p+pixel <= len(pix); p += pixel {
		a := uint32(pix[p+alpha])
		if a == 0xFF {
			continue
		}
		for c := p; c < p+alpha; c += channelSize {
			pix[c] = byte((uint32(pix[c])*a + 255*(255-a) + 127) / 255)
		}
	}
}

// cmykToRGB converts as image/color does, in place.
func cmykToRGB(pix []byte) {
	for p := 0; p+4 <= len(pix); p += 4 {
		white := 255 - uint32(pix[p+3])
		for c := p; c < p+3; c++ {
			pix[c] = byte((255 - uint32(pix[c])) * white / 255)
		}
	}
}
