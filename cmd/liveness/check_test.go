package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/parts"
)

func TestCheckFiles(t *testing.T) {
	t.Parallel()
	live, err := parts.New(parts.Options{}).SamplePhoto(t.Context(), 4)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	faceless, text := filepath.Join(dir, "faceless.png"), filepath.Join(dir, "notes.jpg")
	var picture bytes.Buffer
	if err := png.Encode(&picture, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{faceless: picture.Bytes(), text: []byte("no image")} {
		if err := os.WriteFile(name, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, tc := range []struct {
		name string
		cmd  CheckCmd
		code int
		want []string // in the output
	}{
		{"live", CheckCmd{Files: []string{live}}, 0, []string{"live", "yes", "largest of 4 faces"}},
		{"unjudged", CheckCmd{Files: []string{live, faceless, text, filepath.Join(dir, "absent.jpg")}}, exitUnjudged,
			[]string{"No face was detected", "not a JPEG image", "no such file"}},
		// A threshold below any score makes a fake of every face.
		{"fake", CheckCmd{Files: []string{live, text}, EngineFlags: EngineFlags{Threshold: 1e-9}}, exitFake, []string{"fake"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			app := &App{Out: &out, Err: &bytes.Buffer{}, Log: slog.New(slog.DiscardHandler)}
			if code := exitCode(t, tc.cmd.Run(t.Context(), app)); code != tc.code {
				t.Errorf("exit status %d, want %d; output:\n%s", code, tc.code, out.String())
			}
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("the output lacks %q:\n%s", want, out.String())
				}
			}
			out.Reset()
			asJSON := tc.cmd
			asJSON.JSON = true
			if code := exitCode(t, asJSON.Run(t.Context(), app)); code != tc.code {
				t.Errorf("with JSON: exit status %d, want %d", code, tc.code)
			}
			var files []struct{ File string }
			if err := json.Unmarshal(out.Bytes(), &files); err != nil {
				t.Fatal(err)
			}
			for i, name := range tc.cmd.Files {
				if files[i].File != name {
					t.Errorf("file %d is %q, want %q", i, files[i].File, name)
				}
			}
		})
	}
}

func exitCode(t *testing.T, err error) int {
	t.Helper()
	exit := (*ExitError)(nil)
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.Code
	}
	t.Fatal(err)
	return 1
}

// A threshold that no likelihood exceeds would let every fake pass; the default instead of it would not be what was asked for.
func TestCheckRefusesImpossibleOptions(t *testing.T) {
	t.Parallel()
	for _, option := range []string{"--threshold=-0.1", "--threshold=NaN", "--threshold=1", "--workers=-1", "--queue=-1", "--queue-wait=-1s"} {
		var out, errOut bytes.Buffer
		if code := run([]string{"check", option, "none.jpg"}, &out, &errOut); code != exitUsage || !strings.Contains(errOut.String(), "--") {
			t.Errorf("%s: exit status %d, %q", option, code, errOut.String())
		}
	}
}
