package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/snippets"
)

// The clients of the guide, as they stand there with a customer's key, get a verdict of the API, and each is counted once.
func TestTheGuidesClientsGetVerdicts(t *testing.T) {
	t.Parallel()
	dev := startDev(t, filepath.Join(t.TempDir(), "data"))
	site, err := url.Parse(dev.api)
	if err != nil {
		t.Fatal(err)
	}
	first, err := snippets.For(site, dev.demo.Primary)
	if err != nil {
		t.Fatal(err)
	}
	repeating, err := snippets.Repeating(site, dev.demo.Primary)
	if err != nil {
		t.Fatal(err)
	}
	photo, err := os.ReadFile(samplePhoto(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	ran := int64(0)
	for _, client := range slices.Concat(first, repeating) {
		command := map[string][]string{
			"curl": {"bash", "check.sh"}, "go": {"go", "run", "main.go"}, "python": {"python3", "check.py"}, "node": {"node", "check.mjs"}, "php": {"php", "check.php"},
		}[client.ID]
		if _, err := exec.LookPath(command[0]); err != nil { // the tests of the clients themselves insist on it in CI
			t.Logf("no %s here", command[0])
			continue
		}
		dir := t.TempDir()
		for name, content := range map[string]string{command[len(command)-1]: client.Text, "face.jpg": string(photo)} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		running := exec.CommandContext(ctx, command[0], command[1:]...)
		running.Dir = dir
		out, err := running.CombinedOutput()
		cancel()
		if said := string(out); err != nil || !strings.Contains(said, `"isFakeFace":false`) && !strings.Contains(said, "a live face") {
			t.Errorf("%s: %v\n%s\n%s", client.Name, err, out, client.Text)
		}
		ran++
	}
	if usage := dev.call(t, http.MethodGet, "/v1/usage", dev.demo.Primary, nil); usage.Data.Calls != ran {
		t.Errorf("%d clients ran, and %d calls are counted", ran, usage.Data.Calls)
	}
}
