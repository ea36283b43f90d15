package parts_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/pas-ta/liveness/adapters/parts"
)

// TestEveryPartIsSupplied fetches each part through the npm client into the
// ordinary cache, or takes it from there, and looks at what it got.
func TestEveryPartIsSupplied(t *testing.T) {
	t.Parallel()
	cache := parts.New(parts.Options{Progress: os.Stderr, PackagesOnly: true})
	for part, files := range map[parts.Part][]string{
		parts.ONNXRuntime:   {""},
		parts.ModelPack:     {"fr_detect.onnx", "fr_liveness.onnx", "fr_landmark.onnx"},
		parts.SamplePhotos:  {"sample1.jpg", "sample6.jpg"},
		parts.Postgres:      {"postgres", "initdb"},
		parts.Libvips:       {""},
		parts.AxeCore:       {""},
		parts.ConsoleAssets: {"uplot.js"},
	} {
		t.Run(string(part), func(t *testing.T) {
			t.Parallel()
			path, err := cache.Path(t.Context(), part)
			if err != nil {
				t.Fatal(err)
			}
			for _, name := range files {
				if _, err := os.Stat(filepath.Join(path, name)); err != nil {
					t.Error(err)
				}
			}
			if part == parts.Postgres {
				if out, err := exec.CommandContext(t.Context(), filepath.Join(path, "postgres"), "--version").CombinedOutput(); err != nil {
					t.Errorf("the fetched server does not run: %v %s", err, out)
				}
			}
		})
	}
}
