package pack_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/inference/pack"
)

func builtin(t *testing.T) map[string]pack.Manifest {
	t.Helper()
	all, err := pack.Builtin()
	if err != nil {
		t.Fatal(err)
	}
	byID := map[string]pack.Manifest{}
	for _, m := range all {
		byID[m.ID] = m
	}
	return byID
}

// The hashes are written into events, so that a change of a manifest is a
// change that has to be seen: it is a new pack and needs a new id.
func TestHashesOfBuiltinPacks(t *testing.T) {
	t.Parallel()
	got := map[string]string{}
	for id, m := range builtin(t) {
		got[id] = m.Hash()
	}
	want := map[string]string{
		pack.DefaultID:                    "eb777a5db9b1c83a9a88eeff41dd510d3b50ee5b1d94f09267650d7cff52d2d9",
		"faceplugin-0.0.1-no-landmarks-2": "c2b3110aa30030d841302e39b895aa9a4d33c8092479a5df6408898598caf8e1",
		pack.BuiltID + "+4c036a41":        "edd83a3b6eedce55ba701ed85f7aef9e08fb1b856c5c722891eaab6a56696dc9",
		"yunet-minifasnet-2":              "39cc7a301362c7964e176215aaba46f2de7b4e8282e392672bce831d247e72ad",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Events of the past name these packs. Their manifests stay readable, and mean what they did.
func TestRetiredManifestsKeepTheirHashes(t *testing.T) {
	t.Parallel()
	for id, hash := range map[string]string{
		"faceplugin-0.0.1":              "4fc50eec3465bfbf828a96f3eac3c071cb657cc88b179b29115adf7687266b3d",
		"faceplugin-0.0.1-no-landmarks": "f786aa1d4362970ab3ec10cc25d093a0335cbd2dfa398ee81bcbf0ffc0174559",
		"yunet-minifasnet-1":            "fd1d238116ccb29cfb62f96ec2b674763e4a528ac078de6a41731c7bea7cc9c9",
	} {
		text, err := os.ReadFile(filepath.Join("manifests", "retired", id+".json"))
		if err != nil {
			t.Fatal(err)
		}
		m, err := pack.Parse(text)
		if err != nil || m.ID != id || m.Hash() != hash {
			t.Errorf("%s: read as %s, %s, %v", id, m.ID, m.Hash(), err)
		}
		if live := []float64{0.9, 0.5}[:len(m.Scorers)]; m.Likelihood(live) > 0.3+1e-12 {
			t.Errorf("%s: %v are judged %v", id, live, m.Likelihood(live))
		}
	}
}

func TestOpenByManifestAndByFiles(t *testing.T) {
	t.Parallel()
	m := builtin(t)["faceplugin-0.0.1-no-landmarks-2"]

	byFiles := t.TempDir()
	for name := range m.Files {
		write(t, filepath.Join(byFiles, name), "anything")
	}
	p, err := pack.Open(byFiles)
	if err != nil || p.ID != m.ID {
		t.Fatalf("by files: %q, %v; want %q", p.ID, err, m.ID)
	}
	if _, err := p.Read("fr_detect.onnx"); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("a file of other contents: %v, want a SHA-256 error", err)
	}
	if _, err := p.Read("other.onnx"); err == nil {
		t.Error("a file that the manifest does not list was read")
	}

	m.ID = "mine"
	m.Files["fr_detect.onnx"] = "ee0874170b7f6f32b8c2ac9573c428d35b575270a66b757c2c0185d2bd09718d" // of "anything"
	text, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(byFiles, "pack.json"), string(text))
	p, err = pack.Open(byFiles)
	if err != nil || p.ID != "mine" {
		t.Fatalf("by manifest: %q, %v", p.ID, err)
	}
	if sum := sha256.Sum256(text); p.Hash() != hex.EncodeToString(sum[:]) {
		t.Errorf("hash %s, want that of the manifest written", p.Hash())
	}
	if _, err := p.Read("fr_detect.onnx"); err != nil {
		t.Error(err)
	}

	all := t.TempDir()
	for name := range builtin(t)[pack.DefaultID].Files {
		write(t, filepath.Join(all, name), "anything")
	}
	if p, err := pack.Open(all); err != nil || p.ID != pack.DefaultID {
		t.Errorf("with the landmark model: %q, %v; want %q", p.ID, err, pack.DefaultID)
	}

	_, err = pack.Open(t.TempDir())
	if err == nil || !strings.Contains(err.Error(), "lacks fr_detect.onnx, fr_liveness.onnx") {
		t.Errorf("an empty directory: %v; want it to name the missing files", err)
	}
}

func TestParseRefusesWhatWouldChangeScores(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(m *pack.Manifest){
		"no id":                func(m *pack.Manifest) { m.ID = "" },
		"unknown detector":     func(m *pack.Manifest) { m.Detector.Kind = "mtcnn" },
		"unlisted file":        func(m *pack.Manifest) { m.Detector.File = "other.onnx" },
		"no input size":        func(m *pack.Manifest) { m.Detector.Input.Width = 0 },
		"unknown colour order": func(m *pack.Manifest) { m.Scorers[0].Input.Order = "GBR" },
		"scale of zero":        func(m *pack.Manifest) { m.Scorers[0].Input.Scale = 0 },
		"live is no class":     func(m *pack.Manifest) { m.Scorers[0].Live = 3 },
		"crop inside the face": func(m *pack.Manifest) { m.Scorers[0].CropScale = 0.5 },
		"no scorers":           func(m *pack.Manifest) { m.Scorers = nil },
		"threshold of one":     func(m *pack.Manifest) { m.Threshold = 1 },
		"a point too many":     func(m *pack.Manifest) { m.Landmarks.NoseTip = 68 },
		"turn unmeasured":      func(m *pack.Manifest) { m.Landmarks = nil },
		"odd yunet input":      func(m *pack.Manifest) { m.Detector.Kind = pack.YuNet },
	} {
		m := builtin(t)[pack.DefaultID]
		change(&m)
		text, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := pack.Parse(text); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if _, err := pack.Parse([]byte(`{"id": "x", "treshold": 0.2}`)); err == nil || !strings.Contains(err.Error(), "treshold") {
		t.Errorf("a misspelt field: %v", err)
	}
	text, err := json.Marshal(builtin(t)[pack.DefaultID])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pack.Parse(append(text, " \n"...)); err != nil {
		t.Errorf("space behind it: %v", err)
	}
	for _, behind := range []string{`{"threshold": 0.2}`, "}", "x"} {
		if _, err := pack.Parse(append(text, behind...)); err == nil {
			t.Errorf("%q behind it: no error", behind)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
