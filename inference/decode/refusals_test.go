package decode_test

import (
	"bytes"
	"errors"
	"image"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// refusal is what a sender is told.
func refusal(t *testing.T, d decode.Decoder, data []byte, format decode.Format) *decode.Error {
	t.Helper()
	m, err := d.Decode(t.Context(), data, format)
	var refused *decode.Error
	if !errors.As(err, &refused) || m != nil {
		t.Fatalf("an image: %t, error %v; want a *decode.Error", m != nil, err)
	}
	return refused
}

// A scan that is cut is refused wherever the cut is, and whether or not somebody has ended the file properly afterwards.
func TestCutScans(t *testing.T) {
	t.Parallel()
	photo := encodeJPEG(t, noisy(320, 240))
	_, scan := segmentAt(t, photo, 0xDA)
	progressive, separate := progressiveJPEG(320, 240), separateJPEG(320, 240)
	files := map[string][]byte{}
	for name, data := range map[string][]byte{"baseline": photo, "progressive": progressive, "separate scans": separate} {
		n := len(data)
		files[name+" at three quarters"] = data[:n*3/4]
		files[name+" near the end"] = data[:n-20]
		files[name+" at a half, ended"] = append(bytes.Clone(data[:n/2]), 0xFF, 0xD9)
		files[name+" at a half, filled up"] = append(bytes.Clone(data[:n/2]), bytes.Repeat([]byte{0xFF}, n/2)...)
	}
	last := bytes.LastIndex(progressive, []byte{0xFF, 0xDA})
	files["progressive between scans"] = progressive[:last]
	files["progressive in a scan header"] = progressive[:last+5]
	files["separate between scans"] = separate[:bytes.LastIndex(separate, []byte{0xFF, 0xDA})]
	files["nothing but a header"] = photo[:scan]
	files["in the header"] = photo[:scan-3]
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		mustDecode(t, d, photo, decode.JPEG)
		for name, data := range files {
			img, err := d.Decode(t.Context(), data, decode.JPEG)
			var refused *decode.Error
			if !errors.As(err, &refused) {
				t.Errorf("%s: an image: %t, error %v; want a *decode.Error", name, img != nil, err)
				continue
			}
			if refused.Kind != decode.KindCorrupted {
				t.Errorf("%s: kind %s (%v; %v), want %s", name, refused.Kind, refused, refused.Err, decode.KindCorrupted)
			}
			if ended := strings.Contains(name, "ended"); strings.Contains(refused.Message, "is truncated") == ended {
				t.Errorf("%s: %q", name, refused.Message)
			}
		}
	})
}

// noisy is a picture whose blocks take many bytes.
func noisy(width, height int) image.Image {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	seed := uint32(1)
	for i := range m.Pix {
		seed = seed*1664525 + 1013904223
		m.Pix[i] = byte(seed>>24) | byte(i%4/3*255)
	}
	return m
}

// What is refused for a feature is told which, and never called damaged.
func TestRefusalsNameTheFeature(t *testing.T) {
	t.Parallel()
	photo, pngs := encodeJPEG(t, picture(80, 48)), encodePNG(t, picture(80, 48))
	with := func(marker byte) []byte {
		return bytes.Replace(photo, []byte{0xFF, 0xC0}, []byte{0xFF, marker}, 1)
	}
	ftyp := func(brands string) []byte { return []byte("\x00\x00\x00\x1cftyp" + brands) }
	for _, tc := range []struct {
		name   string
		data   []byte
		stated decode.Format
		want   string
	}{
		{"height missing", changed(t, photo, 0xC0, 1, 0, 0), decode.JPEG, "height is missing"},
		{"width missing", changed(t, photo, 0xC0, 3, 0, 0), decode.JPEG, "width is missing"},
		{"12 bits", changed(t, with(0xC1), 0xC1, 0, 12), decode.JPEG, "12 bits"},
		{"lossless", with(0xC3), decode.JPEG, "lossless"},
		{"hierarchical", with(0xC5), decode.JPEG, "hierarchical"},
		{"arithmetic", with(0xC9), decode.JPEG, "arithmetic"},
		{"arithmetic, progressive", with(0xCA), decode.JPEG, "arithmetic"},
		{"lossless, arithmetic", with(0xCB), decode.JPEG, "lossless"},
		{"two components", baseline(80, 48, colour([][4]int{luma, cb}, 1, 1, 1, 1)), decode.JPEG, "2 colour components"},
		{"fractions", baseline(96, 64, colour(yuv, 3, 1, 2, 1, 1, 1)), decode.JPEG, "3x1,2x1,1x1"},
		{"large units", baseline(128, 128, colour(yuv, 4, 4, 1, 1, 1, 1)), decode.JPEG, "4x4,1x1,1x1"},
		{"iOS", withFirstChunk(pngs, "CgBI", []byte{0x50, 0, 0x20, 2}), decode.PNG, "iOS-optimised PNG"},
		{"HEIC", ftyp("heic\x00\x00\x00\x00mif1heic"), decode.JPEG, "HEIC"},
		{"HEIC of a sequence", ftyp("msf1\x00\x00\x00\x00msf1hevc"), decode.JPEG, "HEIC"},
		{"HEIC of a general brand", ftyp("mif1\x00\x00\x00\x00mif1miaf"), decode.PNG, "HEIC"},
		{"AVIF of a general brand", ftyp("mif1\x00\x00\x00\x00mif1avif"), decode.PNG, "AVIF"},
		{"CR3", ftyp("crx \x00\x00\x00\x01crx isom"), decode.JPEG, "CR3"},
		{"video", ftyp("mp42\x00\x00\x00\x00mp42isom"), decode.JPEG, "video"},
		{"WebP", []byte("RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00"), decode.JPEG, "WEBP"},
		{"JPEG in TIFF", append([]byte("II*\x00\x08\x00\x00\x00"), photo...), decode.JPEG, "TIFF"},
		{"JPEG XL", []byte("\x00\x00\x00\x0CJXL \r\n\x87\n"), decode.JPEG, "JPEG XL"},
		{"JPEG XL alone", []byte("\xFF\x0A\xFA\x1F"), decode.JPEG, "JPEG XL"},
		{"JPEG 2000", []byte("\x00\x00\x00\x0CjP  \r\n\x87\n"), decode.JPEG, "JPEG 2000"},
	} {
		eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
			t.Run(tc.name, func(t *testing.T) {
				refused := refusal(t, d, tc.data, tc.stated)
				if !strings.Contains(refused.Message, tc.want) || refused.Kind == decode.KindCorrupted {
					t.Errorf("%s %q (%v), want %q in it", refused.Kind, refused.Message, refused.Err, tc.want)
				}
			})
		})
	}
}

// What libvips shows and the pure Go decoders do not is refused by them for what it is.
func TestOnlyWithLibvips(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		data []byte
		want string
	}{
		"chroma sampled differently": {baseline(96, 64, colour(yuv, 2, 2, 1, 1, 1, 2)), "chroma sampled 2x2,1x1,1x2"},
		"chroma above luma":          {baseline(96, 64, colour(yuv, 1, 1, 2, 2, 2, 2)), "chroma sampled 1x1,2x2,2x2"},
		"a third of the chroma":      {baseline(96, 96, colour(yuv, 3, 1, 1, 1, 1, 1)), "chroma sampled 3x1,1x1,1x1"},
		"CMYK with fine cyan":        {baseline(96, 64, colour(cmyk, 2, 2, 1, 1, 1, 1, 1, 1), 0), "CMYK, sampled 2x2,1x1,1x1,1x1"},
		"XYB":                        {withProfile(t, baseline(64, 64, colour([][4]int{blue, green, red}, 1, 1, 1, 1, 1, 1), 0), tablesProfile("RGB ", "XYB_Per")), "XYB"},
		"damaged tables": {
			withProfile(t, baseline(64, 64, colour(yuv, 1, 1, 1, 1, 1, 1)), iccProfile("RGB ", "desc", iccText("x"), "A2B0", "mft2\x00\x00\x00\x00\x03\x03\x02\x00")),
			`profile "x"`,
		},
		"CMYK profile": {withProfile(t, baseline(64, 64, colour([][4]int{blue, green, red, full}, 1, 1, 1, 1, 1, 1, 1, 1), 0), tablesProfile("CMYK", "Coated")), "CMYK"},
	} {
		eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
			t.Run(name, func(t *testing.T) {
				if d.Name() != "go" {
					wantQuadrants(t, mustDecode(t, d, tc.data, decode.JPEG), [4]int{0, 1, 2, 3}, 8)
					return
				}
				refused := refusal(t, d, tc.data, decode.JPEG)
				if refused.Kind != decode.KindUnsupported || !strings.Contains(refused.Message, tc.want) ||
					!strings.Contains(refused.Message, "runs without libvips") {
					t.Errorf("%s %q, want %q and that libvips is missing", refused.Kind, refused.Message, tc.want)
				}
			})
		})
	}
}

// withFirstChunk puts a chunk in front of all others of a PNG.
func withFirstChunk(data []byte, kind string, body []byte) []byte {
	chunk := pngChunk(kind, body)
	return append(append(append([]byte{}, data[:8]...), chunk...), data[8:]...)
}
