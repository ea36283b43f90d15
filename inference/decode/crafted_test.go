package decode_test

import (
	"bytes"
	"image"
	"image/color"
	"math/bits"
	"slices"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// sampled is a component of a crafted JPEG: its identifier, its sampling factors and its value in each quarter.
type sampled struct {
	id, h, v byte
	quarter  [4]int
}

// crafted writes JPEG files of kinds that image/jpeg reads but does not write, and of kinds that it does not read. All
// blocks are of one colour, so that only DC coefficients are coded.
type crafted struct {
	out           []byte
	acc           uint32
	held          uint
	width, height int
	components    []sampled
	coarse        bool // quantisers of 16 bits
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

// start writes everything up to the first scan: tables with a quantiser of 8, by which a DC coefficient is the colour
// minus 128, four-bit DC codes and AC codes of one bit for the end of a block and of two for the end of 2¹⁴ to 2¹⁵ blocks.
func (c *crafted) start(frame byte, width, height int, components ...sampled) {
	c.width, c.height, c.components = width, height, components
	c.out = []byte{0xFF, 0xD8}
	if c.coarse {
		c.segment(0xDB, append([]byte{0x10}, bytes.Repeat([]byte{0, 8}, 64)...)...)
	} else {
		c.segment(0xDB, append([]byte{0}, bytes.Repeat([]byte{8}, 64)...)...)
	}
	sof := []byte{8, byte(height >> 8), byte(height), byte(width >> 8), byte(width), byte(len(components))}
	for _, s := range components {
		sof = append(sof, s.id, s.h<<4|s.v, 0)
	}
	c.segment(frame, sof...)
	lengths, values := [17]byte{0: 0x00, 4: 12}, []byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}
	c.segment(0xC4, append(lengths[:], values...)...)
	lengths = [17]byte{0: 0x10, 1: 1, 2: 1}
	c.segment(0xC4, append(lengths[:], 0, 0xE0)...)
}

// adobe writes the segment that says what the components are: 0 is RGB or CMYK, 1 YCbCr, 2 YCCK.
func (c *crafted) adobe(transform byte) {
	c.segment(0xEE, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, transform)
}

func (c *crafted) scan(first, last, high, low byte, components ...int) {
	body := []byte{byte(len(components))}
	for _, i := range components {
		body = append(body, c.components[i].id, 0)
	}
	c.segment(0xDA, append(body, first, last, high<<4|low)...)
}

// sequential writes one scan of the components, in MCUs when there are several.
func (c *crafted) sequential(components ...int) {
	c.scan(0, 63, 0, 0, components...)
	last := make([]int, len(c.components))
	c.blocks(components, func(i, value int) {
		c.dc(value - 128 - last[i])
		last[i] = value - 128
		c.bits(0, 1) // end of block
	})
	c.flush()
}

// blocks calls f for each block of a scan with the value of its quarter.
func (c *crafted) blocks(components []int, f func(component, value int)) {
	mostH, mostV := 1, 1
	for _, s := range c.components {
		mostH, mostV = max(mostH, int(s.h)), max(mostV, int(s.v))
	}
	at := func(i, x, y int) { // the block of a component that begins at x, y of the picture
		s := c.components[i]
		f(i, s.quarter[min(x*2/c.width, 1)+min(y*2/c.height, 1)*2])
	}
	if len(components) == 1 {
		s := c.components[components[0]]
		stepX, stepY := 8*mostH/int(s.h), 8*mostV/int(s.v)
		for y := 0; y < c.height; y += stepY {
			for x := 0; x < c.width; x += stepX {
				at(components[0], x, y)
			}
		}
		return
	}
	for y := 0; y < c.height; y += 8 * mostV {
		for x := 0; x < c.width; x += 8 * mostH {
			for _, i := range components {
				s := c.components[i]
				for v := range int(s.v) {
					for h := range int(s.h) {
						at(i, x+h*8*mostH/int(s.h), y+v*8*mostV/int(s.v))
					}
				}
			}
		}
	}
}

// end returns the file.
func (c *crafted) end() []byte { return append(c.out, 0xFF, 0xD9) }

// channel returns one value of each quarter of picture.
func channel(of func(c color.NRGBA) uint8) (quarter [4]int) {
	for i, c := range quadrants {
		quarter[i] = int(of(c))
	}
	return quarter
}

func ycbcr(c color.NRGBA) [3]uint8 {
	y, cb, cr := color.RGBToYCbCr(c.R, c.G, c.B)
	return [3]uint8{y, cb, cr}
}

func inverse(c color.NRGBA) color.NRGBA { return color.NRGBA{255 - c.R, 255 - c.G, 255 - c.B, 255} }

var (
	red   = channel(func(c color.NRGBA) uint8 { return c.R })
	green = channel(func(c color.NRGBA) uint8 { return c.G })
	blue  = channel(func(c color.NRGBA) uint8 { return c.B })
	luma  = channel(func(c color.NRGBA) uint8 { return ycbcr(c)[0] })
	cb    = channel(func(c color.NRGBA) uint8 { return ycbcr(c)[1] })
	cr    = channel(func(c color.NRGBA) uint8 { return ycbcr(c)[2] })
	full  = [4]int{255, 255, 255, 255}
)

// colour returns components with the sampling factors given as cjpeg takes them, h before v.
func colour(quarters [][4]int, factors ...byte) []sampled {
	var all []sampled
	for i, quarter := range quarters {
		all = append(all, sampled{byte(i + 1), factors[2*i], factors[2*i+1], quarter})
	}
	return all
}

var (
	yuv  = [][4]int{luma, cb, cr}
	cmyk = [][4]int{red, green, blue, full} // stored inverted: without black ink it is RGB
	// YCCK holds what CMYK does not hold inverted; the black ink it does.
	ycck = [][4]int{
		channel(func(c color.NRGBA) uint8 { return ycbcr(inverse(c))[0] }), channel(func(c color.NRGBA) uint8 { return ycbcr(inverse(c))[1] }),
		channel(func(c color.NRGBA) uint8 { return ycbcr(inverse(c))[2] }), full,
	}
)

// baseline writes a file of one scan.
func baseline(width, height int, components []sampled, adobe ...byte) []byte {
	var c crafted
	c.start(0xC0, width, height, components...)
	for _, transform := range adobe {
		c.adobe(transform)
	}
	var all []int
	for i := range components {
		all = append(all, i)
	}
	c.sequential(all...)
	return c.end()
}

func cmykJPEG(width, height int) []byte {
	return baseline(width, height, colour(cmyk, 1, 1, 1, 1, 1, 1, 1, 1), 0)
}

// separateJPEG has a scan for each component.
func separateJPEG(width, height int) []byte {
	var c crafted
	c.start(0xC0, width, height, colour(yuv, 2, 2, 1, 1, 1, 1)...)
	for i := range 3 {
		c.sequential(i)
	}
	return c.end()
}

// progressiveJPEG is in three scans a component: the upper bits of the DC coefficients, their lowest bit, and the empty
// rest, for decoders smooth a picture that has not arrived in full.
func progressiveJPEG(width, height int) []byte {
	var c crafted
	c.start(0xC2, width, height, colour(yuv, 2, 2, 1, 1, 1, 1)...)
	all := []int{0, 1, 2}
	c.scan(0, 0, 0, 1, all...)
	var last [3]int
	c.blocks(all, func(i, value int) {
		v := (value - 128) >> 1
		c.dc(v - last[i])
		last[i] = v
	})
	c.flush()
	c.scan(0, 0, 1, 0, all...)
	c.blocks(all, func(_, value int) { c.bits(uint32(value-128)&1, 1) })
	c.flush()
	for _, i := range all {
		c.scan(1, 63, 0, 0, i)
		c.blocks([]int{i}, func(int, int) { c.bits(0, 1) })
		c.flush()
	}
	return c.end()
}

// manyScans is a progressive file of many passes over a grey picture that take next to no bytes: first one of the DC
// coefficients, then such that say, for thousands of blocks at a time, that there is nothing more.
func manyScans(width, height, scans int, refine bool, factors ...byte) []byte {
	var c crafted
	components := colour([][4]int{{128, 128, 128, 128}, {128, 128, 128, 128}, {128, 128, 128, 128}}, factors...)
	c.start(0xC2, width, height, components...)
	all := []int{0, 1, 2}
	c.scan(0, 0, 0, 0, all...)
	c.blocks(all, func(int, int) { c.bits(0, 4) })
	c.flush()
	mostH, mostV := 1, 1
	for _, s := range components {
		mostH, mostV = max(mostH, int(s.h)), max(mostV, int(s.v))
	}
	for i := range scans - 1 {
		of, high, low := i%3, byte(0), byte(0)
		if refine { // a bit more in each round
			low = byte((scans - 2 - i) / 3)
			if i >= 3 {
				high = low + 1
			}
		}
		c.scan(1, 63, high, low, of)
		s := components[of]
		blocksX := (width*int(s.h)/mostH + 7) / 8
		blocksY := (height*int(s.v)/mostV + 7) / 8
		const most = 1<<15 - 1
		for left := blocksX * blocksY; left > 0; {
			if run := min(left, most); run >= 1<<14 {
				c.bits(2, 2)
				c.bits(uint32(run-1<<14), 14)
				left -= run
			} else {
				c.bits(0, 1)
				left--
			}
		}
		c.flush()
	}
	return c.end()
}

// segmentAt returns where the first segment with a marker begins and ends.
func segmentAt(t testing.TB, data []byte, marker byte) (from, to int) {
	t.Helper()
	for at := 2; at+4 <= len(data) && data[at] == 0xFF; {
		end := at + 2 + int(data[at+2])<<8 + int(data[at+3])
		if data[at+1] == marker {
			return at, end
		}
		at = end
	}
	t.Fatalf("no segment %x", marker)
	return 0, 0
}

// insert puts bytes in front of the first segment with a marker.
func insert(t testing.TB, data []byte, marker byte, what ...byte) []byte {
	t.Helper()
	at, _ := segmentAt(t, data, marker)
	return slices.Insert(bytes.Clone(data), at, what...)
}

// without leaves out all segments with a marker that stand before the scan.
func without(t testing.TB, data []byte, marker byte) []byte {
	t.Helper()
	data = bytes.Clone(data)
	for {
		if from, to := segmentAt(t, data, marker); true {
			data = slices.Delete(data, from, to)
		}
		if scan, _ := segmentAt(t, data, 0xDA); !bytes.Contains(data[:scan], []byte{0xFF, marker}) {
			return data
		}
	}
}

// changed overwrites a byte behind the length of the first segment with a marker.
func changed(t testing.TB, data []byte, marker byte, offset int, values ...byte) []byte {
	t.Helper()
	from, to := segmentAt(t, data, marker)
	data = bytes.Clone(data)
	if offset < 0 {
		offset += to - from - 4
	}
	copy(data[from+4+offset:], values)
	return data
}

// coarseTables writes the quantisers of a JPEG with 16 bits.
func coarseTables(t testing.TB, data []byte) []byte {
	t.Helper()
	from, to := segmentAt(t, data, 0xDB)
	var body []byte
	for tables := data[from+4 : to]; len(tables) >= 65; tables = tables[65:] {
		body = append(body, tables[0]|0x10)
		for _, v := range tables[1:65] {
			body = append(body, 0, v)
		}
	}
	n := len(body) + 2
	return slices.Replace(bytes.Clone(data), from, to, append([]byte{0xFF, 0xDB, byte(n >> 8), byte(n)}, body...)...)
}

// Every pixel of these files is there, and browsers show them.
func TestPhotosAsSendersMakeThem(t *testing.T) {
	t.Parallel()
	photo := encodeJPEG(t, picture(80, 48))
	height := []byte{0, 48}
	noHeight := changed(t, photo, 0xC0, 1, 0, 0)
	progressive, separate := progressiveJPEG(80, 64), separateJPEG(80, 64)
	cut := func(data []byte, n int) []byte { return bytes.Clone(data[:len(data)-n]) }
	dnl := append([]byte{0xFF, 0xDC, 0, 4}, height...)
	segment := func(marker byte, body string) []byte {
		return append([]byte{0xFF, marker, 0, byte(len(body) + 2)}, body...)
	}
	for name, data := range map[string][]byte{
		"ordinary":                       photo,
		"no end of image":                cut(photo, 2),
		"half an end of image":           cut(photo, 1),
		"bytes behind it":                append(bytes.Clone(photo), bytes.Repeat([]byte{0, 'x'}, 3000)...),
		"another image behind it":        append(bytes.Clone(photo), photo...),
		"another image instead of end":   append(cut(photo, 2), photo...),
		"no Huffman tables":              without(t, photo, 0xC4),
		"height behind the scan":         append(append(cut(noHeight, 2), dnl...), 0xFF, 0xD9),
		"height behind it, no end":       append(cut(noHeight, 2), dnl...),
		"quantisers of 16 bits":          coarseTables(t, photo),
		"fill bytes":                     insert(t, photo, 0xDB, 0xFF, 0xFF, 0xFF),
		"stray bytes":                    insert(t, photo, 0xC0, 0, 0, 0),
		"stray bytes at the start":       slices.Insert(bytes.Clone(photo), 2, 0, 0, 0),
		"a second start":                 slices.Insert(bytes.Clone(photo), 2, 0xFF, 0xD8),
		"a stray restart marker":         insert(t, photo, 0xC4, 0xFF, 0xD3),
		"a reserved marker":              insert(t, photo, 0xC4, segment(0xF7, "abc")...),
		"a comment":                      insert(t, photo, 0xC4, segment(0xFE, "abc")...),
		"JFIF 2":                         insert(t, photo, 0xDB, segment(0xE0, "JFIF\x00\x02\x00\x00\x00\x01\x00\x01\x00\x00")...),
		"an unknown Adobe transform":     insert(t, photo, 0xDB, segment(0xEE, "Adobe\x00\x64\x00\x00\x00\x00\x07")...),
		"scan parameters of zero":        changed(t, photo, 0xDA, -3, 0, 0, 0),
		"a damaged MPF index":            insert(t, photo, 0xDB, segment(0xE2, "MPF\x00MM\x00\x2A\xFF\xFF\xFF\xFF")...),
		"an unfinished profile":          insert(t, photo, 0xDB, segment(0xE2, "ICC_PROFILE\x00\x01\x03abcdef")...),
		"a profile of nonsense":          insert(t, photo, 0xDB, segment(0xE2, "ICC_PROFILE\x00\x01\x01abcdef")...),
		"several EXIF blocks":            withEXIF(withEXIF(photo, 1), 1),
		"progressive":                    progressive,
		"progressive, no end of image":   cut(progressive, 2),
		"progressive, half an end":       cut(progressive, 1),
		"progressive, stray bytes":       insert(t, progressive, 0xC2, 0, 0, 0),
		"separate scans":                 separate,
		"separate scans, no end":         cut(separate, 2),
		"RGB":                            baseline(80, 64, colour([][4]int{red, green, blue}, 1, 1, 1, 1, 1, 1), 0),
		"4:2:2":                          baseline(96, 64, colour(yuv, 2, 1, 1, 1, 1, 1)),
		"4:4:0":                          baseline(96, 64, colour(yuv, 1, 2, 1, 1, 1, 1)),
		"4:1:1":                          baseline(128, 64, colour(yuv, 4, 1, 1, 1, 1, 1)),
		"4:4:4 spelt 2x2":                baseline(64, 64, colour(yuv, 1, 1, 1, 1, 1, 1)),
		"CMYK":                           cmykJPEG(80, 48),
		"CMYK without Adobe's segment":   baseline(80, 48, colour(cmyk, 1, 1, 1, 1, 1, 1, 1, 1)),
		"YCCK":                           baseline(80, 48, colour(ycck, 1, 1, 1, 1, 1, 1, 1, 1), 2),
		"YCCK 4:2:0":                     baseline(96, 64, colour(ycck, 2, 2, 1, 1, 1, 1, 2, 2), 2),
		"YCCK 4:2:0 without Adobe's":     baseline(96, 64, colour(ycck, 2, 2, 1, 1, 1, 1, 2, 2)),
		"CMYK, no end of image":          cut(cmykJPEG(80, 48), 2),
		"CMYK of an unknown transform 1": baseline(80, 48, colour(ycck, 1, 1, 1, 1, 1, 1, 1, 1), 1),
	} {
		eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
			t.Run(name, func(t *testing.T) {
				wantQuadrants(t, mustDecode(t, d, data, decode.JPEG), [4]int{0, 1, 2, 3}, 8)
			})
		})
	}
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		wantQuadrants(t, mustDecode(t, d, withEXIF(cmykJPEG(80, 48), 6), decode.JPEG), [4]int{2, 0, 3, 1}, 2)
		grey := encodeJPEG(t, converted(image.NewGray(image.Rect(0, 0, 80, 48))))
		mustDecode(t, d, cut(grey, 2), decode.JPEG)
	})
}
