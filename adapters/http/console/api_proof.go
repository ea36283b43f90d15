package console

import (
	"context"
	"net/http"
	"strconv"

	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/adapters/http/proofpage"
	"github.com/pas-ta/liveness/commands/proofs"
	"github.com/pas-ta/liveness/domain"
)

// Proofs makes proofs of months.
//
// Ready returns whether there is a checkpoint on which one can rest.
//
// Export makes the proof of a month.
type Proofs interface {
	Ready(ctx context.Context) (bool, error)
	Export(ctx context.Context, of proofs.Month) (proofs.Proof, error)
}

// maxProving is how many proofs a node makes at once: each holds a month in memory.
const maxProving = 1

// errProving asks to come back while another proof is made.
var errProving = domain.ErrUnavailable.Saying("Another file is being made at the moment. Please try again in a few seconds.")

// downloadProof is the proof of a month, to be checked without us.
func (c *console) downloadProof(w http.ResponseWriter, r *http.Request) {
	user, err := c.visitor(r)
	var month domain.Month
	if err == nil {
		month, err = domain.ParseMonth(mux.Vars(r)["month"])
	}
	if err == nil && c.Proofs == nil {
		err = proofs.ErrNothingSigned
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	select {
	case c.proving <- struct{}{}:
		defer func() { <-c.proving }()
	default:
		c.fail(w, r, errProving)
		return
	}
	made, err := c.Proofs.Export(r.Context(), proofs.Month{CustomerID: user.customer, SubscriptionID: user.subscription, Month: month})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.writeDownload(w, r, "application/x-ndjson", proofs.FileName(user.customer, month), made.Content)
}

// downloadProofPage is the page that checks proofs. It holds nothing of anybody.
func (c *console) downloadProofPage(w http.ResponseWriter, r *http.Request) {
	if _, err := c.login(r); err != nil {
		c.fail(w, r, err)
		return
	}
	c.writeDownload(w, r, "text/html; charset=utf-8", proofpage.FileName, proofpage.HTML)
}

func (c *console) writeDownload(w http.ResponseWriter, r *http.Request, contentType, name string, content []byte) {
	setDownload(w.Header(), contentType, name)
	w.Header().Set("Content-Length", strconv.Itoa(len(content))) // a browser must not take half of the file for all of it
	if _, err := w.Write(content); err != nil && r.Context().Err() == nil {
		c.Log.WarnContext(r.Context(), "a download is cut off", "file", name, "error", err)
	}
}

// setDownload makes a browser save what it is answered.
func setDownload(h http.Header, contentType, name string) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
}
