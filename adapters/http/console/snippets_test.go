package console_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// The first call in every language is what the API takes, as it stands on the screen: it is run, where there is what runs it.
func TestSnippetsRun(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	var answer struct {
		Placeholder string
		Snippets    []struct{ ID, Name, How, Text string }
	}
	b.Read("snippets", &answer)
	if len(answer.Snippets) != 5 {
		t.Fatalf("there are %d snippets", len(answer.Snippets))
	}
	const key = "lc_abc12ABCDEFGHIJKLMNOPQRSTUVWX"
	photo := []byte("\xff\xd8 a photo\n\x00 with every byte + / =")
	programs := map[string][]string{
		"curl": {"bash", "first.sh"}, "go": {"go", "run", "main.go"}, "python": {"python3", "check.py"}, "node": {"node", "check.mjs"}, "php": {"php", "check.php"},
	}
	for _, snippet := range answer.Snippets {
		command := programs[snippet.ID]
		file := command[len(command)-1]
		if snippet.ID != "curl" && !strings.Contains(snippet.How, file) {
			t.Errorf("%s: %q does not name %s", snippet.Name, snippet.How, file)
		}
		if strings.Count(snippet.Text, answer.Placeholder) != 1 || !strings.Contains(snippet.Text, w.URL+"/v1/check/liveness") {
			t.Errorf("%s has no place for a key, or not this address:\n%s", snippet.Name, snippet.Text)
		}
		t.Run(snippet.Name, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(command[0]); err != nil {
				if os.Getenv("LIVENESS_CLIENTS") != "" { // .ci/run has installed it
					t.Fatal(err)
				}
				t.Skipf("no %s here", command[0])
			}
			var asked atomic.Int64
			api := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
				var body struct {
					Image  string `json:"image"`
					Format string `json:"image_format"`
				}
				strict := json.NewDecoder(r.Body)
				strict.DisallowUnknownFields()
				err := strict.Decode(&body)
				image, damaged := base64.StdEncoding.DecodeString(body.Image)
				switch {
				case r.Method != http.MethodPost || r.URL.Path != "/v1/check/liveness" || r.Header.Get("X-API-Key") != key ||
					r.Header.Get("Content-Type") != "application/json":
					t.Errorf("it sends %s %s with %v", r.Method, r.URL, r.Header)
				case err != nil || damaged != nil || string(image) != string(photo) || body.Format != "jpeg":
					t.Errorf("it sends %q as %q: %v %v", image, body.Format, err, damaged)
				}
				if asked.Add(1) == 2 {
					rw.WriteHeader(http.StatusUnauthorized)
				}
				_, _ = fmt.Fprintf(rw, `{"metadata": {}, "call": %d}`, asked.Load())
			}))
			defer api.Close()
			dir := t.TempDir()
			text := strings.NewReplacer(w.URL, api.URL, answer.Placeholder, key).Replace(snippet.Text)
			for name, content := range map[string]string{file: text, "face.jpg": string(photo)} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for call := 1; call <= 2; call++ { // the second is refused, and says why
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
				run := exec.CommandContext(ctx, command[0], command[1:]...)
				run.Dir = dir
				out, err := run.CombinedOutput()
				cancel()
				if err != nil || !strings.Contains(string(out), fmt.Sprintf(`"call": %d`, call)) {
					t.Errorf("call %d: %v\n%s", call, err, out)
				}
			}
		})
	}
}
