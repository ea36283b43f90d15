package parts_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/pas-ta/liveness/adapters/parts"
)

// TestEveryPartIsSupplied resolves each part the way the product does, through
// the ordinary cache, and looks at what it got.
func TestEveryPartIsSupplied(t *testing.T) {
	t.Parallel()
	cache := parts.New(parts.Options{})
	for part, files := range map[parts.Part][]string{
		parts.ONNXRuntime:  {""},
		parts.ModelPack:    {"fr_detect.onnx", "fr_liveness.onnx"},
		parts.SamplePhotos: {"sample1.jpg", "sample6.jpg"},
		parts.Postgres:     {"postgres", "initdb"},
		parts.Libvips:      {""},
		parts.AxeCore:      {""},
	} {
		t.Run(string(part), func(t *testing.T) {
			path, err := cache.Path(t.Context(), part)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range files {
				if _, err := os.Stat(filepath.Join(path, name)); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
