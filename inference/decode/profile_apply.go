package decode

import (
	"context"
	"image"

	"github.com/pas-ta/liveness/inference/pixels"
)

// apply returns an image in sRGB, turned by o, from one that is not turned and whose colours are said by a profile of
// primaries and curves. It is what libvips does natively, for the pure Go decoder.
func (p *profile) apply(ctx context.Context, m *pixels.Image, o pixels.Orientation, release func()) (*pixels.Image, error) {
	width, height := m.Width(), m.Height()
	var linear [3][256]float32
	for c, curve := range p.curves {
		for i := range linear[c] {
			linear[c][i] = float32(curve(float64(i) / 255))
		}
	}
	var toSRGB [3][3]float32
	for column := range 3 {
		var unit [3]float64
		unit[column] = 1
		for row, v := range sRGBInverse.times(p.toXYZ.times(unit)) {
			toSRGB[row][column] = float32(v)
		}
	}
	out := make([]byte, 3*width*height)
	strip := pixels.Tensor{Data: make([]float32, 3*width*stripRows), Width: width, Height: stripRows, Order: pixels.RGB, Scale: 1}
	plane := width * stripRows
	var s pixels.Sampler
	for top := 0; top < height; top += stripRows {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		rows := min(stripRows, height-top)
		s.Bilinear(m, image.Rect(0, top, width, top+rows), strip, width, rows) // at full size it only reads
		for i := range width * rows {
			r, g, b := linear[0][uint8(strip.Data[i])], linear[1][uint8(strip.Data[plane+i])], linear[2][uint8(strip.Data[2*plane+i])]
			to := out[3*(top*width+i):][:3]
			for c := range to {
				v := toSRGB[c][0]*r + toSRGB[c][1]*g + toSRGB[c][2]*b
				to[c] = encoded[int(min(max(v, 0), 1)*(1<<14)+0.5)]
			}
		}
	}
	return pixels.Interleaved(out, width, height, 3*width, 3, [3]int{0, 1, 2}, o, release)
}

// stripRows is how many rows are converted between two looks at the context.
const stripRows = 16

// encoded is sRGB's curve from linear values to bytes, fine enough for its steep beginning.
var encoded = func() (table [1<<14 + 1]byte) {
	for i := range table {
		table[i] = byte(255*encodeSRGB(float64(i)/(1<<14)) + 0.5)
	}
	return table
}()
