package transparency_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/adapters/http/transparency"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// tree has one checkpoint, and a tile that says which it is.
type tree struct {
	signed bool
	err    error
}

func (t tree) Checkpoint(context.Context) (domain.CheckpointSigned, bool, error) {
	return domain.CheckpointSigned{Note: "the note\n"}, t.signed, t.err
}

func (t tree) ReadTile(_ context.Context, tile tlog.Tile) ([]byte, error) {
	if tile.L > 2 {
		return nil, projections.ErrNoSuchTile
	}
	return []byte(tile.Path()), t.err
}

func get(t *testing.T, from tree, method, path string) *httptest.ResponseRecorder {
	t.Helper()
	answer := httptest.NewRecorder()
	transparency.New(from, slog.New(slog.DiscardHandler)).ServeHTTP(answer, httptest.NewRequest(method, path, nil))
	return answer
}

func TestCheckpointAndTilesArePublished(t *testing.T) {
	t.Parallel()
	const text, bytes = "text/plain; charset=utf-8", "application/octet-stream"
	const short, forever = "public, max-age=10", "public, max-age=31536000, immutable"
	for path, want := range map[string]struct{ body, contentType, cache string }{
		"/transparency/checkpoint":            {"the note\n", text, short},
		"/transparency/tile/0/000":            {"tile/8/0/000", bytes, forever},
		"/transparency/tile/0/000.p/7":        {"tile/8/0/000.p/7", bytes, forever},
		"/transparency/tile/2/x001/x234/067":  {"tile/8/2/x001/x234/067", bytes, forever},
		"/transparency/tile/1/x001/234.p/255": {"tile/8/1/x001/234.p/255", bytes, forever},
	} {
		answer := get(t, tree{signed: true}, http.MethodGet, path)
		if got := answer.Body.String(); answer.Code != http.StatusOK || got != want.body {
			t.Errorf("%s: %d %q", path, answer.Code, got)
		}
		if h := answer.Header(); h.Get("Content-Type") != want.contentType || h.Get("Cache-Control") != want.cache ||
			h.Get("Access-Control-Allow-Origin") != "*" || h.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, h)
		}
	}
	if answer := get(t, tree{signed: true}, http.MethodHead, "/transparency/checkpoint"); answer.Code != http.StatusOK {
		t.Errorf("HEAD: %d", answer.Code)
	}
}

// Entries are not published, only hashes; and what is no tile is told apart from what fails.
func TestWhatIsNotPublished(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]int{
		"/transparency/tile/entries/000":   http.StatusNotFound,
		"/transparency/tile/data/000":      http.StatusNotFound,
		"/transparency/tile/0/0":           http.StatusNotFound,
		"/transparency/tile/00/000":        http.StatusNotFound,
		"/transparency/tile/0/000.p/256":   http.StatusNotFound,
		"/transparency/tile/0/000.p/0":     http.StatusNotFound,
		"/transparency/tile/-1/000":        http.StatusNotFound,
		"/transparency/tile/64/000":        http.StatusNotFound,
		"/transparency/tile/0/../1/000":    http.StatusNotFound,
		"/transparency/tile/3/000":         http.StatusNotFound,
		"/transparency/":                   http.StatusNotFound,
		"/transparency/checkpoint/":        http.StatusNotFound,
		"/transparency/tile/0/x000000/000": http.StatusNotFound,
		"/transparency/tile/0/99999999999": http.StatusNotFound,
	} {
		answer := get(t, tree{signed: true}, http.MethodGet, path)
		if answer.Code != want || answer.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %v, want %d", path, answer.Code, answer.Header(), want)
		}
	}
	if answer := get(t, tree{}, http.MethodGet, "/transparency/checkpoint"); answer.Code != http.StatusNotFound {
		t.Errorf("without a checkpoint: %d", answer.Code)
	}
	if answer := get(t, tree{}, http.MethodPost, "/transparency/checkpoint"); answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d %v", answer.Code, answer.Header())
	}
	for _, path := range []string{"/transparency/checkpoint", "/transparency/tile/0/000"} {
		if answer := get(t, tree{err: errors.New("down")}, http.MethodGet, path); answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Retry-After") == "" {
			t.Errorf("%s of a database that is down: %d %v", path, answer.Code, answer.Header())
		}
	}
}
