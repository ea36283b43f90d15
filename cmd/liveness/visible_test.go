package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands/proofs"
	"github.com/pas-ta/liveness/domain/proof/prooftest"
)

// hostile clears the screen, forges what was printed, does so once more in one character, turns what follows around and hides in it.
const hostile = "x\x1b[2J\x1b[H\u009b2J\x7f\r\n0 findings\n\u202e\u2066\u200b\ufeff\u2028\U000e0041"

// printed runs the program and returns what it prints, in which nothing may steer a terminal.
func printed(t *testing.T, wantCode int, args ...string) string {
	t.Helper()
	var out, failed bytes.Buffer
	if code := run(args, &out, &failed); code != wantCode {
		t.Fatalf("exit status %d, want %d: %q, %q", code, wantCode, out.String(), failed.String())
	}
	for _, text := range []string{out.String(), failed.String()} {
		if strings.ContainsFunc(text, func(r rune) bool { return unicode.In(r, unicode.C, unicode.Z) && !strings.ContainsRune(" \n\t", r) }) {
			t.Errorf("%q steers the terminal", text)
		}
	}
	return out.String()
}

func TestAProofCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	l, ada := prooftest.AMonth(t)
	content, err := l.File(ada.Header(), ada.Streams()...).Encode(l.Signer())
	if err != nil {
		t.Fatal(err)
	}
	name, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	content = bytes.Replace(content, []byte(`"streams":[`), []byte(`"streams":[{"stream":`+string(name)+`,"events":0},`), 1)
	file := filepath.Join(t.TempDir(), "hostile.ndjson")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
	out := printed(t, exitFindings, "audit", "check", file)
	if strings.Contains(out, "\n0 findings\n") || !strings.Contains(out, `x\u001b[2J\u001b[H\u009b2J\u007f\u000d\u000a0 findings\u000a\u202e\u2066\u200b\ufeff\u2028\udb40\udc41`) {
		t.Errorf("a finding is forged or not told:\n%s", out)
	}
}

func TestEventsOfOthersCannotSteerTheTerminal(t *testing.T) {
	t.Parallel()
	log := nodetest.Start(t, node.Config{}).ConnectionString()
	data, err := json.Marshal(map[string]string{"text": hostile})
	if err != nil {
		t.Fatal(err)
	}
	appendRaw(t, log, "others-"+hostile, "Type"+hostile, string(data), ``)
	if out := printed(t, 0, "events", "--eventstore", log); strings.Count(out, "\n") != 1 {
		t.Errorf("one event is %q", out)
	}
	var event struct {
		Stream, Type string
		Data         struct{ Text string }
	}
	if err := json.Unmarshal([]byte(printed(t, 0, "events", "--eventstore", log, "--json")), &event); err != nil ||
		event.Stream != "others-"+hostile || event.Type != "Type"+hostile || event.Data.Text != hostile {
		t.Errorf("as JSON: %+v, %v", event, err)
	}
	if out := printed(t, exitUsage, "audit", "check", filepath.Join(t.TempDir(), hostile)); out != "" {
		t.Errorf("an error is %q", out)
	}
}

// A proof is signed over its bytes.
func TestAProofIsPrintedAsItIs(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	content := "{\"kind\":\"event\",\"data\":\"\x7f\u009b\"}\r\n"
	if err := (&AuditExportCmd{Out: "-"}).write(&App{Out: visible{&out}}, proofs.Month{}, proofs.Proof{Content: []byte(content)}); err != nil || out.String() != content {
		t.Errorf("%q, %v", out.String(), err)
	}
}
