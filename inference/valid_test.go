package inference_test

import (
	"bytes"
	"image"
	"image/color"
	"image/png"
	"slices"
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
		code inference.IssueCode
		want string
	}{
		"dark":        {each(facePhoto(t), func(v float64) float64 { return v * 0.2 }), inference.TooDark, "too dark"},
		"bright":      {each(facePhoto(t), func(v float64) float64 { return 140 + v*0.55 }), inference.TooBright, "too bright"},
		"blurred":     {blurred(facePhoto(t), 5), inference.Blurred, "blurred"},
		"small":       {cut(t, 3, image.Rect(640, 0, 1500, 710), 172, 142), inference.FaceTooSmall, "too small"},
		"close":       {facePhoto(t).SubImage(box), inference.FaceTooClose, "fills the frame"},
		"cut above":   {facePhoto(t).SubImage(image.Rect(200, box.Min.Y+box.Dy()/3, 680, 710)), inference.FaceIncomplete, "cut off"},
		"at the edge": {facePhoto(t).SubImage(image.Rect(box.Min.X+box.Dx()/5, 0, 860, 710)), inference.FaceCutOff, "cut off by the edge"},
		"greyscale":   {tinted(facePhoto(t), 1, 1, 1), inference.NoColour, "greyscale"},
		"sepia":       {tinted(facePhoto(t), 1.2, 1, 0.7), inference.NoColour, "single hue"},
		"cold":        {tinted(facePhoto(t), 0.5, 0.8, 1.2), inference.NoColour, "single hue"},
		"grey border": {framed(facePhoto(t), color.Gray{128}, 86, 71), inference.Bordered, "border"},
		"white frame": {framed(facePhoto(t), color.White, 40, 40), inference.Bordered, "border"},
		"letterbox":   {framed(facePhoto(t), color.Black, 0, 90), inference.Bordered, "border"},
		"pillars":     {framed(facePhoto(t), color.Black, 90, 0), inference.Bordered, "border"},
		"inset":       {framed(facePhoto(t), squares{}, 300, 250), inference.Inset, "picture within the photo"},
	} {
		t.Run(name, func(t *testing.T) {
			r := checkPNG(t, engine, tc.m)
			coded := slices.ContainsFunc(r.Issues, func(i inference.Issue) bool { return i.Code == tc.code && strings.Contains(i.Message, tc.want) })
			if r.ValidFace || !coded {
				t.Errorf("valid %v, issues %v (brightness %.0f, sharpness %.4f, face %.0f in %d×%d); want %s",
					r.ValidFace, r.Issues, r.Brightness, r.Sharpness, r.Face, r.ImageWidth, r.ImageHeight, tc.code)
			}
		})
	}
}

// What only looks like the photos above is valid: a warm and a cold light, paler colours, a plain wall.
func TestOrdinaryPhotosAreValid(t *testing.T) {
	t.Parallel()
	engine := openEngine(t, inference.Config{})
	channels := func(r, g, b float64) image.Image {
		m := facePhoto(t)
		for i := range m.Pix {
			m.Pix[i] = uint8(min(float64(m.Pix[i])*[4]float64{r, g, b, 1}[i%4], 255))
		}
		return m
	}
	for name, m := range map[string]image.Image{
		"warm": channels(1.15, 1, 0.65), "cold": channels(0.75, 1, 1.2), "mirrored": mirrored(facePhoto(t)),
		"near": cut(t, 3, image.Rect(800, 20, 1340, 620), 540, 600),
	} {
		if r := checkPNG(t, engine, m); !r.ValidFace {
			t.Errorf("%s: %v", name, r.Issues)
		}
	}
}

// tinted is a picture of one plane, greyscale if all factors are 1.
func tinted(m *image.NRGBA, r, g, b float64) *image.NRGBA {
	for i := 0; i < len(m.Pix); i += 4 {
		luma := 0.299*float64(m.Pix[i]) + 0.587*float64(m.Pix[i+1]) + 0.114*float64(m.Pix[i+2])
		for c, factor := range []float64{r, g, b} {
			m.Pix[i+c] = uint8(min(luma*factor, 255))
		}
	}
	return m
}

// framed lays the picture on a ground that reaches over it on all sides.
func framed(m *image.NRGBA, ground color.Color, x, y int) *image.NRGBA {
	out := image.NewNRGBA(image.Rect(0, 0, m.Rect.Dx()+2*x, m.Rect.Dy()+2*y))
	pattern, patterned := ground.(squares)
	for i := range out.Rect.Dx() * out.Rect.Dy() {
		at := image.Pt(i%out.Rect.Dx(), i/out.Rect.Dx())
		c := ground
		if inside := at.Sub(image.Pt(x, y)); inside.In(m.Rect) {
			c = m.NRGBAAt(inside.X, inside.Y)
		} else if patterned {
			c = pattern.at(at)
		}
		out.Set(at.X, at.Y, c)
	}
	return out
}

// squares are a ground that is no uniform border.
type squares struct{ color.Gray }

func (squares) at(p image.Point) color.Color {
	if (p.X/200+p.Y/200)%2 == 0 {
		return color.NRGBA{230, 60, 200, 255}
	}
	return color.NRGBA{30, 220, 240, 255}
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
