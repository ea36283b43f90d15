package transparency_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

const someUUID = "95f7abad-42e1-5c0a-bfc7-9549dc46c693"

// example is an event whose canonical form stands in testdata. It must never come out differently: hashes of it are published.
func example() transparency.Event {
	return transparency.Event{
		Type: "HourSealed", Stream: "sealedhours-202611", Revision: 3, ID: uuid.MustParse("F0000000-0000-0000-0000-000000000005"),
		Data:     []byte(`{"hour":"2026-11-22T12:00:00Z","sealedAt":"2026-11-22T13:00:15Z"}`),
		Metadata: []byte("{\"actor\":\"system\",\"note\":\"zwölf\\n\"}\n"),
	}
}

func TestCanonicalFormStays(t *testing.T) {
	t.Parallel()
	want, err := os.ReadFile(filepath.Join("testdata", "canonical"))
	if err != nil {
		t.Fatal(err)
	}
	if got := example().Canonical(); !bytes.Equal(got, want) {
		t.Errorf("the canonical form is\n%s\nand not\n%s", got, want)
	}
	const hash = "/jacYk8C1Mwpo1f3rHCbe8TsiBFFyXV4XoGYya3if30="
	if got := example().LeafHash(); base64.StdEncoding.EncodeToString(got[:]) != hash {
		t.Errorf("the hash of the leaf is %s and not %s", got, hash)
	}
}

// Whatever differs between two events is in what is hashed, and no part of it can be taken for another part.
func TestCanonicalFormDistinguishes(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for name, change := range map[string]func(*transparency.Event){
		"as it is":            func(*transparency.Event) {},
		"another type":        func(e *transparency.Event) { e.Type = "HourSealed2" },
		"another stream":      func(e *transparency.Event) { e.Stream = "sealedhours-202612" },
		"another revision":    func(e *transparency.Event) { e.Revision = 30 },
		"another id":          func(e *transparency.Event) { e.ID[0]++ },
		"other data":          func(e *transparency.Event) { e.Data = append(slices.Clone(e.Data), ' ') },
		"other metadata":      func(e *transparency.Event) { e.Metadata = append(slices.Clone(e.Metadata), ' ') },
		"no data":             func(e *transparency.Event) { e.Data = nil },
		"no metadata":         func(e *transparency.Event) { e.Metadata = nil },
		"neither":             func(e *transparency.Event) { e.Data, e.Metadata = nil, nil },
		"data and its length": func(e *transparency.Event) { e.Data, e.Metadata = []byte("1\n"), nil },
		"metadata in data": func(e *transparency.Event) {
			e.Data, e.Metadata = append(slices.Clone(e.Data), e.Metadata...), nil
		},
	} {
		e := example()
		change(&e)
		form := string(e.Canonical())
		if other, twice := seen[form]; twice {
			t.Errorf("%q and %q are the same:\n%s", name, other, form)
		}
		seen[form] = name
	}
}

func TestOurEventsAreLeavesUnlessTheyAreForgotten(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		stream, eventType string
		want              bool
	}{
		"a call":                       {"usage-" + someUUID + "-202611", "CheckCompleted", true},
		"a checkpoint":                 {domain.TransparencyStream, "CheckpointSigned", true},
		"a login":                      {"logins-" + someUUID, "LoginSucceeded", false},
		"another program's event":      {"crm-1", "CheckCompleted", false},
		"another type in our stream":   {"usage-" + someUUID + "-202611", "CheckStarted", false},
		"what the store says of it":    {"$$usage-" + someUUID + "-202611", "$metadata", false},
		"that a log is a copy":         {"liveness-logcopy", "LogCopyBegun", false},
		"a type in a stream of others": {"account-" + someUUID, "CheckCompleted", false},
	} {
		if got := transparency.IsLeaf(tt.stream, tt.eventType); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}

func TestLeafTypesAreAllButLogins(t *testing.T) {
	t.Parallel()
	types := transparency.LeafTypes()
	for _, schema := range domain.NewRegistry().Schemas() {
		if listed := slices.Contains(types, schema.Type); listed != (schema.Category != domain.CategoryLogins) {
			t.Errorf("%s is listed: %t", schema.Type, listed)
		}
	}
}
