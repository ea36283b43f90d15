package localpostgres

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where everybody can make a folder, one with the right name is not taken for what a cleaner has left.
func TestRuntimeDirOfAnotherIsNotTaken(t *testing.T) {
	t.Parallel()
	const other = 54321
	for name, tt := range map[string]struct {
		root   bool // only root can arrange it
		change func(r *runtimeDir) error
		taken  bool
	}{
		"as it was":    {false, func(*runtimeDir) error { return nil }, true},
		"cleaned":      {false, func(r *runtimeDir) error { return os.RemoveAll(r.path) }, true},
		"half cleaned": {false, func(r *runtimeDir) error { return os.Remove(r.socketDir()) }, true},
		"a link": {false, func(r *runtimeDir) error {
			return errors.Join(os.Rename(r.path, r.path+"-2"), os.Symlink(r.path+"-2", r.path))
		}, false},
		"a file":    {false, func(r *runtimeDir) error { return errors.Join(os.RemoveAll(r.path), os.WriteFile(r.path, nil, 0o600)) }, false},
		"another's": {true, func(r *runtimeDir) error { return os.Chown(r.path, other, other) }, false},
		"socket a link": {false, func(r *runtimeDir) error {
			return errors.Join(os.Remove(r.socketDir()), os.Symlink(".", r.socketDir()))
		}, false},
		"socket open":     {false, func(r *runtimeDir) error { return os.Chmod(r.socketDir(), 0o710) }, false},
		"socket of other": {true, func(r *runtimeDir) error { return os.Chown(r.socketDir(), other, other) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if tt.root && os.Geteuid() != 0 {
				t.Skip("only root can give a folder away")
			}
			var a *account
			if os.Geteuid() == 0 {
				a = &account{uid: 12345, gid: 12345}
			}
			bin := filepath.Join("/", "usr") // which every account reaches
			r := &runtimeDir{path: filepath.Join(t.TempDir(), runtimePrefix+"1"), source: bin, binDir: bin}
			if err := errors.Join(r.restore(a), tt.change(r)); err != nil {
				t.Fatal(err)
			}
			err := r.restore(a)
			if (err == nil) != tt.taken {
				t.Errorf("taken: %v, want %t", err, tt.taken)
			}
			if err != nil && !strings.Contains(err.Error(), "remove it") {
				t.Errorf("%v does not say what to do", err)
			}
		})
	}
}
