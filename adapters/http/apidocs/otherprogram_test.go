package apidocs_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// redocly is another program's reader of OpenAPI documents.
const redocly = "@redocly/cli@2.77.0"

// The document is read, and nothing found to be wrong with it, by a program that has nothing to do with the one that holds answers
// against it.
func TestAnotherProgramReadsTheDocument(t *testing.T) {
	t.Parallel()
	if os.Getenv("CI") == "" {
		t.Skip("CI=1 installs it")
	}
	dir := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	install := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--ignore-scripts", "--no-audit", "--no-fund", "--no-save", redocly)
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install %s: %v\n%s", redocly, err, out)
	}
	_, document := get(t, serve(t), "/openapi.json")
	file := filepath.Join(dir, "openapi.json")
	for name, text := range map[string]string{file: document, filepath.Join(dir, "redocly.yaml"): rules} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	lint := exec.CommandContext(ctx, filepath.Join(dir, "node_modules", ".bin", "redocly"), "lint", "--max-problems=50", "--config", filepath.Join(dir, "redocly.yaml"), file)
	lint.Dir, lint.Env = dir, append(os.Environ(), "REDOCLY_TELEMETRY=off", "REDOCLY_SUPPRESS_UPDATE_NOTICE=true")
	out, err := lint.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// rules are the program's own, each an error. A licence is not named, since what is sold is described elsewhere; health and readiness
// refuse nobody; and apidocstest holds the examples to the fields that are described.
const rules = `extends: [recommended-strict]
rules:
  info-license: off
  operation-4xx-response: off
  no-invalid-media-type-examples: {severity: error, allowAdditionalProperties: true}
`
