package inference_test

import (
	"fmt"
	"image"
	"math"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
)

// The scores of the default pack by another implementation. 0.05 is what two JPEG decoders differ by on clear cases.
func TestDefaultPackScores(t *testing.T) {
	t.Parallel()
	for name, decoder := range decoders(t) {
		engine := openEngine(t, inference.Config{Decoder: decoder})
		for i, want := range []float64{0.000, 0.094, 0.001, 0.001, 0.022, 0.014} {
			r, err := engine.Check(t.Context(), samplePhoto(t, i+1), decode.JPEG)
			if err != nil {
				t.Fatalf("%s: sample%d: %v", name, i+1, err)
			}
			if math.Abs(r.FakeLikelihood-want) > 0.05 {
				t.Errorf("%s: sample%d: fake likelihood %.4f, want %.3f", name, i+1, r.FakeLikelihood, want)
			}
			if fake(r) || !r.ValidFace {
				t.Errorf("%s: sample%d: fake %v, valid %v %v; want live and valid", name, i+1, fake(r), r.ValidFace, r.Reasons())
			}
		}
	}
}

func TestDefaultPackScoresOfReferenceImages(t *testing.T) {
	t.Parallel()
	dir := sharedDir(t, "images")
	for decoderName, decoder := range decoders(t) {
		engine := openEngine(t, inference.Config{Decoder: decoder})
		for _, tc := range []struct {
			name            string
			want, tolerance float64
		}{
			{"live_single", 0.017, 0.05},
			{"live_group", 0.000, 0.05},
			{"image_F1", 1.000, 0.05},
			{"image_F2", 0.927, 0.05},
			{"image_T1", 0.155, 0.10}, // live, and on the threshold
		} {
			r, err := engine.Check(t.Context(), readFile(t, filepath.Join(dir, tc.name+".jpg")), decode.JPEG)
			if err != nil {
				t.Fatalf("%s: %s: %v", decoderName, tc.name, err)
			}
			if math.Abs(r.FakeLikelihood-tc.want) > tc.tolerance {
				t.Errorf("%s: %s: fake likelihood %.4f, want %.3f", decoderName, tc.name, r.FakeLikelihood, tc.want)
			}
			if !r.ValidFace {
				t.Errorf("%s: %s: not valid: %v", decoderName, tc.name, r.Reasons())
			}
		}
	}
}

// formula and grey fill the tensors of the reference outputs.
func formula(c, y, x int) float32 { return float32((37*c + 3*y + 5*x) % 256) }
func grey(int, int, int) float32  { return 128 }

// The reference outputs of MiniFASNet for tensors that need no image: of the second pack, and of the models that are made
// of the official weights.
func TestMiniFASNetTensors(t *testing.T) {
	t.Parallel()
	expectMiniFASNet(t, openPack(t, sharedDir(t, "models")))
	expectMiniFASNet(t, builtPack(t))
}

func expectMiniFASNet(t *testing.T, p pack.Pack) {
	t.Helper()
	library := runtimeLibrary(t)
	for _, tc := range []struct {
		file string
		fill func(c, y, x int) float32
		want [3]float64
	}{
		{"minifasnet_v2_2.7.onnx", formula, [3]float64{0.0926, 0.8429, 0.0645}},
		{"minifasnet_v1se_4.0.onnx", formula, [3]float64{0.0007, 0.9917, 0.0076}},
		{"minifasnet_v2_2.7.onnx", grey, [3]float64{0.0248, 0.2475, 0.7277}},
		{"minifasnet_v1se_4.0.onnx", grey, [3]float64{0.0732, 0.5944, 0.3324}},
	} {
		out, err := inference.ReferenceRun(library, p, tc.file, tc.fill)
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range tc.want {
			if math.Abs(float64(out[0][i])-want) > 1e-4 {
				t.Errorf("%s: %s: class %d is %.5f, want %.4f", p.ID, tc.file, i, out[0][i], want)
			}
		}
	}
}

func TestYuNetTensor(t *testing.T) {
	t.Parallel()
	out, err := inference.ReferenceRun(runtimeLibrary(t), openPack(t, sharedDir(t, "models")), "yunet.onnx", formula)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range map[int]float64{0: 1089.796, 1: 279.155, 2: 64.972, 8: 438.093, 11: 1252.981} {
		sum := 0.0
		for _, v := range out[i] {
			sum += float64(v)
		}
		if math.Abs(sum-want) > 0.05 {
			t.Errorf("yunet: output %d sums to %.3f, want %.3f", i, sum, want)
		}
	}
}

// The reference boxes and scores of the second pack. They were made with libjpeg-turbo.
func TestSecondPackReferenceImages(t *testing.T) {
	t.Parallel()
	p := openPack(t, sharedDir(t, "models"))
	dir := sharedDir(t, "images")
	for name, decoder := range decoders(t) {
		engine := openEngine(t, inference.Config{Pack: p, Decoder: decoder})
		for _, tc := range []struct {
			name          string
			width, height int
			faces         int
			box           inference.Box
			score, live   float64
		}{
			{"image_T1", 480, 640, 1, inference.Box{X: 109.2, Y: 112.9, W: 186.0, H: 265.7}, 0.925, 0.9763},
			{"image_F1", 480, 640, 1, inference.Box{X: 190.0, Y: 111.5, W: 194.5, H: 240.3}, 0.933, 0.1960},
			{"image_F2", 480, 640, 1, inference.Box{X: 143.8, Y: 212.8, W: 217.4, H: 299.3}, 0.936, 0.1325},
			{"live_single", 540, 720, 1, inference.Box{X: 187.7, Y: 119.3, W: 242.1, H: 317.2}, 0.929, 0.9886},
			{"live_group", 960, 640, 3, inference.Box{X: 203.5, Y: 174.9, W: 97.6, H: 129.7}, 0.932, 1.0000},
		} {
			r, err := engine.Check(t.Context(), readFile(t, filepath.Join(dir, tc.name+".jpg")), decode.JPEG)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, tc.name, err)
			}
			if r.ImageWidth != tc.width || r.ImageHeight != tc.height || r.Faces != tc.faces {
				t.Errorf("%s: %s: %d×%d with %d faces, want %d×%d with %d", name, tc.name,
					r.ImageWidth, r.ImageHeight, r.Faces, tc.width, tc.height, tc.faces)
			}
			if !near(r.Face, tc.box, 0.25) {
				t.Errorf("%s: %s: face %.1f, want %.1f", name, tc.name, r.Face, tc.box)
			}
			if math.Abs(r.FaceScore-tc.score) > 0.002 {
				t.Errorf("%s: %s: face score %.4f, want %.3f", name, tc.name, r.FaceScore, tc.score)
			}
			if live := 1 - r.FakeLikelihood; math.Abs(live-tc.live) > 0.01 {
				t.Errorf("%s: %s: live %.4f, want %.4f", name, tc.name, live, tc.live)
			}
		}
	}
}

func near(a, b inference.Box, tolerance float64) bool {
	return math.Abs(a.X-b.X) <= tolerance && math.Abs(a.Y-b.Y) <= tolerance &&
		math.Abs(a.W-b.W) <= tolerance && math.Abs(a.H-b.H) <= tolerance
}

// The square boxes and crop windows that the reference implementation of the second pack gives for its boxes.
func TestReferenceCrops(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		width, height int
		box           inference.Box
		square        inference.Box
		scale         float64
		want          image.Rectangle // corners inclusive
	}{
		{"T1", 480, 640, inference.Box{X: 109.2, Y: 112.9, W: 186.0, H: 265.7}, inference.Box{X: 91.1, Y: 156.3, W: 222.3, H: 222.3}, 2.7, image.Rect(0, 27, 479, 506)},
		{"F1", 480, 640, inference.Box{X: 190.0, Y: 111.5, W: 194.5, H: 240.3}, inference.Box{X: 179.2, Y: 135.6, W: 216.2, H: 216.2}, 4, image.Rect(0, 4, 479, 483)},
		{"F2", 480, 640, inference.Box{X: 143.8, Y: 212.8, W: 217.4, H: 299.3}, inference.Box{X: 124.9, Y: 257.0, W: 255.1, H: 255.1}, 2.7, image.Rect(0, 144, 479, 623)},
		{"live_single", 540, 720, inference.Box{X: 187.7, Y: 119.3, W: 242.1, H: 317.2}, inference.Box{X: 170.2, Y: 159.4, W: 277.1, H: 277.1}, 2.7, image.Rect(0, 28, 539, 567)},
		{"live_group 2.7", 960, 640, inference.Box{X: 203.5, Y: 174.9, W: 97.6, H: 129.7}, inference.Box{X: 196.1, Y: 192.1, W: 112.5, H: 112.5}, 2.7, image.Rect(100, 96, 404, 400)},
		{"live_group 4.0", 960, 640, inference.Box{X: 203.5, Y: 174.9, W: 97.6, H: 129.7}, inference.Box{X: 196.1, Y: 192.1, W: 112.5, H: 112.5}, 4, image.Rect(27, 23, 477, 473)},
	} {
		square := tc.box.Square()
		if !near(square, tc.square, 0.15) {
			t.Errorf("%s: square box %.1f, want %.1f", tc.name, square, tc.square)
		}
		got := square.Crop(tc.scale, tc.width, tc.height)
		got.Max = got.Max.Sub(image.Pt(1, 1))
		// The boxes of the table are rounded to 0.1, which moves a truncated corner by up to one pixel.
		for _, d := range []int{got.Min.X - tc.want.Min.X, got.Min.Y - tc.want.Min.Y, got.Max.X - tc.want.Max.X, got.Max.Y - tc.want.Max.Y} {
			if d < -1 || d > 1 {
				t.Errorf("%s: %s", tc.name, cmp.Diff(fmt.Sprint(tc.want), fmt.Sprint(got)))
				break
			}
		}
	}
	// The published boxes of the detector that the models were trained with
	// are whole pixels: their windows have to come out exactly.
	for _, tc := range []struct {
		box  inference.Box
		want image.Rectangle
	}{
		{inference.Box{X: 106, Y: 147, W: 207, H: 213}, image.Rect(0, 7, 480, 500)},
		{inference.Box{X: 178, Y: 136, W: 223, H: 225}, image.Rect(0, 6, 480, 491)},
		{inference.Box{X: 120, Y: 252, W: 252, H: 256}, image.Rect(0, 136, 480, 624)},
	} {
		if got := tc.box.Crop(2.7, 480, 640); got != tc.want {
			t.Errorf("crop of %v: %v, want %v", tc.box, got, tc.want)
		}
	}
}
