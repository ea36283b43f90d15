package decode_test

import (
	"context"
	"errors"
	"image"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

func FuzzStdlib(f *testing.F) { fuzz(f, "go") }

func FuzzVips(f *testing.F) { fuzz(f, "libvips") }

func FuzzTurboJPEG(f *testing.F) { fuzz(f, "turbojpeg") }

// fuzz looks for bytes that make a decoder panic, or return an error that no
// sender can understand or pixels that no model can take.
func fuzz(f *testing.F, decoder string) {
	jpg, pngs := encodeJPEG(f, picture(40, 36)), encodePNG(f, picture(40, 36))
	seeds := [][]byte{
		jpg, pngs, jpg[:len(jpg)/2], pngs[:len(pngs)/2], withEXIF(jpg, 6), withChunk(pngs, "eXIf", tiff(8)),
		withFrameSize(f, jpg, 30000, 30000), withSize(pngs, 30000, 30000),
		encodePNG(f, converted(image.NewGray16(image.Rect(0, 0, 40, 36)))),
		cmykJPEG(40, 40), progressiveJPEG(40, 40), separateJPEG(40, 40), manyScans(64, 64, 20, true, 2, 2, 1, 1, 1, 1),
		baseline(64, 64, colour(yuv, 2, 2, 1, 1, 1, 2)), baseline(64, 64, colour(ycck, 2, 2, 1, 1, 1, 1, 2, 2)),
		jpg[:len(jpg)-2], without(f, jpg, 0xC4), changed(f, jpg, 0xC0, 1, 0, 0), insert(f, jpg, 0xC0, 0, 0, 0),
		withProfile(f, jpg, matrixProfile("Display P3", p3Primaries, sRGBCurve())),
		withProfile(f, cmykJPEG(40, 40), tablesProfile("CMYK", "ink")), withPNGProfile(pngs, tablesProfile("RGB ", "XYB")),
		craftedPNG(40, 36, pngRGBA, 16, true), craftedPNG(40, 36, pngPalette, 2, true), craftedPNG(40, 36, pngGreyAlpha, 8, false),
		{}, {0xFF, 0xD8, 0xFF},
	}
	for _, s := range seeds {
		f.Add(s, true)
		f.Add(s, false)
	}
	d := decoders[decoder](f, decode.Limits{MaxPixels: 1 << 20, MaxBytes: 1 << 20})
	f.Fuzz(func(t *testing.T, data []byte, asJPEG bool) {
		format := decode.PNG
		if asJPEG {
			format = decode.JPEG
		}
		work := decode.Work(data)
		m, err := d.Decode(context.Background(), data, format)
		var refused *decode.Error
		if err != nil {
			if !errors.As(err, &refused) || refused.Message == "" {
				t.Fatalf("an error without a message for the sender: %v", err)
			}
			return
		}
		defer m.Release()
		if pixels := m.Width() * m.Height(); work != 0 && 3.01*work < float64(pixels) {
			t.Fatalf("%d pixels are said to be the work of %v", pixels, work)
		}
		var s pixels.Sampler
		dst := pixels.Tensor{Data: make([]float32, 3*16*16), Width: 16, Height: 16, Order: pixels.BGR, Scale: 1}
		s.Bilinear(m, m.Bounds(), dst, 16, 16)
		for i, v := range dst.Data {
			if !(v >= 0 && v <= 255) {
				t.Fatalf("value %d is %v", i, v)
			}
		}
		var tile pixels.Tile
		tile.Luma(m, m.Bounds())
		if mean := tile.Mean(); !(mean >= 0 && mean <= 255) {
			t.Fatalf("mean luma %v", mean)
		}
	})
}
