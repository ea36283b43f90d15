package main

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/inference/evaluate"
)

// labelled lays a small collection: sample photos, which are live ones, some of them under the label of a fake, and what is no
// picture or shows no face.
func labelled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	manifest := "file,label,attack,subject\n"
	for i, row := range []string{"live,,p1", "live,,p2", "live,,p3", "fake,print,p1", "fake,print,p2", "fake,screen,p3"} {
		content, err := os.ReadFile(samplePhoto(t, i+1))
		if err != nil {
			t.Fatal(err)
		}
		name := string(rune('a'+i)) + ".jpg"
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
		manifest += name + "," + row + "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "manifest.csv"), []byte(manifest), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func testApp(out *bytes.Buffer) *App {
	return &App{Out: out, Err: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)}
}

func TestEvaluate(t *testing.T) {
	t.Parallel()
	cmd := EvaluateCmd{Packs: []string{"default"}, Pictures: labelled(t), Out: t.TempDir(), Stability: 2, Gallery: 4}
	var out bytes.Buffer
	if err := cmd.Run(t.Context(), testApp(&out)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3 live pictures, 3 fakes", "faceplugin-0.0.1", "APCER BY ATTACK", "print", "report.html"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the output lacks %q:\n%s", want, out.String())
		}
	}
	file, err := os.Open(filepath.Join(cmd.Out, "scores.csv"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if lines, err := csv.NewReader(file).ReadAll(); err != nil || len(lines) != 7 {
		t.Errorf("scores: %d lines, %v", len(lines), err)
	}

	// The same command shows it again, as JSON, with another threshold, without judging.
	out.Reset()
	cmd.JSON, cmd.Threshold = true, 0.9
	progress := &bytes.Buffer{}
	app := testApp(&out)
	app.Err = progress
	if err := cmd.Run(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	var figures evaluate.Figures
	if err := json.Unmarshal(out.Bytes(), &figures); err != nil {
		t.Fatal(err)
	}
	p := figures.Packs[0]
	if p.Threshold != 0.9 || p.BPCER.Of != 3 || p.BPCER.Count != 0 || p.APCER.Of != 3 || p.APCER.Value != 1 || len(p.Attacks) != 2 || len(p.Stability) < 20 {
		t.Errorf("%+v", p)
	}
	if p.Time.Median.Total <= 0 || p.ID == "" || p.Hash == "" {
		t.Errorf("%+v", p.Time)
	}

	// One file that is no picture does not stop it, and is told of.
	if err := os.WriteFile(filepath.Join(cmd.Pictures, "b.jpg"), []byte("no picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = cmd.Run(t.Context(), testApp(&out))
	if code := exitCode(t, err); code != exitUnjudged || !strings.Contains(err.Error(), "1 of 6") || !strings.Contains(err.Error(), "b.jpg") {
		t.Errorf("a broken picture: status %d, %v", code, err)
	}
}

func TestEvaluateStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	cmd := EvaluateCmd{Packs: []string{"default"}, Pictures: labelled(t), Out: t.TempDir()}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errOut bytes.Buffer
	app := testApp(&out)
	app.Err = &errOut
	if err := cmd.Run(ctx, app); !errors.Is(err, context.Canceled) || report(&errOut, err) != exitInterrupted {
		t.Errorf("stopped: %v", err)
	}
	if _, err := os.Stat(filepath.Join(cmd.Out, reportFile)); err == nil {
		t.Error("a stopped evaluation leaves a report")
	}
	if err := cmd.Run(t.Context(), app); err != nil {
		t.Error(err)
	}
}

func TestEvaluateRefuses(t *testing.T) {
	t.Parallel()
	good, broken := labelled(t), filepath.Join(t.TempDir(), "labels.csv")
	if err := os.WriteFile(broken, []byte("file,label\na.jpg,perhaps\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{broken}, exitUsage, "perhaps"},
		{[]string{filepath.Join(good, "none")}, exitFailure, "no such file"},
		{[]string{t.TempDir()}, exitUsage, "live and fake"},
		{[]string{"--stability=-1", good}, exitUsage, "--stability"},
		{[]string{"--gallery=-1", good}, exitUsage, "--gallery"},
		{[]string{"--threshold=2", good}, exitUsage, "--threshold"},
		{[]string{"--workers=-1", good}, exitUsage, "--workers"},
		{[]string{"--pack", t.TempDir(), good}, exitFailure, "no model pack"},
		{[]string{"--pack", filepath.Join(good, "none"), good}, exitFailure, "none"},
		{[]string{"--pack", "default", "--pack", "default", "--stability", "0", good}, exitUsage, "once more"},
		{[]string{"--out", filepath.Join(good, "a.jpg", "x"), good}, exitFailure, "directory for the report"},
		{[]string{}, exitUsage, "pictures"},
	} {
		args := append([]string{"evaluate", "--out", t.TempDir()}, test.args...)
		if status, _, errOut := runLine(args...); status != test.code || !strings.Contains(errOut, test.want) {
			t.Errorf("%v: status %d, %s", test.args, status, errOut)
		}
	}
}

// The report as a person sees it: in a browser, on a laptop and a phone, by day and by night.
func TestEvaluationReportInBrowser(t *testing.T) {
	t.Parallel()
	config := browsertest.Installed(t)
	cmd := EvaluateCmd{Packs: []string{"default"}, Pictures: labelled(t), Out: t.TempDir(), Stability: 2, Gallery: 4}
	if err := cmd.Run(t.Context(), testApp(&bytes.Buffer{})); err != nil {
		t.Fatal(err)
	}
	address := "file://" + filepath.Join(cmd.Out, reportFile)
	browser := browsertest.Open(t, config, "file://"+cmd.Out)
	browser.Open(address)
	if !browser.Holds(`getComputedStyle(document.querySelector("header")).backgroundColor != "rgba(0, 0, 0, 0)"`) {
		t.Error("the policy of the report keeps its own style out")
	}
	if !browser.Holds(`[...document.querySelectorAll("image")].length > 0`) {
		t.Error("the gallery is empty, though fakes that are live pass")
	}
	browser.Screen("evaluation-report")
}
