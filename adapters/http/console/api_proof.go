package console

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
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

// UntakenProofs is how many bytes a node keeps of proofs that were made and that their readers have not taken yet; one that
// is longer counts as all of them. Disk would be no way out: deployed, the product may write to a small /tmp alone.
const UntakenProofs = 128 << 20

// What asks to come back while another proof is made, or while those that were made are taken.
var (
	errProving = domain.ErrUnavailable.Saying("Another file is being made at the moment. Please try again in a few seconds.")
	errUntaken = domain.ErrUnavailable.
			Saying("Too many files are still being downloaded. Please try again when yours have arrived.").After(10 * time.Second)
)

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
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	claim := c.Untaken.Claim(fairshare.Holder{Group: user.subscription.String()}, func() { stop(fairshare.ErrGaveWay) })
	defer claim.Release()
	content, err := c.makeProof(ctx, claim, proofs.Month{CustomerID: user.customer, SubscriptionID: user.subscription, Month: month})
	if err != nil {
		c.fail(w, r, err)
		return
	}
	c.writeDownload(w, r.WithContext(ctx), "application/x-ndjson", proofs.FileName(user.customer, month), content)
}

// makeProof makes a proof and claims the memory that it takes. What bounds the making is given back before anybody reads the
// proof: a slow reader would keep all others from theirs.
func (c *console) makeProof(ctx context.Context, claim *fairshare.Claim, of proofs.Month) ([]byte, error) {
	select {
	case c.proving <- struct{}{}:
		defer func() { <-c.proving }()
	default:
		return nil, errProving
	}
	made, err := c.Proofs.Export(ctx, of)
	if err != nil {
		return nil, err
	}
	if err := claim.Grow(min(int64(cap(made.Content)), c.Untaken.Stand().Capacity)); err != nil {
		return nil, errUntaken.Because(err)
	}
	return made.Content, nil
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
	for piece := range slices.Chunk(content, 64<<10) {
		err := context.Cause(r.Context()) // also ends a download that has to give way
		if err == nil {
			_, err = w.Write(piece)
		}
		if err != nil {
			if r.Context().Err() == nil {
				c.Log.WarnContext(r.Context(), "a download is cut off", "file", name, "error", err)
			}
			return
		}
	}
}

// setDownload makes a browser save what it is answered.
func setDownload(h http.Header, contentType, name string) {
	h.Set("Content-Type", contentType)
	h.Set("Content-Disposition", `attachment; filename="`+name+`"`)
}
