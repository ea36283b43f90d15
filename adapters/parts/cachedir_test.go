package parts

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Where every account may write, another one's directory, a link and one that others may write to are refused.
func TestSharedCacheIsOursAlone(t *testing.T) {
	t.Parallel()
	shared := t.TempDir()
	at := func(name string) string { return filepath.Join(shared, name) }
	if err := takeShared(at("new")); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(at("new")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	if err := takeShared(at("new")); err != nil {
		t.Errorf("our own: %v", err)
	}
	for name, prepare := range map[string]func(dir string) error{
		"linked":   func(dir string) error { return os.Symlink(at("new"), dir) },
		"a file":   func(dir string) error { return os.WriteFile(dir, nil, 0o600) },
		"writable": func(dir string) error { return os.Mkdir(dir, 0o700) },
		"others'":  func(dir string) error { return os.Mkdir(dir, 0o700) },
	} {
		if err := prepare(at(name)); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "writable":
			if err := os.Chmod(at(name), 0o777); err != nil { // Mkdir's mode is narrowed by the umask
				t.Fatal(err)
			}
		case "others'":
			if err := os.Chown(at(name), 12345, 12345); err != nil {
				continue // only root can give a directory away
			}
		}
		if err := takeShared(at(name)); err == nil || !strings.Contains(err.Error(), CacheEnv) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
