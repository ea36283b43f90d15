package snippets_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/snippets"
)

// programs run the texts, from the file that they are saved in.
var programs = map[string][]string{
	"curl": {"bash", "check.sh"}, "go": {"go", "run", "main.go"}, "python": {"python3", "check.py"}, "node": {"node", "check.mjs"}, "php": {"php", "check.php"},
}

const (
	key   = "lc_abc12ABCDEFGHIJKLMNOPQRSTUVWX"
	photo = "\xff\xd8 a photo\n\x00 with every byte + / ="
)

// api answers checks one after the other as it was told, and keeps their Idempotency-Keys.
type api struct {
	t       *testing.T
	answers []func(http.ResponseWriter)

	mu   sync.Mutex
	keys []string
}

// ServeHTTP implements http.Handler.
func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Image  string `json:"image"`
		Format string `json:"image_format"`
	}
	err := json.NewDecoder(r.Body).Decode(&body)
	image, damaged := base64.StdEncoding.DecodeString(body.Image)
	if err != nil || damaged != nil || string(image) != photo || body.Format != "jpeg" || r.Header.Get("X-API-Key") != key || r.URL.Path != "/v1/check/liveness" ||
		r.Header.Get("Content-Type") != "application/json" {
		a.t.Errorf("it sends %s %v with %q as %q: %v %v", r.URL, r.Header, image, body.Format, err, damaged)
	}
	a.mu.Lock()
	a.keys = append(a.keys, r.Header.Get("Idempotency-Key"))
	answer := refusal(http.StatusTeapot, "asked_too_often", 0)
	if len(a.keys) <= len(a.answers) {
		answer = a.answers[len(a.keys)-1]
	}
	a.mu.Unlock()
	answer(w)
}

func refusal(status int, code string, retryAfter int) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if retryAfter > 0 {
			w.Header().Set("Retry-After", fmt.Sprint(retryAfter))
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"metadata": {}, "error": {"code": %q, "message": "A message."}}`, code)
	}
}

// broken ends the connection without an answer.
func broken(w http.ResponseWriter) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

// leaving asks for a second of patience on another connection.
func leaving(w http.ResponseWriter) {
	w.Header().Set("Connection", "close")
	refusal(http.StatusServiceUnavailable, "overloaded", 1)(w)
}

// odd answers as what is in between may.
func odd(status int, retryAfter, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Retry-After", retryAfter)
		w.WriteHeader(status)
		_, _ = fmt.Fprint(w, body)
	}
}

// cut ends the connection in the middle of an answer.
func cut(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Length", fmt.Sprint(2*len(body)))
		odd(status, "1", body)(w)
	}
}

// dated asks for patience until a time, as the seconds of the API do not.
func dated(w http.ResponseWriter) {
	odd(503, time.Now().Add(2*time.Second).UTC().Format(http.TimeFormat), `{"error": "Service Unavailable"}`)(w)
}

func live(w http.ResponseWriter) {
	_, _ = fmt.Fprint(w, `{"metadata": {}, "data": {"isFakeFace": false, "isFakeLikelihood": 0.01, "isValidFace": true, "faceBrightness": 120.5, "latency_ms": 40}}`)
}

// withoutVerdict are successes that do not say in booleans whether a face is live.
var withoutVerdict = []string{
	`{}`, `{"data": {}}`, `{"data": null}`, `{"data": []}`, `{"data": true}`,
	`{"data": {"isValidFace": true}}`, `{"data": {"isFakeFace": null, "isValidFace": true}}`, `{"data": {"isFakeFace": 0, "isValidFace": true}}`,
	`{"data": {"isFakeFace": "false", "isValidFace": true}}`, `{"data": {"isFakeFace": "", "isValidFace": true}}`,
	`{"data": {"isFakeFace": [], "isValidFace": true}}`, `{"data": {"isFakeFace": {}, "isValidFace": true}}`,
	`{"data": {"isFakeFace": false}}`, `{"data": {"isFakeFace": false, "isValidFace": null}}`, `{"data": {"isFakeFace": false, "isValidFace": "false"}}`,
}

// The clients that repeat do so with one Idempotency-Key for as long as there is no answer that stands, and no longer.
func TestRepeatingClients(t *testing.T) {
	t.Parallel()
	list, err := snippets.Repeating(&url.URL{Scheme: "https", Host: "api.example"}, key)
	if err != nil || len(list) != len(programs) {
		t.Fatalf("there are %d clients, %v", len(list), err)
	}
	var clients sync.WaitGroup
	for _, client := range list { // all at once: parallel tests would wait for each other, by processors, and these wait for seconds
		clients.Go(func() {
			t.Run(client.Name, func(t *testing.T) {
				command := programs[client.ID]
				if _, err := exec.LookPath(command[0]); err != nil {
					if os.Getenv("LIVENESS_CLIENTS") != "" { // .ci/run has installed it
						t.Fatal(err)
					}
					t.Skipf("no %s here", command[0])
				}
				verdict, nothing, attempts := "a live face", "no_answer", 5
				if client.ID == "curl" { // it shows the answer
					verdict, nothing, attempts = `"isFakeFace": false, "isFakeLikelihood": 0.01, "isValidFace": true`, "Empty reply", 1
				}
				type expectation struct {
					answers []func(http.ResponseWriter)
					asked   int
					says    string
				}
				expectations := map[string]expectation{
					"at once": {[]func(http.ResponseWriter){live}, 1, verdict},
					"when the service and a proxy can": {
						[]func(http.ResponseWriter){refusal(503, "overloaded", 1), broken, refusal(429, "rate_limited", 1), live}, 4, verdict,
					},
					"not what stands":          {[]func(http.ResponseWriter){refusal(400, "invalid_image", 0)}, 1, "invalid_image"},
					"not until the next month": {[]func(http.ResponseWriter){refusal(429, "quota_exceeded", 1_000_000)}, 1, "quota_exceeded"},
					"whatever a proxy writes": {
						[]func(http.ResponseWriter){dated, odd(502, "1", "[]"), odd(502, "1", "null"), cut(503, `{"error": {"code": `), live}, 5, verdict,
					},
					"without end":                     {[]func(http.ResponseWriter){broken, leaving, leaving, leaving, broken}, 5, nothing},
					"when a success has no verdict":   {[]func(http.ResponseWriter){odd(200, "1", "<html>"), odd(200, "1", "{}"), odd(200, "1", "null"), live}, 4, verdict},
					"when a success is cut short":     {[]func(http.ResponseWriter){cut(200, `{"data": {"isFakeFace": false, "isValidFace": true`), live}, 2, verdict},
					"not a refusal that is cut short": {[]func(http.ResponseWriter){cut(400, `{"error": {"code": `)}, 1, "400"},
				}
				for bodies := range slices.Chunk(withoutVerdict, attempts) {
					answers := make([]func(http.ResponseWriter), len(bodies))
					for i, body := range bodies {
						answers[i] = odd(200, "1", body)
					}
					expectations["never what is no verdict: "+strings.Join(bodies, " ")] = expectation{answers, attempts, "no verdict"}
				}
				var (
					cases sync.WaitGroup // side by side: the clients wait for seconds
					used  sync.Map
				)
				for name, expected := range expectations {
					if client.ID == "curl" && slices.Contains([]string{"when a success has no verdict", "not a refusal that is cut short"}, name) {
						continue // it reads no answers, and repeats whatever is cut short
					}
					cases.Go(func() {
						server := &api{t: t, answers: expected.answers}
						out, failed := run(t, server, client, command)
						if !strings.Contains(out, expected.says) || strings.Contains(out, verdict) != (expected.says == verdict) || len(server.keys) != expected.asked {
							t.Errorf("%s: it has asked %d times, want %d, and says\n%s", name, len(server.keys), expected.asked, out)
						}
						if (failed == nil) != (expected.says == verdict) {
							t.Errorf("%s: it ends with %v, and says\n%s", name, failed, out)
						}
						if same := slices.Compact(server.keys); len(same) != 1 || len(same[0]) < 20 {
							t.Errorf("%s: its Idempotency-Keys are %q", name, server.keys)
						} else if other, loaded := used.LoadOrStore(same[0], name); loaded {
							t.Errorf("%s: its Idempotency-Key is that of another check, %s", name, other)
						}
					})
				}
				cases.Wait()
			})
		})
	}
	clients.Wait()
}

// run runs a client beside the photo and what an earlier one has left, against a server, and returns what it says and how it fails.
func run(t *testing.T, handler http.Handler, client snippets.Snippet, command []string) (string, error) {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	dir := t.TempDir()
	text := strings.ReplaceAll(client.Text, "https://api.example", server.URL)
	for name, content := range map[string]string{command[len(command)-1]: text, "face.jpg": photo, "answer.json": `{"data": {"isFakeFace": false}}`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Error(err)
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	running := exec.CommandContext(ctx, command[0], command[1:]...)
	running.Dir = dir
	said, err := running.CombinedOutput()
	return string(said), err
}
