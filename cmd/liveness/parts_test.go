package main

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"os"
	"testing"
)

func TestPartsPrintsWhereTheyAre(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	app := &App{Ctx: t.Context(), Out: &out, Err: os.Stderr, Log: slog.New(slog.DiscardHandler)}
	if err := (&PartsCmd{For: "dev", JSON: true}).Run(app); err != nil {
		t.Fatal(err)
	}
	var supplied []suppliedPart
	if err := json.Unmarshal(out.Bytes(), &supplied); err != nil {
		t.Fatal(err)
	}
	if len(supplied) != 5 {
		t.Errorf("%d parts, want 5: %v", len(supplied), supplied)
	}
	for _, s := range supplied {
		if _, err := os.Stat(s.Path); err != nil {
			t.Errorf("%s: %v", s.Part, err)
		}
	}
}
