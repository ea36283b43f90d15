package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Secrets are drawn into a new file and into one of a plain secret, and none is printed.
func TestSecretAdd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, plain := filepath.Join(dir, "ring"), filepath.Join(dir, "plain")
	if err := os.WriteFile(plain, []byte("0f8fad5bd9cb469fa16570867728950e7c9e6679"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, plain} {
		status, out, errOut := runLine("secret", "add", "--secret-file", name)
		content, err := os.ReadFile(name)
		if status != 0 || err != nil || strings.Count(out, "is in use from") != 6 || strings.Count(string(content), `"secret"`) < 6 {
			t.Errorf("add: %d, %s %s, %v", status, out, errOut, err)
		}
		for line := range strings.Lines(string(content)) {
			if _, secret, found := strings.Cut(line, `"secret": "`); found && strings.Contains(out+errOut, strings.TrimRight(secret, "\",\n")) {
				t.Error("the command prints a secret")
			}
		}
	}
	if status, _, errOut := runLine("secret", "add", "tea", "--secret-file", file); status != 1 || !strings.Contains(errOut, "api-keys") {
		t.Errorf("a secret for tea: %d, %s", status, errOut)
	}
}
