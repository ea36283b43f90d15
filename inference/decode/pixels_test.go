package decode_test

import (
	"image"
	"os"
	"testing"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// What a node without libvips sees of a photo is what one with it sees, bit for bit: chroma that is enlarged otherwise, or an
// inverse DCT that rounds otherwise, moves boxes and verdicts.
func TestDecodersGiveTheSamePixels(t *testing.T) {
	t.Parallel()
	cache := parts.New(parts.Options{})
	photos := map[string][]byte{
		"made by Go": encodeJPEG(t, picture(83, 51)),
		"grey":       encodeJPEG(t, converted(image.NewGray(image.Rect(0, 0, 83, 51)))),
		"4:4:4":      baseline(96, 64, colour(yuv, 1, 1, 1, 1, 1, 1)),
		"4:2:2":      baseline(96, 64, colour(yuv, 2, 1, 1, 1, 1, 1)),
		"4:4:0":      baseline(96, 64, colour(yuv, 1, 2, 1, 1, 1, 1)),
		"4:1:1":      baseline(96, 64, colour(yuv, 4, 1, 1, 1, 1, 1)),
		"RGB":        baseline(96, 64, colour([][4]int{red, green, blue}, 1, 1, 1, 1, 1, 1), 0),
		"CMYK":       cmykJPEG(80, 48),
		"YCCK":       baseline(80, 48, colour(ycck, 1, 1, 1, 1, 1, 1, 1, 1), 2),
		"YCCK 4:2:0": baseline(96, 64, colour(ycck, 2, 2, 1, 1, 1, 1, 2, 2), 2),
	}
	for number, name := range []string{"sample 1", "sample 2", "sample 3", "sample 4", "sample 5", "sample 6"} {
		path, err := cache.SamplePhoto(t.Context(), number+1)
		if err != nil {
			t.Fatal(err)
		}
		if photos[name], err = os.ReadFile(path); err != nil {
			t.Fatal(err)
		}
	}
	for _, native := range []string{"libvips", "turbojpeg"} {
		t.Run(native, func(t *testing.T) {
			t.Parallel()
			wantSamePixels(t, decoders["go"](t, decode.Limits{}), decoders[native](t, decode.Limits{}), photos)
		})
	}
}

func wantSamePixels(t *testing.T, portable, native decode.Decoder, photos map[string][]byte) {
	t.Helper()
	for name, photo := range photos {
		a, b := mustDecode(t, portable, photo, decode.JPEG), mustDecode(t, native, photo, decode.JPEG)
		if a.Bounds() != b.Bounds() {
			t.Fatalf("%s: %v and %v", name, a.Bounds(), b.Bounds())
		}
		var s pixels.Sampler
		row := func(m *pixels.Image, y int) []float32 {
			data := make([]float32, 3*m.Width())
			s.Bilinear(m, image.Rect(0, y, m.Width(), y+1), pixels.Tensor{Data: data, Width: m.Width(), Height: 1, Order: pixels.RGB, Scale: 1}, m.Width(), 1)
			return data
		}
		for y := range a.Height() {
			ours, theirs := row(a, y), row(b, y)
			for i := range ours {
				if ours[i] != theirs[i] {
					t.Fatalf("%s: value %d of row %d is %v with Go and %v otherwise", name, i, y, ours[i], theirs[i])
				}
			}
		}
	}
}
