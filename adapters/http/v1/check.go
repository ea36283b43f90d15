package v1

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/adapters/http/v1/checkbody"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// check answers POST /v1/check/liveness.
func (a *API) check(x *exchange) (answer, error) {
	if err := x.authenticate(); err != nil {
		return nil, err
	}
	if err := requireJSON(x.request.Header); err != nil {
		return nil, err
	}
	idempotencyKey, err := readIdempotencyKey(x.request.Header)
	if err != nil {
		return nil, err
	}
	if err := a.gate.look(x.share()); err != nil {
		return nil, err
	}
	// A duplicate waits here for the first request with its Idempotency-Key, and takes nothing that others could use.
	reservation, err := a.begin(x, idempotencyKey)
	if err != nil {
		return nil, err
	}
	defer reservation.Release()
	x.reservation = reservation
	share := x.share()
	leave, err := a.gate.enter(share, fairshare.From(x.request.Context()).GiveWay())
	if err != nil {
		return nil, err
	}
	defer leave()
	body, err := a.readBody(x, share)
	if err != nil {
		return nil, err
	}
	defer body.Release()
	event, err := a.judge(x, reservation, body, share)
	if err != nil {
		return nil, err
	}
	x.quota = quotaAfter(event)
	return NewVerdict(event.Judgement, body.Details), nil
}

// begin asks for the quota, and waits for another request with the same Idempotency-Key.
func (a *API) begin(x *exchange, idempotencyKey string) (*counting.Reservation, error) {
	ctx, cancel := context.WithTimeout(x.request.Context(), a.limits.BeginWait)
	defer cancel()
	return a.checks.Begin(ctx, x.owner, idempotencyKey)
}

// readBody takes the image in. What goes wrong on the way is told apart: a body that stalled was cut off by the server's
// deadlines; one that ended early belongs to a caller that has left.
func (a *API) readBody(x *exchange, share counting.Share) (checkbody.Body, error) {
	ctx, span := a.tracer.Start(x.request.Context(), "read body")
	defer span.End()
	body, err := a.bodies.Read(holderOf(share), fairshare.From(ctx).GiveWay(), x.body, x.request.ContentLength)
	var network net.Error
	switch {
	case err == nil || domain.KindOf(err) != "":
		return body, err
	case errors.As(err, &network) && network.Timeout():
		return body, problem.ErrRequestTimeout.Because(err)
	case errors.Is(err, io.ErrUnexpectedEOF):
		// A caller that has closed its side alone still reads the answer.
	case ctx.Err() != nil:
		return body, errors.Join(ctx.Err(), err)
	}
	return body, domain.ErrInvalidRequest.Saying("The request body could not be read to its end. Send it again.").Because(err)
}

// judge has the image judged and counts the call. The call's latency begins here: how long the upload took is not ours.
func (a *API) judge(x *exchange, reservation *counting.Reservation, body checkbody.Body, share counting.Share) (domain.CheckCompleted, error) {
	started := a.now()
	ctx, span := a.tracer.Start(x.request.Context(), "check")
	defer span.End()
	return a.checks.Check(ctx, reservation, counting.CheckLiveness{
		By:    commands.Origin{CommandID: uuid.New(), CorrelationID: x.id, Actor: domain.ActorAPIClient},
		Image: body.Image, Format: body.Format, StartedAt: started, Weight: share.Weight, Confirm: x.confirm,
	})
}

// requireJSON accepts application/json, in UTF-8 when it says so, and not compressed.
func requireJSON(header http.Header) error {
	media, parameters, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil || media != "application/json" {
		return domain.ErrUnsupportedMedia
	}
	if charset, said := parameters["charset"]; said && !strings.EqualFold(charset, "utf-8") && !strings.EqualFold(charset, "utf8") {
		return domain.ErrUnsupportedMedia.Saying("Send the request in UTF-8: Content-Type: application/json; charset=utf-8.")
	}
	if encoding := header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") {
		return domain.ErrUnsupportedMedia.Saying("Send the request without Content-Encoding; photos are compressed already.")
	}
	return nil
}

// maxIdempotencyKey is the longest Idempotency-Key, in characters.
const maxIdempotencyKey = 255

// readIdempotencyKey returns the request's Idempotency-Key, "" when it has none.
func readIdempotencyKey(header http.Header) (string, error) {
	keys := header.Values("Idempotency-Key")
	if len(keys) == 0 {
		return "", nil
	}
	key := keys[0]
	unprintable := strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
	if len(keys) > 1 || key == "" || len(key) > maxIdempotencyKey || unprintable {
		return "", domain.Invalid("Idempotency-Key",
			"The header Idempotency-Key must be one value of 1 to %d printable ASCII characters, a UUID for instance.", maxIdempotencyKey)
	}
	return key, nil
}
