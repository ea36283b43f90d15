package inference_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/phototest"
)

// Decoded at half their size, the photos of telephones would be judged in half the time, and otherwise (decision 24). This
// says how much: when no likelihood moves by more than is allowed any more, they can be. It takes minutes, and runs when
// LIVENESS_LARGE_PHOTOS is set.
func TestReducedPhotosAreJudgedOtherwise(t *testing.T) {
	t.Parallel()
	if os.Getenv("LIVENESS_LARGE_PHOTOS") == "" {
		t.Skip("set LIVENESS_LARGE_PHOTOS=1 to judge photos of 12 megapixels at half their size")
	}
	const allowed = 0.03 // of an undecided picture
	engine := openEngine(t, inference.Config{Decoder: decoders(t)["native"]})
	compared, most := 0, 0.0
	for i, path := range sharedPhotos(t) {
		if i%4 != 0 {
			continue
		}
		photo := telephonePhoto(t, readFile(t, path))
		whole, err := engine.Check(t.Context(), photo, decode.JPEG)
		if err != nil {
			t.Fatalf("%s: %v", filepath.Base(path), err)
		}
		half, err := engine.Check(t.Context(), halved(t, photo), decode.PNG)
		if err != nil {
			t.Fatalf("%s, halved: %v", filepath.Base(path), err)
		}
		moved := math.Abs(whole.FakeLikelihood - half.FakeLikelihood)
		t.Logf("%s: %.4f, halved %.4f", filepath.Base(path), whole.FakeLikelihood, half.FakeLikelihood)
		compared, most = compared+1, max(most, moved)
	}
	t.Logf("%d photos moved by at most %.4f", compared, most)
	if most <= allowed {
		t.Errorf("no likelihood moves by more than %v: decision 24 no longer holds", allowed)
	}
}

// telephonePhoto enlarges a picture to 12 megapixels, with the grain of a sensor.
func telephonePhoto(t *testing.T, picture []byte) []byte {
	t.Helper()
	size, _, err := image.DecodeConfig(bytes.NewReader(picture))
	if err != nil {
		t.Fatal(err)
	}
	scale := math.Sqrt(12e6 / float64(size.Width*size.Height))
	photo, err := phototest.Make(picture, phototest.Kind{
		Width: int(float64(size.Width) * scale), Height: int(float64(size.Height) * scale), Format: "jpeg", Quality: 90, Grain: 9,
	})
	if err != nil {
		t.Fatal(err)
	}
	return photo
}

// halved is a photo at half its size each way, which is what an inverse DCT of half the size gives.
func halved(t *testing.T, photo []byte) []byte {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(photo))
	if err != nil {
		t.Fatal(err)
	}
	small := image.NewNRGBA(image.Rect(0, 0, m.Bounds().Dx()/2, m.Bounds().Dy()/2))
	for y := range small.Rect.Dy() {
		for x := range small.Rect.Dx() {
			var sum [3]uint32
			for _, p := range [4]image.Point{{2 * x, 2 * y}, {2*x + 1, 2 * y}, {2 * x, 2*y + 1}, {2*x + 1, 2*y + 1}} {
				r, g, b, _ := m.At(p.X, p.Y).RGBA()
				sum[0], sum[1], sum[2] = sum[0]+r>>8, sum[1]+g>>8, sum[2]+b>>8
			}
			small.SetNRGBA(x, y, color.NRGBA{uint8((sum[0] + 2) / 4), uint8((sum[1] + 2) / 4), uint8((sum[2] + 2) / 4), 255})
		}
	}
	var out bytes.Buffer
	if err := png.Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
