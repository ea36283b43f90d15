package inference

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/inference/pack"
)

// Whatever a tensor holds of a pixel, exposing doubles the pixel, up to white.
func TestExpose(t *testing.T) {
	t.Parallel()
	for name, in := range map[string]pack.Input{
		"as it is": {Scale: 1}, "centred": {Mean: 127, Scale: 1. / 128}, "as a negative": {Mean: 255, Scale: -1},
	} {
		filled := func(pixels ...float32) (data []float32) {
			for _, p := range pixels {
				data = append(data, (p-in.Mean)*in.Scale)
			}
			return data
		}
		data := filled(0, 10, 100, 127.5, 128, 255)
		expose(data, in, 2)
		if diff := cmp.Diff(filled(0, 20, 200, 255, 255, 255), data); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
