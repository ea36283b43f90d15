// Package transparency publishes the Merkle tree over the log, as C2SP's tlog-tiles says: a signed checkpoint, and tiles that
// hold hashes and nothing else. Who keeps checkpoints can tell that no event before them was changed, left out or put in.
package transparency

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/gorilla/mux"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// Prefix begins every address of the log; below it stand checkpoint and tile/.
const Prefix = "/transparency"

// Tree is what is published. ReadTile fails with projections.ErrNoSuchTile where the tree does not reach.
type Tree interface {
	Checkpoint(ctx context.Context) (domain.CheckpointSigned, bool, error)
	ReadTile(ctx context.Context, t tlog.Tile) ([]byte, error)
}

// How long answers may be kept: the newest checkpoint for seconds, tiles for ever, because they never change.
const (
	checkpointCache = "public, max-age=10"
	tileCache       = "public, max-age=31536000, immutable"
)

// New returns what answers below Prefix.
func New(tree Tree, log *slog.Logger) http.Handler {
	p := publisher{tree: tree, log: log}
	router := mux.NewRouter().SkipClean(true)
	router.HandleFunc(Prefix+"/checkpoint", p.checkpoint).Methods(http.MethodGet, http.MethodHead)
	router.HandleFunc(Prefix+"/tile/{tile:.+}", p.tile).Methods(http.MethodGet, http.MethodHead)
	router.NotFoundHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "The log's addresses are "+Prefix+"/checkpoint and "+Prefix+"/tile/<level>/<number>.")
	})
	router.MethodNotAllowedHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", "GET, HEAD")
		refuse(w, http.StatusMethodNotAllowed, "The log is only read: GET and HEAD.")
	})
	return router
}

type publisher struct {
	tree Tree
	log  *slog.Logger
}

func (p publisher) checkpoint(w http.ResponseWriter, r *http.Request) {
	checkpoint, found, err := p.tree.Checkpoint(r.Context())
	switch {
	case err != nil:
		p.fail(w, r, err)
	case !found:
		refuse(w, http.StatusNotFound, "No checkpoint has been signed yet. The first one follows the first event within a minute.")
	default:
		answer(w, "text/plain; charset=utf-8", checkpointCache, []byte(checkpoint.Note))
	}
}

func (p publisher) tile(w http.ResponseWriter, r *http.Request) {
	tile, err := tlog.ParseTilePath("tile/8/" + mux.Vars(r)["tile"])
	if err != nil || tile.L < 0 {
		refuse(w, http.StatusNotFound, "A tile's address is "+Prefix+"/tile/<level>/<number>, or …/<number>.p/<width> of one that is not full; "+
			"numbers have groups of three digits, as x001/234. Entries are not published.")
		return
	}
	hashes, err := p.tree.ReadTile(r.Context(), tile)
	switch {
	case errors.Is(err, projections.ErrNoSuchTile):
		refuse(w, http.StatusNotFound, "The tree does not have this tile, or not as many hashes in it. "+Prefix+"/checkpoint says how large it is.")
	case err != nil:
		p.fail(w, r, err)
	default:
		answer(w, "application/octet-stream", tileCache, hashes)
	}
}

// fail answers what is no fault of the caller's.
func (p publisher) fail(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		return
	}
	p.log.ErrorContext(r.Context(), "the transparency log cannot be read", "path", r.URL.Path, "error", err)
	w.Header().Set("Retry-After", "5")
	refuse(w, http.StatusServiceUnavailable, "The log cannot be read at the moment. Try again in a few seconds.")
}

func answer(w http.ResponseWriter, contentType, cache string, body []byte) {
	header := w.Header()
	header.Set("Content-Type", contentType)
	header.Set("Cache-Control", cache)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Access-Control-Allow-Origin", "*") // it is public, and pages that verify run anywhere
	_, _ = w.Write(body)                           // #nosec G705 -- hashes and signed notes, of a type that no browser shows as a page
}

func refuse(w http.ResponseWriter, status int, message string) {
	w.Header().Set("Cache-Control", "no-store")
	http.Error(w, message, status)
}

// Serves returns whether a request is for the log.
func Serves(r *http.Request) bool { return strings.HasPrefix(r.URL.Path, Prefix+"/") }
