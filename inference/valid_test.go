package inference_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// facePhoto is one person of a sample photo with a wide margin.
func facePhoto(t testing.TB) *image.NRGBA {
	t.Helper()
	return cut(t, 3, image.Rect(640, 0, 1500, 710), 860, 710)
}

// cut resizes a window of a sample photo.
func cut(t testing.TB, sample int, window image.Rectangle, width, height int) *image.NRGBA {
	t.Helper()
	photo, err := decode.NewStdlib(decode.Limits{}).Decode(t.Context(), samplePhoto(t, sample), decode.JPEG)
	if err != nil {
		t.Fatal(err)
	}
	defer photo.Release()
	var s pixels.Sampler
	data := make([]float32, 3*width*height)
	s.Bilinear(photo, window, pixels.Tensor{Data: data, Width: width, Height: height, Order: pixels.RGB, Scale: 1}, width, height)
	m := image.NewNRGBA(image.Rect(0, 0, width, height))
	for i := range width * height {
		m.SetNRGBA(i%width, i/width, color.NRGBA{uint8(data[i]), uint8(data[width*height+i]), uint8(data[2*width*height+i]), 255})
	}
	return m
}

// each applies f to every colour value.
func each(m *image.NRGBA, f func(v float64) float64) *image.NRGBA {
	for i, v := range m.Pix {
		if i%4 != 3 {
			m.Pix[i] = uint8(min(max(f(float64(v)), 0), 255))
		}
	}
	return m
}

// blurred averages over squares of 2r+1 pixels, three times.
func blurred(m *image.NRGBA, r int) *image.NRGBA {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	pass := func(length, lines, step, stride int) {
		line := make([]int, length)
		for l := range lines {
			for c := range 3 {
				at := func(i int) int { return l*stride + i*step + c }
				for i := range line {
					line[i] = int(m.Pix[at(i)])
				}
				for i := range line {
					sum := 0
					for j := i - r; j <= i+r; j++ {
						sum += line[min(max(j, 0), length-1)]
					}
					m.Pix[at(i)] = uint8(sum / (2*r + 1))
				}
			}
		}
	}
	for range 3 {
		pass(w, h, 4, 4*w)
		pass(h, w, 4*w, 4)
	}
	return m
}

func checkPNG(t *testing.T, engine *inference.Engine, m image.Image) inference.Result {
	t.Helper()
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	r, err := engine.Check(t.Context(), b.Bytes(), decode.PNG)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestValidFaceRules(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, inference.Config{})
	good := checkPNG(t, engine, facePhoto(t))
	if !good.ValidFace || fake(good) {
		t.Fatalf("the unchanged photo: valid %v %v, fake %v", good.ValidFace, good.Reasons(), fake(good))
	}
	box := image.Rect(int(good.Face.X), int(good.Face.Y), int(good.Face.X+good.Face.W), int(good.Face.Y+good.Face.H))
	for name, tc := range map[string]struct {
		m    image.Image
		want string
	}{
		"dark":        {each(facePhoto(t), func(v float64) float64 { return v * 0.2 }), "too dark"},
		"bright":      {each(facePhoto(t), func(v float64) float64 { return 140 + v*0.55 }), "too bright"},
		"blurred":     {blurred(facePhoto(t), 5), "blurred"},
		"small":       {cut(t, 3, image.Rect(640, 0, 1500, 710), 172, 142), "too small"},
		"close":       {facePhoto(t).SubImage(box.Inset(-20)), "fills the frame"},
		"cut above":   {facePhoto(t).SubImage(image.Rect(200, box.Min.Y+box.Dy()/3, 680, 710)), "cut off"},
		"at the edge": {facePhoto(t).SubImage(image.Rect(box.Min.X+box.Dx()/5, 0, 860, 710)), "cut off by the edge"},
	} {
		t.Run(name, func(t *testing.T) {
			r := checkPNG(t, engine, tc.m)
			if r.ValidFace || !strings.Contains(strings.Join(r.Reasons(), "; "), tc.want) {
				t.Errorf("valid %v, reasons %q (brightness %.0f, sharpness %.4f, face %.0f in %d×%d); want %q",
					r.ValidFace, r.Reasons(), r.Brightness, r.Sharpness, r.Face, r.ImageWidth, r.ImageHeight, tc.want)
			}
		})
	}
}

func TestTurnedFaceIsNotValid(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, inference.Config{Pack: openPack(t, sharedDir(t, "models"))})
	r := checkPNG(t, engine, cut(t, 2, image.Rect(120, 0, 700, 700), 580, 700)) // a face in profile
	if r.ValidFace || !strings.Contains(strings.Join(r.Reasons(), "; "), "not frontal") {
		t.Errorf("valid %v, reasons %q, face %v; want it not frontal", r.ValidFace, r.Reasons(), r.Face)
	}
}

func TestBrightnessIsMeanLumaOfTheFace(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, inference.Config{})
	m := facePhoto(t)
	r := checkPNG(t, engine, m)
	sum, n := 0.0, 0.0
	for y := max(int(r.Face.Y), 0); y < int(r.Face.Y+r.Face.H); y++ {
		for x := int(r.Face.X); x < int(r.Face.X+r.Face.W); x++ {
			c := m.NRGBAAt(x, y)
			sum += 0.299*float64(c.R) + 0.587*float64(c.G) + 0.114*float64(c.B)
			n++
		}
	}
	if want := sum / n; r.Brightness < want-2 || r.Brightness > want+2 {
		t.Errorf("brightness %.1f, want %.1f", r.Brightness, want)
	}
}
