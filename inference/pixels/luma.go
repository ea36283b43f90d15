package pixels

import "image"

// TileSide is the side in cells of the square that Luma reduces a region to.
const TileSide = 96

// maxTaps bounds the pixels per axis that are averaged into one cell, so that measuring a face of a 50-megapixel
// photograph costs no more than measuring one of 400 pixels.
const maxTaps = 4

// Tile is the luma of a region, averaged down to TileSide × TileSide cells.
type Tile [TileSide * TileSide]float32

// Luma fills the tile with the luma (0 to 255, BT.601 as in JFIF) of region, which has to lie inside the image and not
// be empty. A region of fewer pixels than the tile has cells repeats pixels.
func (t *Tile) Luma(m *Image, region image.Rectangle) {
	tapsX := min(maxTaps, max(1, region.Dx()/TileSide))
	tapsY := min(maxTaps, max(1, region.Dy()/TileSide))
	var columns [TileSide * maxTaps]int
	for i := range columns[:TileSide*tapsX] {
		columns[i] = m.x.at(region.Min.X + (2*i+1)*region.Dx()/(2*TileSide*tapsX))
	}
	share := 1 / float32(tapsX*tapsY)
	for row := range TileSide {
		var sums [TileSide]uint32
		for j := row * tapsY; j < (row+1)*tapsY; j++ {
			offset := m.yy.at(region.Min.Y + (2*j+1)*region.Dy()/(2*TileSide*tapsY))
			for cell := range sums {
				for _, column := range columns[cell*tapsX : (cell+1)*tapsX] {
					sums[cell] += uint32(m.luma(uint32(offset + column)))
				}
			}
		}
		for cell, sum := range sums {
			t[row*TileSide+cell] = float32(sum) * share
		}
	}
}

func (m *Image) luma(at uint32) uint8 {
	if m.planar {
		return m.y[at]
	}
	return uint8((19595*uint32(m.r[at]) + 38470*uint32(m.g[at]) + 7471*uint32(m.b[at]) + 1<<15) >> 16)
}

// Mean returns the mean luma, 0 to 255.
func (t *Tile) Mean() float64 {
	sum := 0.0
	for _, v := range t {
		sum += float64(v)
	}
	return sum / float64(len(t))
}

// Sharpness returns the variance of the Laplacian (four neighbours) divided by the variance of the luma itself. The
// division makes it the same for a bright and a dim picture of one scene: what it measures is how much of the contrast
// is fine detail. 0 for a tile of one colour.
func (t *Tile) Sharpness() float64 {
	mean := t.Mean()
	var variance, sum, squares float64
	n := 0
	for y := 1; y < TileSide-1; y++ {
		for x := 1; x < TileSide-1; x++ {
			at := y*TileSide + x
			v := float64(4*t[at] - t[at-1] - t[at+1] - t[at-TileSide] - t[at+TileSide])
			sum += v
			squares += v * v
			d := float64(t[at]) - mean
			variance += d * d
			n++
		}
	}
	laplacian := squares/float64(n) - (sum/float64(n))*(sum/float64(n))
	variance /= float64(n)
	if variance < 1 {
		return 0
	}
	return laplacian / variance
}
