package inference_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/minifasnet"
	"github.com/pas-ta/liveness/inference/pack"
)

// shared is the directory of reference images and of the second model pack. It lies beside the repository where it
// exists and is no part of it; another place is named by LIVENESS_TEST_SHARED.
const shared = "../../shared"

// sharedDir returns a directory below shared. Without it the test is skipped by
// name, and fails in CI: it would be skipped for ever without anybody noticing.
func sharedDir(t testing.TB, name string) string {
	t.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("LIVENESS_TEST_SHARED"), shared), name)
	if _, err := os.Stat(dir); err != nil {
		missing := fmt.Sprintf("NOT TESTED: there are no reference files at %s; put them beside the repository or name their folder by LIVENESS_TEST_SHARED", dir)
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	return dir
}

func runtimeLibrary(t testing.TB) string {
	t.Helper()
	library, err := parts.New(parts.Options{}).ONNXRuntime(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return library
}

func defaultPack(t testing.TB) pack.Pack {
	t.Helper()
	dir, err := parts.New(parts.Options{}).ModelPack(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return openPack(t, dir)
}

// builtPack makes the pack of the default one and the official weights.
func builtPack(t testing.TB) pack.Pack {
	t.Helper()
	weights, converted := sharedDir(t, "models/upstream"), map[string][]byte{}
	for _, network := range []minifasnet.Network{minifasnet.V2(), minifasnet.V1SE()} {
		model, err := network.Convert(readFile(t, filepath.Join(weights, network.Weights)))
		if err != nil {
			t.Fatal(err)
		}
		converted[network.Model] = model
	}
	p, err := pack.Build(filepath.Join(t.TempDir(), "built"), defaultPack(t), converted)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func openPack(t testing.TB, dir string) pack.Pack {
	t.Helper()
	p, err := pack.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// openEngine opens an engine that the test closes at its end.
func openEngine(t testing.TB, cfg inference.Config) *inference.Engine {
	t.Helper()
	if cfg.LibraryPath == "" {
		cfg.LibraryPath = runtimeLibrary(t)
	}
	if cfg.Pack.ID == "" {
		cfg.Pack = defaultPack(t)
	}
	if cfg.Workers == 0 {
		cfg.Workers = 1
	}
	e, err := inference.Open(context.Background(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

// decoders are the portable and the fast one: scores have to agree over them.
func decoders(t testing.TB) map[string]decode.Decoder {
	t.Helper()
	path, err := parts.New(parts.Options{}).Libvips(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	native, err := decode.OpenNative(path, decode.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]decode.Decoder{"go": decode.NewStdlib(decode.Limits{}), "native": native}
}

// samplePhoto returns the bytes of one of the photos of live people.
func samplePhoto(t testing.TB, number int) []byte {
	t.Helper()
	return readFile(t, samplePath(t, number))
}

func samplePath(t testing.TB, number int) string {
	t.Helper()
	path, err := parts.New(parts.Options{}).SamplePhoto(context.Background(), number)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// fake says on which side of the threshold a face is.
func fake(r inference.Result) bool { return r.FakeLikelihood > r.Threshold }

func readFile(t testing.TB, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}
