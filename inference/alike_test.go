package inference_test

import (
	"math"
	"path/filepath"
	"testing"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// sharedPhotos returns the reference images and the labelled pictures of the shared folder.
func sharedPhotos(t testing.TB) []string {
	t.Helper()
	var all []string
	for _, dir := range []string{"images", "eval"} {
		photos, err := filepath.Glob(filepath.Join(sharedDir(t, dir), "*.jpg"))
		if err != nil || len(photos) == 0 {
			t.Fatalf("no photos in %s: %v", dir, err)
		}
		all = append(all, photos...)
	}
	return all
}

// A verdict must not depend on whether a node has libvips: both decoders judge every picture alike.
func TestDecodersJudgeAlike(t *testing.T) {
	t.Parallel()
	const allowed = 0.02
	engines := map[string]*inference.Engine{}
	for name, decoder := range decoders(t) {
		engines[name] = openEngine(t, inference.Config{Decoder: decoder})
	}
	photos, most := sharedPhotos(t), 0.0
	for _, photo := range photos {
		data := readFile(t, photo)
		native, err := engines["native"].Check(t.Context(), data, decode.JPEG)
		portable, portableErr := engines["go"].Check(t.Context(), data, decode.JPEG)
		if (err == nil) != (portableErr == nil) {
			t.Errorf("%s: native %v, go %v", filepath.Base(photo), err, portableErr)
			continue
		}
		difference := math.Abs(native.FakeLikelihood - portable.FakeLikelihood)
		most = max(most, difference)
		if difference > allowed || native.ValidFace != portable.ValidFace || native.Rotated != portable.Rotated ||
			math.Abs(native.Brightness-portable.Brightness) > 1 {
			t.Errorf("%s: fake likelihood %.4f and %.4f, valid %v and %v, turned %d and %d, brightness %.1f and %.1f", filepath.Base(photo),
				native.FakeLikelihood, portable.FakeLikelihood, native.ValidFace, portable.ValidFace, native.Rotated, portable.Rotated,
				native.Brightness, portable.Brightness)
		}
	}
	t.Logf("%d pictures differ by at most %.4f", len(photos), most)
}
