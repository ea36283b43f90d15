package conformance_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/gofrs/flock"

	"github.com/pas-ta/liveness/adapters/parts"
)

// installTimeout bounds the installation of the Node.js client, which is done once per machine and version.
const installTimeout = 4 * time.Minute

// TestNodeClient runs the tests in nodeclient, which drive a node with the client from npm.
func TestNodeClient(t *testing.T) {
	t.Parallel()
	dir := installNodeClient(t)
	for _, address := range append(servers(), startEmbedded(t, t.TempDir()).address) {
		t.Run(configure(t, address).Address, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			command := exec.CommandContext(ctx, "node", "--test", "--test-reporter=spec", "client.test.js")
			command.Dir = dir
			command.Env = append(os.Environ(), "LIVENESS_CONFORMANCE_URL="+address)
			if output, err := command.CombinedOutput(); err != nil {
				t.Errorf("the Node.js client failed: %v\n%s", err, output)
			}
		})
	}
}

// installNodeClient returns a directory in the cache with the script and its packages. Several processes may ask at once;
// the directory is named by what is in it, so that a change gets a new one.
func installNodeClient(t *testing.T) string {
	t.Helper()
	files := make(map[string][]byte)
	hash := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json", "client.test.js"} {
		content, err := os.ReadFile(filepath.Join("nodeclient", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = content
		hash.Write(content)
	}
	parent := filepath.Join(parts.New(parts.Options{}).Dir(), "nodeclient")
	if err := os.MkdirAll(parent, 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), installTimeout)
	defer cancel()
	lock := flock.New(filepath.Join(parent, "lock"))
	if _, err := lock.TryLockContext(ctx, 200*time.Millisecond); err != nil {
		t.Fatalf("wait for another installation: %v", err)
	}
	defer func() {
		if err := lock.Unlock(); err != nil {
			t.Error(err)
		}
	}()
	dir := filepath.Join(parent, hex.EncodeToString(hash.Sum(nil)[:8]))
	if _, err := os.Stat(dir); err == nil {
		return dir
	}
	// Installed beside its place and moved there when complete, so that an interrupted installation is not taken for one.
	unfinished, err := os.MkdirTemp(parent, "unfinished-")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(unfinished) }()
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(unfinished, name), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline")
	command.Dir = unfinished
	if output, err := command.CombinedOutput(); err != nil {
		t.Fatalf("npm ci of the Node.js client: %v\n%s", err, output)
	}
	if err := os.Rename(unfinished, dir); err != nil {
		t.Fatal(err)
	}
	return dir
}
