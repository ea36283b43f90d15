package store_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/node/store"
)

func TestBackupWhileWriting(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir, store.Options{})
	append1(t, s, "s-1", store.ExpectAny, events(50, 100)...)
	ctx, cancel := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for ctx.Err() == nil {
			if _, err := s.Append(context.Background(), store.Write{Stream: "s-2", Expected: store.ExpectAny, Events: events(1, 100)}); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer writer.Wait()
	defer cancel()
	inspector, err := store.Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer inspector.Close()
	dest := filepath.Join(t.TempDir(), "backup")
	if err := inspector.Backup(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	if err := inspector.Backup(t.Context(), dest); err == nil {
		t.Error("a second backup into the same directory did not fail")
	}
	if n, err := inspector.Verify(t.Context()); err != nil || n < 50 {
		t.Errorf("verify of the served store = %d, %v", n, err)
	}
	stats, err := inspector.Stats(t.Context())
	if err != nil || stats.Events < 50 || stats.Events != int64(stats.Head) || stats.Streams > 2 || stats.DatabaseBytes == 0 || time.Since(stats.Last) > time.Minute {
		t.Errorf("stats = %+v, %v", stats, err)
	}
	restored := open(t, dest, store.Options{})
	if restored.Instance() != s.Instance() {
		t.Error("a backup has another identity")
	}
	if got := readAll(t, restored); len(got) < 50 || got[49].Revision != 49 {
		t.Errorf("restored store has %d events", len(got))
	}
	append1(t, restored, "s-1", 49, events(1, 1)...)
	if _, err := os.Stat(filepath.Join(dest, "events.db-wal")); err != nil {
		t.Errorf("a restored store does not write ahead: %v", err)
	}
}

func TestDamagedStoreIsNotBackedUp(t *testing.T) {
	t.Parallel()
	served := func(t *testing.T) *store.Store { return open(t, filepath.Join(t.TempDir(), "store"), store.Options{}) }
	for name, damage := range map[string]func(t *testing.T) string{
		"write-ahead log cut off": func(t *testing.T) string { return cutLog(t, served(t), cutOff) },
		"write-ahead log lost": func(t *testing.T) string {
			return cutLog(t, open(t, filled(t), store.Options{}), func([]byte) []byte { return nil })
		},
		"write-ahead log torn": func(t *testing.T) string { return cutLog(t, served(t), tear) },
		"one byte of an event changed": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", changeEvent)
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inspector, err := store.Inspect(t.Context(), damage(t))
			if err != nil {
				t.Fatal(err)
			}
			defer inspector.Close()
			dest := filepath.Join(t.TempDir(), "backup")
			if err := inspector.Backup(t.Context(), dest); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("backup = %v, want ErrCorrupt", err)
			}
			if left, err := os.ReadDir(dest); err != nil || len(left) > 0 {
				t.Errorf("the failed backup left %v, %v", left, err)
			}
		})
	}
}

func TestInspectingKeepsTheWriteAheadLog(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func([]byte) []byte
		sound  bool
	}{
		"whole": {whole, true},
		"torn":  {tear, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := cutLog(t, open(t, filepath.Join(t.TempDir(), "store"), store.Options{}), c.change)
			before := contents(t, dir)
			inspector, err := store.Inspect(t.Context(), dir)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := inspector.Verify(t.Context()); n == 0 || (err == nil) != c.sound || err != nil && !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("verify = %d, %v", n, err)
			}
			if err := inspector.Close(); err != nil {
				t.Fatal(err)
			}
			after := contents(t, dir)
			delete(after, "events.db-shm") // the index holds nothing of its own
			if !maps.EqualFunc(before, after, bytes.Equal) {
				t.Errorf("inspecting changed the files: before %v, after %v", sizes(before), sizes(after))
			}
		})
	}
}

// contents reads a store's files.
func contents(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	contents := make(map[string][]byte)
	for _, entry := range entries {
		if contents[entry.Name()], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return contents
}

func sizes(contents map[string][]byte) map[string]int {
	sizes := make(map[string]int)
	for name, content := range contents {
		sizes[name] = len(content)
	}
	return sizes
}

func TestInspectNeedsAStore(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := store.Inspect(t.Context(), dir); err == nil {
		t.Error("an empty directory was inspected")
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) > 0 {
		t.Errorf("inspecting left %v, %v", entries, err)
	}
}
