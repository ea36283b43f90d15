package decode_test

import (
	"math/bits"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// crafted writes JPEG files of kinds that image/jpeg reads but does not write:
// CMYK and progressive. All blocks are of one colour, so that only DC
// coefficients are coded.
type crafted struct {
	out  []byte
	acc  uint32
	held uint
}

func (c *crafted) segment(marker byte, body ...byte) {
	n := len(body) + 2
	c.out = append(append(c.out, 0xFF, marker, byte(n>>8), byte(n)), body...)
}

func (c *crafted) bits(v uint32, n uint) {
	c.acc, c.held = c.acc<<n|v&(1<<n-1), c.held+n
	for ; c.held >= 8; c.held -= 8 {
		b := byte(c.acc >> (c.held - 8))
		c.out = append(c.out, b)
		if b == 0xFF {
			c.out = append(c.out, 0)
		}
	}
}

// flush pads the last byte with ones, as the format wants it.
func (c *crafted) flush() {
	if c.held > 0 {
		c.bits(0xFF, 8-c.held)
	}
}

// dc codes the difference of two DC coefficients: a category of four bits and the value in that many.
func (c *crafted) dc(diff int) {
	size := uint(bits.Len(uint(max(diff, -diff))))
	c.bits(uint32(size), 4)
	if diff < 0 {
		diff += 1<<size - 1
	}
	c.bits(uint32(diff), size)
}

// header writes everything up to the first scan: tables with a quantiser of 8, by which a DC coefficient is the colour
// minus 128, four-bit DC codes and a one-bit end-of-block code.
func (c *crafted) header(frame byte, width, height, components int) {
	c.out = []byte{0xFF, 0xD8}
	if components == 4 {
		c.segment(0xEE, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, 0) // CMYK, stored inverted
	}
	quantisers := make([]byte, 65)
	for i := range 64 {
		quantisers[i+1] = 8
	}
	c.segment(0xDB, quantisers...)
	sof := []byte{8, byte(height >> 8), byte(height), byte(width >> 8), byte(width), byte(components)}
	for i := range components {
		sof = append(sof, byte(i+1), 0x11, 0)
	}
	c.segment(frame, sof...)
	lengths, values := [17]byte{0: 0x00, 4: 12}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	c.segment(0xC4, append(lengths[:], values...)...)
	lengths = [17]byte{0: 0x10, 1: 1}
	c.segment(0xC4, append(lengths[:], 0)...)
}

func (c *crafted) scan(components int, first, last, high, low byte) {
	body := []byte{byte(components)}
	for i := range components {
		body = append(body, byte(i+1), 0)
	}
	c.segment(0xDA, append(body, first, last, high<<4|low)...)
}

// quadrantBlocks calls f for each 8×8 block with the colours of its quarter.
func quadrantBlocks(width, height int, f func(colour [4]int)) {
	for y := 0; y < height; y += 8 {
		for x := 0; x < width; x += 8 {
			q := quadrants[x*2/width+y*2/height*2]
			f([4]int{int(q.R), int(q.G), int(q.B), 255})
		}
	}
}

// cmykJPEG has the colours of picture, which is exact: without black ink CMYK stored inverted is RGB.
func cmykJPEG(width, height int) []byte {
	var c crafted
	c.header(0xC0, width, height, 4)
	c.scan(4, 0, 63, 0, 0)
	var last [4]int
	quadrantBlocks(width, height, func(colour [4]int) {
		for i, v := range colour {
			c.dc(v - 128 - last[i])
			last[i] = v - 128
			c.bits(0, 1) // end of block
		}
	})
	c.flush()
	return append(c.out, 0xFF, 0xD9)
}

// progressiveJPEG is grey, of the red channel of picture, in three scans: the upper bits of the DC coefficients, their
// lowest bit, and the empty rest, for decoders smooth a picture that has not arrived in full.
func progressiveJPEG(width, height int) []byte {
	var c crafted
	c.header(0xC2, width, height, 1)
	c.scan(1, 0, 0, 0, 1)
	last := 0
	quadrantBlocks(width, height, func(colour [4]int) {
		v := (colour[0] - 128) >> 1
		c.dc(v - last)
		last = v
	})
	c.flush()
	c.scan(1, 0, 0, 1, 0)
	quadrantBlocks(width, height, func(colour [4]int) { c.bits(uint32(colour[0]-128)&1, 1) })
	c.flush()
	c.scan(1, 1, 63, 0, 0)
	quadrantBlocks(width, height, func([4]int) { c.bits(0, 1) })
	c.flush()
	return append(c.out, 0xFF, 0xD9)
}

func TestRareJPEGs(t *testing.T) {
	t.Parallel()
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		t.Run("CMYK", func(t *testing.T) {
			m := mustDecode(t, d, cmykJPEG(80, 48), decode.JPEG)
			wantQuadrants(t, m, [4]int{0, 1, 2, 3}, 2)
		})
		t.Run("rotated CMYK", func(t *testing.T) {
			m := mustDecode(t, d, withEXIF(cmykJPEG(80, 48), 6), decode.JPEG)
			wantQuadrants(t, m, [4]int{2, 0, 3, 1}, 2)
		})
		t.Run("progressive", func(t *testing.T) {
			m := mustDecode(t, d, progressiveJPEG(80, 48), decode.JPEG)
			for i, want := range quadrants {
				got := colourAt(m, 20+40*(i%2), 12+24*(i/2))
				if d := got[0] - float32(want.R); d > 1 || d < -1 || got[0] != got[1] {
					t.Errorf("quarter %d: %v, want %d", i, got, want.R)
				}
			}
		})
	})
}
