package persistent

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// What the clients decide by, before they look at the status code.
const (
	exceptionExists       = "persistent-subscription-exists"
	exceptionDoesNotExist = "persistent-subscription-does-not-exist"
	exceptionDropped      = "persistent-subscription-dropped"
	exceptionFailed       = "persistent-subscription-failed"
	exceptionTooMany      = "maximum-subscribers-reached"
)

// problem is an error with the trailers that the clients read.
type problem struct {
	code      codes.Code
	exception string
	message   string
	id        identity
	reason    string
}

func (p *problem) Error() string { return p.message }

func (p *problem) trailer() metadata.MD {
	trailer := metadata.MD{}
	if p.exception == "" {
		return trailer
	}
	trailer.Set("exception", p.exception)
	trailer.Set("stream-name", ascii(p.id.source))
	trailer.Set("group-name", ascii(p.id.group))
	if p.reason != "" {
		trailer.Set("reason", ascii(p.reason))
	}
	return trailer
}

func invalid(format string, arguments ...any) error {
	return &problem{code: codes.InvalidArgument, message: fmt.Sprintf(format, arguments...)}
}

func missing(id identity) error {
	return &problem{code: codes.NotFound, exception: exceptionDoesNotExist, id: id,
		message: fmt.Sprintf("subscription group %s on stream %s does not exist", id.group, id.source)}
}

func failed(id identity, format string, arguments ...any) error {
	reason := fmt.Sprintf(format, arguments...)
	return &problem{code: codes.Internal, exception: exceptionFailed, id: id, reason: reason,
		message: fmt.Sprintf("subscription group %s on stream %s failed: %s", id.group, id.source, reason)}
}

func dropped(id identity) error {
	return &problem{code: codes.Canceled, exception: exceptionDropped, id: id,
		message: fmt.Sprintf("subscription group %s on stream %s was changed", id.group, id.source)}
}

func tooMany(id identity) error {
	return &problem{code: codes.FailedPrecondition, exception: exceptionTooMany, id: id,
		message: fmt.Sprintf("subscription group %s on stream %s has as many consumers as it may have", id.group, id.source)}
}

func stopping() error {
	return &problem{code: codes.Unavailable, message: "the node is stopping"}
}

// answer turns an error into the status and trailers of the call.
func answer(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	var p *problem
	switch {
	case errors.As(err, &p):
		if trailer := p.trailer(); len(trailer) > 0 {
			// Fails only outside a call, where there is nobody to read a trailer.
			_ = grpc.SetTrailer(ctx, trailer)
		}
		return status.Error(p.code, p.message)
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	case errors.Is(err, store.ErrClosed):
		return status.Error(codes.Unavailable, "the node is stopping")
	case errors.Is(err, store.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, store.ErrFull):
		return status.Error(codes.ResourceExhausted, err.Error())
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	return status.Error(codes.Unknown, err.Error())
}

// ascii percent-encodes what a trailer cannot carry.
func ascii(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7e {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
