package pixels_test

import (
	"fmt"
	"image"
	"image/color"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/inference/pixels"
)

// noise fills a buffer with values that any misplaced offset would show in.
func noise(pix []byte) {
	r := rand.New(rand.NewPCG(1, uint64(len(pix))))
	for i := range pix {
		pix[i] = byte(r.UintN(256))
	}
}

func noisyYCbCr(w, h int, ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	m := image.NewYCbCr(image.Rect(0, 0, w, h), ratio)
	noise(m.Y)
	noise(m.Cb)
	noise(m.Cr)
	return m
}

func noisyNRGBA(w, h int) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	noise(m.Pix)
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 0xFF
	}
	return m
}

func wrap(t testing.TB, m image.Image, o pixels.Orientation) *pixels.Image {
	t.Helper()
	wrapped, err := pixels.FromImage(m, o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return wrapped
}

// sample resizes a window to w × h; the values are at [plane][y*w+x].
func sample(m *pixels.Image, window image.Rectangle, order pixels.Order, w, h int) [3][]float32 {
	var s pixels.Sampler
	data := make([]float32, 3*w*h)
	s.Bilinear(m, window, pixels.Tensor{Data: data, Width: w, Height: h, Order: order, Scale: 1}, w, h)
	return [3][]float32{data[:w*h], data[w*h : 2*w*h], data[2*w*h:]}
}

// slowBilinear is the textbook definition over any image.Image.
func slowBilinear(m image.Image, window image.Rectangle, w, h, x, y int) [3]float64 {
	at := func(i, size, n int) (int, int, float64) {
		v := min(max((float64(i)+0.5)*float64(size)/float64(n)-0.5, 0), float64(size-1))
		return int(v), min(int(v)+1, size-1), v - math.Floor(v)
	}
	x0, x1, fx := at(x, window.Dx(), w)
	y0, y1, fy := at(y, window.Dy(), h)
	pixel := func(x, y int) [3]float64 {
		c := color.NRGBAModel.Convert(m.At(window.Min.X+x, window.Min.Y+y)).(color.NRGBA)
		return [3]float64{float64(c.R), float64(c.G), float64(c.B)}
	}
	var out [3]float64
	for c := range out {
		top := pixel(x0, y0)[c]*(1-fx) + pixel(x1, y0)[c]*fx
		bottom := pixel(x0, y1)[c]*(1-fx) + pixel(x1, y1)[c]*fx
		out[c] = top*(1-fy) + bottom*fy
	}
	return out
}

func TestBilinearIsTheTextbookOne(t *testing.T) {
	t.Parallel()
	sources := map[string]struct {
		m         image.Image
		tolerance float64
	}{
		"NRGBA":       {noisyNRGBA(37, 23), 0.625},
		"YCbCr 4:4:4": {noisyYCbCr(37, 23, image.YCbCrSubsampleRatio444), 1.5}, // image/color rounds otherwise
	}
	for name, src := range sources {
		for _, window := range []image.Rectangle{image.Rect(0, 0, 37, 23), image.Rect(5, 3, 30, 22), image.Rect(36, 22, 37, 23)} {
			for _, size := range []image.Point{{16, 12}, {50, 60}, {1, 1}} {
				got := sample(wrap(t, src.m, 1), window, pixels.RGB, size.X, size.Y)
				for i := range size.X * size.Y {
					want := slowBilinear(src.m, window, size.X, size.Y, i%size.X, i/size.X)
					for c := range 3 {
						if math.Abs(float64(got[c][i])-want[c]) > src.tolerance {
							t.Fatalf("%s %v to %v: value %d of plane %d is %v, want %v", name, window, size, i, c, got[c][i], want[c])
						}
					}
				}
			}
		}
	}
}

func TestOrientationOnlyMovesPixels(t *testing.T) {
	t.Parallel()
	const w, h = 21, 14
	// Where the upright pixel x, y of a w × h stored image lies.
	stored := map[pixels.Orientation]func(x, y int) (int, int){
		1: func(x, y int) (int, int) { return x, y },
		2: func(x, y int) (int, int) { return w - 1 - x, y },
		3: func(x, y int) (int, int) { return w - 1 - x, h - 1 - y },
		4: func(x, y int) (int, int) { return x, h - 1 - y },
		5: func(x, y int) (int, int) { return y, x },
		6: func(x, y int) (int, int) { return y, h - 1 - x },
		7: func(x, y int) (int, int) { return w - 1 - y, h - 1 - x },
		8: func(x, y int) (int, int) { return w - 1 - y, x },
	}
	sources := map[string]image.Image{"NRGBA": noisyNRGBA(w, h)}
	for _, ratio := range []image.YCbCrSubsampleRatio{
		image.YCbCrSubsampleRatio444, image.YCbCrSubsampleRatio422, image.YCbCrSubsampleRatio420,
		image.YCbCrSubsampleRatio440, image.YCbCrSubsampleRatio411, image.YCbCrSubsampleRatio410,
	} {
		sources[fmt.Sprint(ratio)] = noisyYCbCr(w, h, ratio)
	}
	for name, src := range sources {
		plain := sample(wrap(t, src, 1), image.Rect(0, 0, w, h), pixels.RGB, w, h)
		for o, where := range stored {
			m := wrap(t, src, o)
			turned := sample(m, m.Bounds(), pixels.RGB, m.Width(), m.Height())
			for i := range turned[0] {
				x, y := where(i%m.Width(), i/m.Width())
				for c := range 3 {
					if d := turned[c][i] - plain[c][y*w+x]; d > 1 || d < -1 {
						t.Fatalf("%s orientation %d: value %d is %v, want that of %d, %d: %v", name, o, i, turned[c][i], x, y, plain[c][y*w+x])
					}
				}
			}
		}
	}
}

// A turned view reads as the image does whose orientation says so.
func TestTurned(t *testing.T) {
	t.Parallel()
	for _, src := range []image.Image{noisyNRGBA(21, 14), noisyYCbCr(21, 14, image.YCbCrSubsampleRatio420)} {
		for degrees, same := range map[int][2]pixels.Orientation{
			0: {1, 6}, 90: {6, 3}, 180: {3, 8}, 270: {8, 1},
		} {
			for i, from := range []pixels.Orientation{1, 6} {
				got, want := wrap(t, src, from).Turned(degrees), wrap(t, src, same[i])
				if got.Bounds() != want.Bounds() {
					t.Fatalf("%d degrees from orientation %d: %v, want %v", degrees, from, got.Bounds(), want.Bounds())
				}
				if diff := cmp.Diff(sample(want, want.Bounds(), pixels.RGB, 30, 30), sample(got, got.Bounds(), pixels.RGB, 30, 30)); diff != "" {
					t.Fatalf("%d degrees from orientation %d differ:\n%s", degrees, from, diff)
				}
			}
		}
	}
}

func TestReleaseOfATurnedViewKeepsTheImage(t *testing.T) {
	t.Parallel()
	released := 0
	m, err := pixels.FromImage(noisyNRGBA(8, 6), 1, func() { released++ })
	if err != nil {
		t.Fatal(err)
	}
	m.Turned(90).Release()
	if released != 0 || m.Width() != 8 {
		t.Errorf("the image is released %d times and %d wide, want 0 and 8", released, m.Width())
	}
	if m.Release(); released != 1 {
		t.Errorf("the image is released %d times, want once", released)
	}
}

func TestTensorLayout(t *testing.T) {
	t.Parallel()
	m := wrap(t, noisyNRGBA(8, 8), 1)
	rgb := sample(m, m.Bounds(), pixels.RGB, 8, 8)
	bgr := sample(m, m.Bounds(), pixels.BGR, 8, 8)
	var s pixels.Sampler
	grey := make([]float32, 64)
	s.Bilinear(m, m.Bounds(), pixels.Tensor{Data: grey, Width: 8, Height: 8, Order: pixels.Grey, Scale: 1}, 8, 8)
	// Normalised, and laid into the corner of a larger tensor.
	padded := make([]float32, 3*10*10)
	s.Bilinear(m, m.Bounds(), pixels.Tensor{Data: padded, Width: 10, Height: 10, Order: pixels.RGB, Mean: 127, Scale: 1. / 128}, 8, 8)
	for i := range 64 {
		if rgb[0][i] != bgr[2][i] || rgb[1][i] != bgr[1][i] || rgb[2][i] != bgr[0][i] {
			t.Fatalf("BGR is not RGB reversed at %d", i)
		}
		luma := 0.299*rgb[0][i] + 0.587*rgb[1][i] + 0.114*rgb[2][i]
		if math.Abs(float64(grey[i]-luma)) > 1.1 {
			t.Fatalf("grey %v, want %v", grey[i], luma)
		}
		if got, want := padded[i/8*10+i%8], (rgb[0][i]-127)/128; math.Abs(float64(got-want)) > 1e-5 {
			t.Fatalf("normalised %v, want %v", got, want)
		}
	}
	for _, i := range []int{8, 9, 80, 99} {
		if padded[i] != 0 {
			t.Errorf("value %d beside the window is %v, want untouched", i, padded[i])
		}
	}
}

func TestTile(t *testing.T) {
	t.Parallel()
	for name, src := range map[string]image.Image{
		"NRGBA": noisyNRGBA(500, 400), "YCbCr": noisyYCbCr(500, 400, image.YCbCrSubsampleRatio420),
	} {
		m := wrap(t, src, 6)
		grey := make([]float32, m.Width()*m.Height())
		var s pixels.Sampler
		s.Bilinear(m, m.Bounds(), pixels.Tensor{Data: grey, Width: m.Width(), Height: m.Height(), Order: pixels.Grey, Scale: 1}, m.Width(), m.Height())
		mean := 0.0
		for _, v := range grey {
			mean += float64(v) / float64(len(grey))
		}
		var tile pixels.Tile
		tile.Luma(m, m.Bounds())
		if got := tile.Mean(); math.Abs(got-mean) > 1.5 {
			t.Errorf("%s: mean %v, want %v", name, got, mean)
		}
		if tile.Sharpness() < 1 {
			t.Errorf("%s: noise has sharpness %v", name, tile.Sharpness())
		}
		for _, tiny := range []image.Rectangle{image.Rect(0, 0, 1, 1), image.Rect(m.Width()-3, m.Height()-2, m.Width(), m.Height())} {
			tile.Luma(m, tiny)
			if mean := tile.Mean(); mean < 0 || mean > 255 {
				t.Errorf("%s: mean of %v is %v", name, tiny, mean)
			}
		}
	}
	ramp := image.NewGray(image.Rect(0, 0, 256, 256))
	for i := range ramp.Pix {
		ramp.Pix[i] = byte(i % 256)
	}
	var tile pixels.Tile
	tile.Luma(wrap(t, ramp, 1), ramp.Rect)
	if s := tile.Sharpness(); s > 0.001 {
		t.Errorf("a smooth ramp has sharpness %v", s)
	}
	tile = pixels.Tile{}
	if s := tile.Sharpness(); s != 0 {
		t.Errorf("one colour has sharpness %v", s)
	}
}

func TestReadingAllocatesNothing(t *testing.T) { //nolint:paralleltest // allocations of all goroutines are counted
	m := wrap(t, noisyYCbCr(640, 480, image.YCbCrSubsampleRatio420), 6)
	var s pixels.Sampler
	tile := new(pixels.Tile)
	dst := pixels.Tensor{Data: make([]float32, 3*320*240), Width: 320, Height: 240, Order: pixels.RGB, Scale: 1}
	s.Bilinear(m, m.Bounds(), dst, 320, 240)
	if n := testing.AllocsPerRun(5, func() {
		s.Bilinear(m, m.Bounds(), dst, 320, 240)
		tile.Luma(m, m.Bounds())
		_ = tile.Sharpness()
	}); n != 0 {
		t.Errorf("%v allocations per reading", n)
	}
}

func TestBuffersThatDoNotHoldTheImage(t *testing.T) {
	t.Parallel()
	for name, build := range map[string]func() (*pixels.Image, error){
		"short buffer": func() (*pixels.Image, error) {
			return pixels.Interleaved(make([]byte, 29), 5, 2, 15, 3, [3]int{0, 1, 2}, 1, nil)
		},
		"short stride": func() (*pixels.Image, error) {
			return pixels.Interleaved(make([]byte, 99), 5, 2, 14, 3, [3]int{0, 1, 2}, 1, nil)
		},
		"no pixels": func() (*pixels.Image, error) {
			return pixels.Interleaved(nil, 0, 0, 0, 3, [3]int{0, 1, 2}, 1, nil)
		},
		"short chroma": func() (*pixels.Image, error) {
			m := noisyYCbCr(8, 8, image.YCbCrSubsampleRatio420)
			m.Cb = m.Cb[:15]
			return pixels.FromImage(m, 1, nil)
		},
		"unknown type": func() (*pixels.Image, error) { return pixels.FromImage(image.NewUniform(color.White), 1, nil) },
	} {
		if _, err := build(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func BenchmarkBilinear(b *testing.B) {
	for name, src := range map[string]image.Image{
		"YCbCr420": noisyYCbCr(1920, 1280, image.YCbCrSubsampleRatio420), "NRGBA": noisyNRGBA(1920, 1280),
	} {
		m := wrap(b, src, 1)
		for _, size := range []image.Point{{320, 240}, {128, 128}} {
			b.Run(fmt.Sprintf("%s/%dx%d", name, size.X, size.Y), func(b *testing.B) {
				var s pixels.Sampler
				dst := pixels.Tensor{Data: make([]float32, 3*size.X*size.Y), Width: size.X, Height: size.Y, Order: pixels.RGB, Scale: 1}
				b.ReportAllocs()
				for b.Loop() {
					s.Bilinear(m, m.Bounds(), dst, size.X, size.Y)
				}
			})
		}
		b.Run(name+"/tile", func(b *testing.B) {
			var tile pixels.Tile
			for b.Loop() {
				tile.Luma(m, image.Rect(600, 300, 1100, 900))
				_ = tile.Sharpness()
			}
		})
	}
}
