package decode_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"hash/crc32"
	"image/color"
	"slices"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

func pngChunk(kind string, body []byte) []byte {
	chunk := binary.BigEndian.AppendUint32(nil, uint32(len(body)))
	chunk = append(append(chunk, kind...), body...)
	return binary.BigEndian.AppendUint32(chunk, crc32.ChecksumIEEE(chunk[4:]))
}

// Kinds of a PNG's pixels.
const (
	pngGrey      = 0
	pngRGB       = 2
	pngPalette   = 3
	pngGreyAlpha = 4
	pngRGBA      = 6
)

// craftedPNG writes picture as kinds of PNG that image/png does not write. Where a kind has fewer bits than the colours
// of picture, the quarters have as many steps of it as their number says.
func craftedPNG(width, height int, kind, depth byte, interlaced bool, ancillary ...[]byte) []byte {
	var raw []byte
	rows := func(x0, y0, stepX, stepY int) {
		if x0 >= width || y0 >= height {
			return
		}
		for y := y0; y < height; y += stepY {
			raw = append(raw, 0) // no filter
			var acc, held uint
			for x := x0; x < width; x += stepX {
				q := x*2/width + y*2/height*2
				for _, v := range pngSamples(q, kind, depth) {
					if depth < 8 {
						acc, held = acc<<depth|uint(v), held+uint(depth)
						if held == 8 {
							raw, acc, held = append(raw, byte(acc)), 0, 0
						}
						continue
					}
					raw = append(raw, byte(v))
					if depth == 16 {
						raw = append(raw, byte(v))
					}
				}
			}
			if held > 0 {
				raw = append(raw, byte(acc<<(8-held)))
			}
		}
	}
	method := byte(0)
	if interlaced {
		method = 1
		for _, p := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
			rows(p[0], p[1], p[2], p[3])
		}
	} else {
		rows(0, 0, 1, 1)
	}
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, _ = w.Write(raw)
	_ = w.Close()
	ihdr := binary.BigEndian.AppendUint32(nil, uint32(width))
	ihdr = binary.BigEndian.AppendUint32(ihdr, uint32(height))
	ihdr = append(ihdr, depth, kind, 0, 0, method)
	out := append([]byte("\x89PNG\r\n\x1a\n"), pngChunk("IHDR", ihdr)...)
	if kind == pngPalette {
		var palette []byte
		for _, c := range quadrants {
			palette = append(palette, c.R, c.G, c.B)
		}
		out = append(out, pngChunk("PLTE", palette[:min(12, 3<<depth)])...)
	}
	for _, chunk := range ancillary {
		out = append(out, chunk...)
	}
	for piece := range slices.Chunk(packed.Bytes(), 100) {
		out = append(out, pngChunk("IDAT", piece)...)
	}
	return append(out, pngChunk("IEND", nil)...)
}

func pngSamples(quarter int, kind, depth byte) []int {
	c := quadrants[quarter]
	grey := int(color.GrayModel.Convert(c).(color.Gray).Y)
	switch kind {
	case pngPalette:
		return []int{quarter & (1<<depth - 1)}
	case pngGrey:
		if depth < 8 {
			return []int{quarter & (1<<depth - 1)}
		}
		return []int{grey}
	case pngGreyAlpha:
		return []int{grey, 255}
	case pngRGB:
		return []int{int(c.R), int(c.G), int(c.B)}
	}
	return []int{int(c.R), int(c.G), int(c.B), 255}
}

func TestPNGKinds(t *testing.T) {
	t.Parallel()
	damaged := pngChunk("tEXt", []byte("Comment\x00hello"))
	damaged[len(damaged)-1] ^= 0xFF
	rgb := craftedPNG(70, 50, pngRGB, 8, false)
	afterPixels := slices.Insert(bytes.Clone(rgb), len(rgb)-12, pngChunk("tEXt", []byte("Comment\x00hello"))...)
	for name, data := range map[string][]byte{
		"RGB": rgb, "RGB interlaced": craftedPNG(70, 50, pngRGB, 8, true),
		"RGBA": craftedPNG(70, 50, pngRGBA, 8, false), "RGBA interlaced": craftedPNG(70, 50, pngRGBA, 8, true),
		"16-bit RGB": craftedPNG(70, 50, pngRGB, 16, false), "16-bit RGB interlaced": craftedPNG(70, 50, pngRGB, 16, true),
		"16-bit RGBA": craftedPNG(70, 50, pngRGBA, 16, false), "16-bit RGBA interlaced": craftedPNG(70, 50, pngRGBA, 16, true),
		"palette of 2 bits": craftedPNG(70, 50, pngPalette, 2, false), "palette of 4": craftedPNG(70, 50, pngPalette, 4, false),
		"palette of 8": craftedPNG(70, 50, pngPalette, 8, false), "palette interlaced": craftedPNG(70, 50, pngPalette, 2, true),
		"palette with transparency": craftedPNG(70, 50, pngPalette, 8, false, pngChunk("tRNS", []byte{255, 255, 255, 255})),
		"RGB with transparency":     craftedPNG(70, 50, pngRGB, 8, false, pngChunk("tRNS", []byte{0, 1, 0, 2, 0, 3})),
		"16 bits with transparency": craftedPNG(70, 50, pngRGB, 16, false, pngChunk("tRNS", []byte{0, 1, 0, 2, 0, 3})),
		"damaged text":              craftedPNG(70, 50, pngRGB, 8, false, damaged),
		"damaged profile":           craftedPNG(70, 50, pngRGB, 8, false, pngChunk("iCCP", []byte("x\x00\x00nonsense"))),
		"unknown chunk":             craftedPNG(70, 50, pngRGB, 8, false, pngChunk("prVt", []byte("x"))),
		"no end":                    rgb[:len(rgb)-12],
		"cut in the end":            rgb[:len(rgb)-5],
		"cut in a text behind":      afterPixels[:len(afterPixels)-20],
		"bytes behind the end":      append(bytes.Clone(rgb), bytes.Repeat([]byte{7}, 5000)...),
	} {
		eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
			t.Run(name, func(t *testing.T) {
				wantQuadrants(t, mustDecode(t, d, data, decode.PNG), [4]int{0, 1, 2, 3}, 1)
			})
		})
	}
}

func TestGreyPNGs(t *testing.T) {
	t.Parallel()
	grey := func(q int) float32 { return float32(color.GrayModel.Convert(quadrants[q]).(color.Gray).Y) }
	for name, tc := range map[string]struct {
		data []byte
		want func(q int) float32
	}{
		"8 bits":             {craftedPNG(70, 50, pngGrey, 8, false), grey},
		"8 bits, interlaced": {craftedPNG(70, 50, pngGrey, 8, true), grey},
		"16 bits":            {craftedPNG(70, 50, pngGrey, 16, false), grey},
		"4 bits":             {craftedPNG(70, 50, pngGrey, 4, false), func(q int) float32 { return float32(q * 17) }},
		"2 bits":             {craftedPNG(70, 50, pngGrey, 2, false), func(q int) float32 { return float32(q * 85) }},
		"1 bit":              {craftedPNG(70, 50, pngGrey, 1, false), func(q int) float32 { return float32(q % 2 * 255) }},
		"1 bit, interlaced":  {craftedPNG(70, 50, pngGrey, 1, true), func(q int) float32 { return float32(q % 2 * 255) }},
		"alpha":              {craftedPNG(70, 50, pngGreyAlpha, 8, false), grey},
		"alpha, 16 bits":     {craftedPNG(70, 50, pngGreyAlpha, 16, false), grey},
		"alpha, interlaced":  {craftedPNG(70, 50, pngGreyAlpha, 8, true), grey},
		"a transparent grey": {craftedPNG(70, 50, pngGrey, 8, false, pngChunk("tRNS", []byte{0, 3})), grey},
	} {
		eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
			t.Run(name, func(t *testing.T) {
				m := mustDecode(t, d, tc.data, decode.PNG)
				for q := range 4 {
					got, want := colourAt(m, 17+35*(q%2), 12+25*(q/2)), tc.want(q)
					if diff := got[0] - want; diff > 1 || diff < -1 || got[0] != got[1] || got[1] != got[2] {
						t.Errorf("quarter %d: %v, want %v", q, got, want)
					}
				}
			})
		})
	}
}

// Chunks of a byte each take twelve times what they hold; they shall cost no more than that to read.
func TestPNGOfTinyChunks(t *testing.T) {
	t.Parallel()
	whole := craftedPNG(200, 200, pngRGB, 8, false)
	first := bytes.Index(whole, []byte("IDAT")) - 4
	var packed []byte
	for at := first; string(whole[at+4:at+8]) == "IDAT"; {
		n := int(binary.BigEndian.Uint32(whole[at:]))
		packed = append(packed, whole[at+8:at+8+n]...)
		at += 12 + n
	}
	tiny := bytes.Clone(whole[:first])
	for _, b := range packed {
		tiny = append(tiny, pngChunk("IDAT", []byte{b})...)
	}
	tiny = append(tiny, pngChunk("IEND", nil)...)
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		wantQuadrants(t, mustDecode(t, d, tiny, decode.PNG), [4]int{0, 1, 2, 3}, 1)
	})
}
