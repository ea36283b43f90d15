package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference/minifasnet"
)

// weightsDir returns the directory of the official weights, which lie beside the repository where they exist. Without them
// the test is skipped by name, and fails in CI.
func weightsDir(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(cmp.Or(os.Getenv("LIVENESS_TEST_SHARED"), "../../../shared"), "models", "upstream")
	if _, err := os.Stat(dir); err != nil {
		missing := "NOT TESTED: there are no official weights at " + dir
		if os.Getenv("CI") != "" {
			t.Fatal(missing)
		}
		t.Skip(missing)
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// The built pack is the same every time, is taken by --pack, and building it again changes nothing.
func TestPackBuild(t *testing.T) {
	t.Parallel()
	weights, out := weightsDir(t), filepath.Join(t.TempDir(), "packs", "better")
	status, text, errOut := runLine("pack", "build", weights, "--out", out, "--json")
	var built builtPack
	if err := json.Unmarshal([]byte(text), &built); status != 0 || err != nil || built.Dir != out {
		t.Fatalf("%d, %s, %s, %v", status, text, errOut, err)
	}
	for _, name := range []string{"pack.json", "NOTICE", "LICENSE.faceplugin", "LICENSE.minifasnet", "fr_detect.onnx", "minifasnet_v2_2.7.onnx"} {
		if _, err := os.Stat(filepath.Join(out, name)); err != nil {
			t.Error(err)
		}
	}
	status, text, errOut = runLine("pack", "build", "--out", out,
		filepath.Join(weights, minifasnet.V1SE().Weights), filepath.Join(weights, minifasnet.V2().Weights))
	if status != 0 || !strings.Contains(text, "--pack "+out) || !strings.Contains(text, built.ID) {
		t.Errorf("again, by files: %d, %s, %s", status, text, errOut)
	}
	var report bytes.Buffer
	check := CheckCmd{Files: []string{samplePhoto(t, 4)}, JSON: true, EngineFlags: EngineFlags{Pack: out}}
	if err := check.Run(t.Context(), &App{Out: &report, Err: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(report.String(), built.ID) || !strings.Contains(report.String(), built.Hash) {
		t.Errorf("check does not name the pack %s: %s", built.ID, report.String())
	}

	if err := os.WriteFile(filepath.Join(out, "fr_detect.onnx"), []byte("other"), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, _, errOut := runLine("pack", "build", weights, "--out", out); status != 1 || !strings.Contains(errOut, "is in the way") {
		t.Errorf("over other files: %d, %s", status, errOut)
	}
}

func TestPackBuildRefusesOtherWeights(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "better")
	status, _, errOut := runLine("pack", "build", dir, "--out", out)
	if status != 1 || !strings.Contains(errOut, minifasnet.Source) || !strings.Contains(errOut, minifasnet.V2().Weights) {
		t.Errorf("an empty directory: %d, %s", status, errOut)
	}
	// A pickle that would run a command if anything of it were.
	wrong := filepath.Join(dir, minifasnet.V2().Weights)
	if err := os.WriteFile(wrong, []byte("cos\nsystem\n(S'touch ran'\ntR."), 0o600); err != nil {
		t.Fatal(err)
	}
	status, _, errOut = runLine("pack", "build", wrong, "--out", out)
	if status != 1 || !strings.Contains(errOut, wrong+" has ") || !strings.Contains(errOut, minifasnet.V2().WeightsSHA256) {
		t.Errorf("another file of that name: %d, %s", status, errOut)
	}
	if status, _, errOut := runLine("pack", "build", filepath.Join(dir, "absent"), "--out", out); status != 1 || !strings.Contains(errOut, "no such file") {
		t.Errorf("a file that is not there: %d, %s", status, errOut)
	}
	if status, _, _ := runLine("pack", "build", dir); status != exitUsage {
		t.Errorf("without --out: %d", status)
	}
	if _, err := os.Stat(out); err == nil {
		t.Error("a directory was made for a pack that could not be built")
	}
}
