package decode_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// Every decoder has to pass the same suite.
var decoders = map[string]func(t testing.TB, limits decode.Limits) decode.Decoder{
	"go":        func(_ testing.TB, limits decode.Limits) decode.Decoder { return decode.NewStdlib(limits) },
	"libvips":   openVips,
	"turbojpeg": openTurboJPEG,
}

func openVips(t testing.TB, limits decode.Limits) decode.Decoder {
	t.Helper()
	d, err := decode.OpenVips(libvips(t), limits)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// openTurboJPEG opens what a system with TurboJPEG decodes with. It is not fetched with the other parts.
func openTurboJPEG(t testing.TB, limits decode.Limits) decode.Decoder {
	t.Helper()
	d, err := decode.OpenNative(libvips(t), limits)
	if err != nil {
		t.Fatal(err)
	}
	if !withTurboJPEG(d) {
		const missing = "NOT TESTED: this system has no TurboJPEG (Debian's package libturbojpeg0)"
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return d
}

// withTurboJPEG reports whether a decoder leaves to libvips only what TurboJPEG does not decode.
func withTurboJPEG(d decode.Decoder) bool {
	versioned, ok := d.(interface{ Version() string })
	return ok && strings.Contains(versioned.Version(), "libjpeg-turbo")
}

func libvips(t testing.TB) string {
	t.Helper()
	path, err := parts.New(parts.Options{}).Libvips(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func eachDecoder(t *testing.T, limits decode.Limits, test func(t *testing.T, d decode.Decoder)) {
	t.Helper()
	for name, open := range decoders {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t, limits))
		})
	}
}

// quadrants is a picture with a colour of its own in each quarter: every way of turning it is told apart.
var quadrants = [4]color.NRGBA{
	{200, 30, 30, 255}, {30, 200, 30, 255},
	{30, 30, 200, 255}, {220, 220, 220, 255},
}

func picture(width, height int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.SetNRGBA(x, y, quadrants[x*2/width+y*2/height*2])
		}
	}
	return m
}

func encodeJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func encodePNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// tiff is the smallest EXIF block with an orientation.
func tiff(orientation byte) []byte {
	return []byte{
		'M', 'M', 0, 42, 0, 0, 0, 8, // header
		0, 1, // one entry
		0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0,
		0, 0, 0, 0,
	}
}

func withEXIF(data []byte, orientation byte) []byte {
	body := append([]byte("Exif\x00\x00"), tiff(orientation)...)
	segment := append([]byte{0xFF, 0xE1, 0, byte(len(body) + 2)}, body...)
	return append(append(append([]byte{}, data[:2]...), segment...), data[2:]...)
}

// withChunk puts a chunk behind the IHDR of a PNG.
func withChunk(data []byte, kind string, body []byte) []byte {
	chunk := pngChunk(kind, body)
	const ihdrEnd = 8 + 8 + 13 + 4
	return append(append(append([]byte{}, data[:ihdrEnd]...), chunk...), data[ihdrEnd:]...)
}

// withSize overwrites the size in the header of a PNG.
func withSize(data []byte, width, height uint32) []byte {
	data = bytes.Clone(data)
	binary.BigEndian.PutUint32(data[16:], width)
	binary.BigEndian.PutUint32(data[20:], height)
	binary.BigEndian.PutUint32(data[29:], crc32.ChecksumIEEE(data[12:29]))
	return data
}

// withFrameSize overwrites the size in the frame header of a JPEG.
func withFrameSize(t testing.TB, data []byte, width, height uint16) []byte {
	t.Helper()
	at := bytes.Index(data, []byte{0xFF, 0xC0})
	if at < 0 {
		t.Fatal("no frame header")
	}
	data = bytes.Clone(data)
	binary.BigEndian.PutUint16(data[at+5:], height)
	binary.BigEndian.PutUint16(data[at+7:], width)
	return data
}

// colourAt reads one upright pixel, through the path that models read by.
func colourAt(m *pixels.Image, x, y int) [3]float32 {
	var s pixels.Sampler
	data := make([]float32, 3)
	s.Bilinear(m, image.Rect(x, y, x+1, y+1), pixels.Tensor{Data: data, Width: 1, Height: 1, Order: pixels.RGB, Scale: 1}, 1, 1)
	return [3]float32(data)
}

// wantQuadrants compares the middle of each quarter with the expected colours, named by their index in quadrants.
func wantQuadrants(t *testing.T, m *pixels.Image, order [4]int, tolerance float32) {
	t.Helper()
	for i, index := range order {
		x, y := m.Width()*(1+2*(i%2))/4, m.Height()*(1+2*(i/2))/4
		want, got := quadrants[index], colourAt(m, x, y)
		for c, w := range [3]uint8{want.R, want.G, want.B} {
			if d := got[c] - float32(w); d > tolerance || d < -tolerance {
				t.Errorf("quarter %d: %v, want %v", i, got, want)
				break
			}
		}
	}
}

func mustDecode(t *testing.T, d decode.Decoder, data []byte, f decode.Format) *pixels.Image {
	t.Helper()
	m, err := d.Decode(t.Context(), data, f)
	if err != nil {
		t.Fatalf("%v (%v)", err, errors.Unwrap(err))
	}
	t.Cleanup(m.Release)
	return m
}

func TestOrientations(t *testing.T) {
	t.Parallel()
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		plainJPEG, plainPNG := encodeJPEG(t, picture(80, 48)), encodePNG(t, picture(80, 48))
		for orientation, want := range map[byte][4]int{
			0: {0, 1, 2, 3}, 1: {0, 1, 2, 3}, 2: {1, 0, 3, 2}, 3: {3, 2, 1, 0}, 4: {2, 3, 0, 1},
			5: {0, 2, 1, 3}, 6: {2, 0, 3, 1}, 7: {3, 1, 2, 0}, 8: {1, 3, 0, 2}, 9: {0, 1, 2, 3},
		} {
			for format, data := range map[decode.Format][]byte{
				decode.JPEG: withEXIF(plainJPEG, orientation),
				decode.PNG:  withChunk(plainPNG, "eXIf", tiff(orientation)),
			} {
				m := mustDecode(t, d, data, format)
				width, height := 80, 48
				if orientation >= 5 && orientation <= 8 {
					width, height = 48, 80
				}
				if m.Width() != width || m.Height() != height {
					t.Errorf("%s orientation %d: %d×%d, want %d×%d", format, orientation, m.Width(), m.Height(), width, height)
				}
				wantQuadrants(t, m, want, 8)
			}
		}
	})
}

// converted draws the picture into another pixel type.
func converted(m interface {
	image.Image
	Set(x, y int, c color.Color)
}) image.Image {
	src := picture(m.Bounds().Dx(), m.Bounds().Dy())
	for y := range src.Rect.Dy() {
		for x := range src.Rect.Dx() {
			m.Set(x, y, src.At(x, y))
		}
	}
	return m
}

func TestPixelTypes(t *testing.T) {
	t.Parallel()
	palette := color.Palette{color.Black}
	for _, c := range quadrants {
		palette = append(palette, c)
	}
	bounds := image.Rect(0, 0, 70, 50)
	translucent := picture(70, 50)
	for i := 3; i < len(translucent.Pix); i += 4 {
		translucent.Pix[i] = 0
	}
	same := [4]int{0, 1, 2, 3}
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		for name, data := range map[string][]byte{
			"RGB":         encodePNG(t, picture(70, 50)),
			"16-bit RGB":  encodePNG(t, converted(image.NewRGBA64(bounds))),
			"16-bit RGBA": encodePNG(t, converted(image.NewNRGBA64(bounds))),
			"palette":     encodePNG(t, converted(image.NewPaletted(bounds, palette))),
			"animated":    withChunk(encodePNG(t, picture(70, 50)), "acTL", []byte{0, 0, 0, 2, 0, 0, 0, 0}),
		} {
			t.Run(name, func(t *testing.T) {
				wantQuadrants(t, mustDecode(t, d, data, decode.PNG), same, 1)
			})
		}
		t.Run("transparent is white", func(t *testing.T) {
			m := mustDecode(t, d, encodePNG(t, translucent), decode.PNG)
			if got := colourAt(m, 10, 10); got != [3]float32{255, 255, 255} {
				t.Errorf("%v, want white", got)
			}
		})
		for name, grey := range map[string]image.Image{
			"grey":        converted(image.NewGray(bounds)),
			"16-bit grey": converted(image.NewGray16(bounds)),
		} {
			t.Run(name, func(t *testing.T) {
				m := mustDecode(t, d, encodePNG(t, grey), decode.PNG)
				want, _, _, _ := color.GrayModel.Convert(quadrants[1]).RGBA()
				got := colourAt(m, 60, 10)
				for _, v := range got {
					if d := v - float32(want>>8); d > 1 || d < -1 {
						t.Errorf("%v, want %d", got, want>>8)
					}
				}
			})
		}
		t.Run("grey JPEG", func(t *testing.T) {
			m := mustDecode(t, d, encodeJPEG(t, converted(image.NewGray(bounds))), decode.JPEG)
			if got := colourAt(m, 60, 10); got[0] != got[1] || got[1] != got[2] {
				t.Errorf("%v is not grey", got)
			}
		})
	})
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	jpg, pngs := encodeJPEG(t, picture(80, 48)), encodePNG(t, picture(80, 48))
	beforeScan, _, found := bytes.Cut(jpg, []byte{0xFF, 0xDA})
	if !found {
		t.Fatal("no scan header")
	}
	flipped := bytes.Clone(pngs)
	flipped[len(flipped)/2] ^= 0xFF
	small := decode.Limits{MaxBytes: 1 << 20}
	eachDecoder(t, small, func(t *testing.T, d decode.Decoder) {
		for _, tc := range []struct {
			name   string
			data   []byte
			stated decode.Format
			want   decode.Kind
		}{
			{"empty", nil, decode.JPEG, decode.KindEmpty},
			{"text", []byte("hello, I am not an image"), decode.JPEG, decode.KindNotAnImage},
			{"too many bytes", make([]byte, 1<<20+1), decode.PNG, decode.KindTooManyBytes},
			{"PNG stated as JPEG", pngs, decode.JPEG, decode.KindNotStatedFormat},
			{"JPEG stated as PNG", jpg, decode.PNG, decode.KindNotStatedFormat},
			{"GIF", []byte("GIF89a\x01\x00\x01\x00\x00\x00\x00"), decode.PNG, decode.KindNotStatedFormat},
			{"WebP", []byte("RIFF\x00\x00\x00\x00WEBPVP8 "), decode.JPEG, decode.KindNotStatedFormat},
			{"HEIC", []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00"), decode.JPEG, decode.KindNotStatedFormat},
			{"JPEG magic alone", jpg[:3], decode.JPEG, decode.KindCorrupted},
			{"PNG magic alone", pngs[:8], decode.PNG, decode.KindCorrupted},
			{"truncated JPEG", jpg[:len(jpg)*2/3], decode.JPEG, decode.KindCorrupted},
			{"truncated PNG", pngs[:len(pngs)*2/3], decode.PNG, decode.KindCorrupted},
			{"JPEG header alone", beforeScan, decode.JPEG, decode.KindCorrupted},
			{"damaged PNG", flipped, decode.PNG, decode.KindCorrupted},
			{"1×1 JPEG", encodeJPEG(t, picture(1, 1)), decode.JPEG, decode.KindTooSmall},
			{"1×1 PNG", encodePNG(t, picture(1, 1)), decode.PNG, decode.KindTooSmall},
			{"a thin line", encodePNG(t, picture(5000, 2)), decode.PNG, decode.KindTooSmall},
			{"30000×30000 JPEG", withFrameSize(t, jpg, 30000, 30000), decode.JPEG, decode.KindTooManyPixels},
			{"30000×30000 PNG", withSize(pngs, 30000, 30000), decode.PNG, decode.KindTooManyPixels},
			{"2³¹−1 PNG", withSize(pngs, 1<<31-1, 1<<31-1), decode.PNG, decode.KindTooManyPixels},
			{"0×0 PNG", withSize(pngs, 0, 0), decode.PNG, decode.KindCorrupted},
			{"JPEG of 100 scans", manyScans(80, 48, 100, false, 1, 1, 1, 1, 1, 1), decode.JPEG, decode.KindUnsupported},
		} {
			t.Run(tc.name, func(t *testing.T) {
				m, err := d.Decode(t.Context(), tc.data, tc.stated)
				var refused *decode.Error
				if !errors.As(err, &refused) || m != nil {
					t.Fatalf("an image: %t, error %v; want a *decode.Error", m != nil, err)
				}
				if refused.Kind != tc.want {
					t.Errorf("kind %s (%v; %v), want %s", refused.Kind, refused, refused.Err, tc.want)
				}
				if refused.Message == "" {
					t.Error("there is no message for the sender")
				}
			})
		}
	})
}

func TestDecodedMemoryIsBounded(t *testing.T) {
	t.Parallel()
	eachDecoder(t, decode.Limits{MaxDecodedBytes: 80 * 48 * 4}, func(t *testing.T, d decode.Decoder) {
		mustDecode(t, d, encodePNG(t, picture(80, 48)), decode.PNG)
		refused := refusal(t, d, craftedPNG(80, 48, pngRGBA, 16, true), decode.PNG)
		if refused.Kind != decode.KindTooManyPixels || !strings.Contains(refused.Message, "16-bit, interlaced") {
			t.Errorf("%s %q, want %s and why", refused.Kind, refused.Message, decode.KindTooManyPixels)
		}
	})
}

func TestDecodeHonoursContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		for format, data := range map[decode.Format][]byte{
			decode.JPEG: encodeJPEG(t, picture(80, 48)), decode.PNG: encodePNG(t, picture(80, 48)),
		} {
			if _, err := d.Decode(ctx, data, format); !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v, want context.Canceled", format, err)
			}
		}
	})
}

// Buffers are handed from one image to the next, and very large ones are
// mapped: neither may show another image's pixels.
func TestConcurrentDecodesKeepApart(t *testing.T) {
	t.Parallel()
	var images [][]byte
	for i, size := range []image.Point{{80, 48}, {640, 480}, {33, 57}, {4200, 3000}, {300, 200}, {80, 48}} {
		images = append(images, withEXIF(encodeJPEG(t, picture(size.X, size.Y)), byte(1+5*(i%2)))) // 1 or 6
	}
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		var group sync.WaitGroup
		for i, data := range images {
			want := [2][4]int{{0, 1, 2, 3}, {2, 0, 3, 1}}[i%2]
			group.Go(func() {
				for range 2 {
					m, err := d.Decode(context.Background(), data, decode.JPEG)
					if err != nil {
						t.Error(err)
						return
					}
					wantQuadrants(t, m, want, 8)
					m.Release()
					m.Release() // a second one does nothing
				}
			})
		}
		group.Wait()
	})
}
