package domain

import (
	"encoding/json"
	"errors"
	"testing"
)

type renamed struct {
	New string `json:"new"`
}

func (renamed) EventType() string { return "Renamed" }

func TestUpcastersLeadFromEveryOldVersion(t *testing.T) {
	t.Parallel()
	r := &Registry{schemas: map[string]Schema{}}
	rename := func(from, to string) Upcaster {
		return func(old json.RawMessage) (json.RawMessage, error) {
			fields := map[string]json.RawMessage{}
			if err := json.Unmarshal(old, &fields); err != nil {
				return nil, err
			}
			fields[to] = fields[from]
			delete(fields, from)
			return json.Marshal(fields)
		}
	}
	register[renamed](r, CategoryAccount, rename("oldest", "old"), rename("old", "new"))

	for version, data := range map[int]string{1: `{"oldest":"x"}`, 2: `{"old":"x"}`, 3: `{"new":"x","unknown":1}`} {
		got, err := r.Decode("Renamed", version, []byte(data))
		if err != nil || got != (renamed{New: "x"}) {
			t.Errorf("version %d: got %v, %v", version, got, err)
		}
	}
	for _, version := range []int{0, 4} {
		if _, err := r.Decode("Renamed", version, []byte(`{}`)); !errors.Is(err, ErrUnknownEvent) {
			t.Errorf("version %d: got %v, want ErrUnknownEvent", version, err)
		}
	}
	if _, err := r.Decode("Renamed", 1, []byte(`[]`)); err == nil {
		t.Error("a version 1 that is no object was accepted")
	}
	if _, err := r.Decode("Missing", 1, nil); !errors.Is(err, ErrUnknownEvent) {
		t.Errorf("got %v, want ErrUnknownEvent", err)
	}
}

type unknown struct{}

func (unknown) EventType() string { return "Unknown" }

type unwritable struct{ F func() }

func (unwritable) EventType() string { return "Unwritable" }

func TestOnlyKnownEventsAreEncoded(t *testing.T) {
	t.Parallel()
	r := &Registry{schemas: map[string]Schema{}}
	register[unwritable](r, CategoryAccount)
	if _, _, err := r.Encode(unknown{}); !errors.Is(err, ErrUnknownEvent) {
		t.Errorf("got %v, want ErrUnknownEvent", err)
	}
	if data, _, err := r.Encode(unwritable{}); err == nil {
		t.Errorf("a function was written as %s", data)
	}
}

func TestSchemasAreListedByName(t *testing.T) {
	t.Parallel()
	schemas := NewRegistry().Schemas()
	for i := 1; i < len(schemas); i++ {
		if schemas[i-1].Type >= schemas[i].Type {
			t.Errorf("%s stands before %s", schemas[i-1].Type, schemas[i].Type)
		}
	}
}
