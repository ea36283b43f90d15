package store_test

import (
	"bytes"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// filled makes a store with enough events for several hundred pages and closes it.
func filled(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(t.Context(), dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		append1(t, s, "account-1", store.ExpectAny, events(100, 600)...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

// snapshot copies the files of a store that is open, as a kill would leave them.
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	copied := t.TempDir()
	for _, name := range []string{"events.db", "events.db-wal", "head"} {
		copyFile(t, dir, copied, name)
	}
	return copied
}

func copyFile(t *testing.T, from, to, name string) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(from, name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(to, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func backup(t *testing.T, dir string) string {
	t.Helper()
	inspector, err := store.Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer inspector.Close()
	dest := filepath.Join(t.TempDir(), "backup")
	if err := inspector.Backup(t.Context(), dest); err != nil {
		t.Fatal(err)
	}
	return dest
}

func edit(t *testing.T, dir, name string, change func(content []byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedStoreIsNotServed(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T) string{
		"database cut off": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", func(b []byte) []byte { return b[:len(b)/2] })
			return dir
		},
		"last page cut off": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", func(b []byte) []byte { return b[:len(b)-100] })
			return dir
		},
		"header cut off": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", func(b []byte) []byte { return b[:50] })
			return dir
		},
		"database emptied": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", func(b []byte) []byte { return nil })
			return dir
		},
		"database removed": func(t *testing.T) string {
			dir := filled(t)
			if err := os.Remove(filepath.Join(dir, "events.db")); err != nil {
				t.Fatal(err)
			}
			return dir
		},
		"pages zeroed": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", func(b []byte) []byte {
				clear(b[len(b)/2&^2047 : len(b)/2&^2047+3*2048])
				return b
			})
			return dir
		},
		"header overwritten": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", func(b []byte) []byte {
				copy(b, bytes.Repeat([]byte("x"), 100))
				return b
			})
			return dir
		},
		"one byte of an event changed": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "events.db", changeEvent)
			return dir
		},
		"write-ahead log cut off": func(t *testing.T) string {
			s := open(t, t.TempDir()+"/store", store.Options{})
			return cutLog(t, s, cutOff)
		},
		"write-ahead log torn": func(t *testing.T) string {
			s := open(t, t.TempDir()+"/store", store.Options{})
			return cutLog(t, s, tear)
		},
		"write-ahead log lost": func(t *testing.T) string {
			s := open(t, t.TempDir()+"/store", store.Options{})
			return cutLog(t, s, func(b []byte) []byte { return nil })
		},
		"database changed beside its write-ahead log": func(t *testing.T) string {
			dir := cutLog(t, open(t, filled(t), store.Options{}), whole)
			edit(t, dir, "events.db", changeEvent)
			return dir
		},
		"all but the write-ahead log removed": func(t *testing.T) string {
			s := open(t, t.TempDir()+"/store", store.Options{})
			dir := cutLog(t, s, whole)
			for _, file := range []string{"events.db", "head"} {
				if err := os.Remove(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
			}
			return dir
		},
		"older database": func(t *testing.T) string {
			dir := filled(t)
			old, err := os.ReadFile(filepath.Join(dir, "events.db"))
			if err != nil {
				t.Fatal(err)
			}
			s, err := store.Open(t.Context(), dir, store.Options{})
			if err != nil {
				t.Fatal(err)
			}
			append1(t, s, "account-1", store.ExpectAny, events(1, 1)...)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			edit(t, dir, "events.db", func([]byte) []byte { return old })
			return dir
		},
		"older backup": func(t *testing.T) string {
			dir := filled(t)
			old := backup(t, dir)
			s := open(t, dir, store.Options{})
			append1(t, s, "account-1", store.ExpectAny, events(1, 1)...)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			copyFile(t, old, dir, "events.db")
			return dir
		},
		"marker of another store": func(t *testing.T) string {
			dir, other := filled(t), filled(t)
			marker, err := os.ReadFile(filepath.Join(other, "head"))
			if err != nil {
				t.Fatal(err)
			}
			edit(t, dir, "head", func([]byte) []byte { return marker })
			return dir
		},
		"marker damaged": func(t *testing.T) string {
			dir := filled(t)
			edit(t, dir, "head", func(b []byte) []byte {
				b[20] ^= 1
				return b
			})
			return dir
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := damage(t)
			before := contents(t, dir)
			if _, err := store.Open(t.Context(), dir, store.Options{}); !errors.Is(err, store.ErrCorrupt) {
				t.Errorf("open = %v, want ErrCorrupt", err)
			}
			after := contents(t, dir)
			for _, file := range []string{"events.db", "events.db-wal"} {
				if !bytes.Equal(before[file], after[file]) {
					t.Errorf("refusing changed %s from %d to %d bytes", file, len(before[file]), len(after[file]))
				}
			}
		})
	}
}

// changeEvent changes a byte in a database: the data of the events is zeros, and the middle of a long run of them is inside one.
func changeEvent(b []byte) []byte {
	at := bytes.Index(b[len(b)/3:], make([]byte, 500)) + len(b)/3
	b[at+250] = 1
	return b
}

// whole, cutOff and tear are what may happen to a write-ahead log.
func whole(b []byte) []byte { return b }

func cutOff(b []byte) []byte { return b[:len(written(b))*3/4] }

func tear(b []byte) []byte {
	b[len(written(b))/2] ^= 1
	return b
}

// cutLog writes to an open store and returns a copy of its files with a changed write-ahead log.
func cutLog(t *testing.T, s *store.Store, change func([]byte) []byte) string {
	t.Helper()
	for range 10 {
		append1(t, s, "account-1", store.ExpectAny, events(5, 600)...)
	}
	dir := snapshot(t, s.Dir())
	edit(t, dir, "events.db-wal", change)
	return dir
}

// written returns what there is of a log before the spare room behind it.
func written(log []byte) []byte { return bytes.TrimRight(log, "\x00") }

func TestCommitsDoNotMakeTheLogsFileLonger(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store"), store.Options{})
	size := func() int64 {
		info, err := os.Stat(filepath.Join(s.Dir(), "events.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	append1(t, s, "account-1", store.ExpectAny, events(1, 600)...)
	append1(t, s, "account-1", store.ExpectAny, events(1, 600)...) // the room is made when the first is answered
	before := size()
	for range 20 {
		append1(t, s, "account-1", store.ExpectAny, events(1, 600)...)
	}
	if after := size(); after != before {
		t.Errorf("the file of the write-ahead log has grown from %d to %d bytes", before, after)
	}
	if got := len(readAll(t, open(t, snapshot(t, s.Dir()), store.Options{}))); got != 22 {
		t.Errorf("%d events after a kill, want 22", got)
	}
}

func TestKilledStoreIsServed(t *testing.T) {
	t.Parallel()
	s := open(t, filepath.Join(t.TempDir(), "store"), store.Options{})
	copied := cutLog(t, s, whole)
	reopened := open(t, copied, store.Options{})
	if got := len(readAll(t, reopened)); got != 50 {
		t.Errorf("%d events after a kill, want 50", got)
	}
}

func TestDamageBeyondTheOpenCheckIsFoundWhenReadAndVerified(t *testing.T) {
	t.Parallel()
	dir := filled(t)
	edit(t, dir, "events.db", func(b []byte) []byte {
		at := bytes.Index(b[len(b)/3:], make([]byte, 500)) + len(b)/3
		b[at+250] = 1
		return b
	})
	s := open(t, dir, store.Options{OpenCheck: time.Nanosecond})
	var err error
	for from := uint64(0); err == nil; {
		var page store.Slice
		if page, err = s.ReadAll(t.Context(), store.Forwards, from, 100); page.End && err == nil {
			break
		}
		from = page.Next
	}
	if !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("read = %v, want ErrCorrupt", err)
	}
	inspector, err := store.Inspect(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer inspector.Close()
	if _, err := inspector.Verify(t.Context()); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("verify = %v, want ErrCorrupt", err)
	}
}

// Whoever puts a backup into the place of a store that was killed has the log of that store beside it.
func TestBackupBesideAnothersLogIsKept(t *testing.T) {
	t.Parallel()
	for name, another := range map[string]bool{"the same store, later": false, "another store": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, filepath.Join(t.TempDir(), "store"), store.Options{})
			append1(t, s, "account-1", store.ExpectAny, events(20, 600)...)
			old := backup(t, s.Dir())
			if another {
				s = open(t, filepath.Join(t.TempDir(), "store"), store.Options{})
			}
			dir := cutLog(t, s, whole)
			copyFile(t, s.Dir(), dir, "events.db-shm")
			copyFile(t, old, dir, "events.db")
			before := contents(t, dir)
			if _, err := store.Open(t.Context(), dir, store.Options{}); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "events.db-wal") {
				t.Errorf("open = %v, want ErrCorrupt that names the log", err)
			}
			if _, err := store.Inspect(t.Context(), dir); !errors.Is(err, store.ErrCorrupt) || !strings.Contains(err.Error(), "events.db-wal") {
				t.Errorf("inspect = %v, want ErrCorrupt that names the log", err)
			}
			after := contents(t, dir)
			delete(after, "lock")
			if !maps.EqualFunc(before, after, bytes.Equal) {
				t.Errorf("refusing changed the files: before %v, after %v", sizes(before), sizes(after))
			}
			for _, file := range []string{"events.db-wal", "events.db-shm", "head"} {
				if err := os.Remove(filepath.Join(dir, file)); err != nil {
					t.Fatal(err)
				}
			}
			if got := len(readAll(t, open(t, dir, store.Options{}))); got != 20 {
				t.Errorf("%d events are restored, want 20", got)
			}
		})
	}
}

func TestForeignDatabaseIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "events.db"), bytes.Repeat([]byte("no database"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), dir, store.Options{}); !errors.Is(err, store.ErrCorrupt) {
		t.Errorf("open = %v, want ErrCorrupt", err)
	}
}
