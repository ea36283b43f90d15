package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPartsPrintsWhereTheyAre(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	app := &App{Out: &out, Err: os.Stderr, Log: slog.New(slog.DiscardHandler)}
	if err := (&PartsCmd{For: "dev", JSON: true}).Run(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	var supplied []suppliedPart
	if err := json.Unmarshal(out.Bytes(), &supplied); err != nil {
		t.Fatal(err)
	}
	if len(supplied) != 6 {
		t.Errorf("%d parts, want 6: %v", len(supplied), supplied)
	}
	for _, s := range supplied {
		if _, err := os.Stat(s.Path); err != nil {
			t.Errorf("%s: %v", s.Part, err)
		}
	}
}

// Libvips only makes decoding faster: without it a machine is prepared all the same, and is told.
func TestPartsWithoutLibvips(t *testing.T) {
	t.Setenv("LIVENESS_LIBVIPS", filepath.Join(t.TempDir(), "none.so"))
	var out, log bytes.Buffer
	app := &App{Out: &out, Err: os.Stderr, Log: slog.New(slog.NewTextHandler(&log, nil))}
	if err := (&PartsCmd{For: "serve"}).Run(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(out.String(), "libvips") || !strings.Contains(out.String(), "model-pack") {
		t.Errorf("parts without libvips: %s", out.String())
	}
	if !strings.Contains(log.String(), "LIVENESS_LIBVIPS") {
		t.Errorf("the log does not say what is wrong: %s", log.String())
	}
}
