package server

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// What the clients decide by, before they look at the status code.
const (
	exceptionStreamDeleted   = "stream-deleted"
	exceptionWrongExpected   = "wrong-expected-version"
	exceptionAppendTooLarge  = "maximum-append-size-exceeded"
	exceptionAccessDenied    = "access-denied"
	exceptionNotLeader       = "not-leader"
	exceptionMissingProperty = "missing-required-metadata-property"
)

// errStopping ends the calls that are open when the server stops.
var errStopping = errors.New("the node is stopping")

// errMissingProperty refuses an event that lacks its type or content type.
var errMissingProperty = errors.New("an event needs the metadata \"type\" and \"content-type\"")

func invalid(format string, arguments ...any) error {
	return fmt.Errorf("%w: "+format, append([]any{store.ErrInvalid}, arguments...)...)
}

// answer turns an error into the status of a call and sets the trailers that the clients read.
//
// INTERNAL and DATA_LOSS are never used: one client takes them for a lost connection and repeats the call for ever.
func answer(ctx context.Context, err error) error {
	var (
		deleted *store.StreamDeletedError
		wrong   *store.WrongExpectedError
		large   *store.TooLargeError
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &deleted):
		trailer(ctx, "exception", exceptionStreamDeleted, "stream-name", ascii(deleted.Stream))
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.As(err, &wrong):
		trailer(ctx, "exception", exceptionWrongExpected, "stream-name", ascii(wrong.Stream),
			"expected-version", strconv.FormatInt(int64(wrong.Expected), 10), "actual-version", strconv.FormatInt(wrong.Current, 10))
		return status.Error(codes.FailedPrecondition, err.Error())
	case errors.As(err, &large):
		trailer(ctx, "exception", exceptionAppendTooLarge, "maximum-append-size", strconv.Itoa(large.Limit))
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, errMissingProperty):
		trailer(ctx, "exception", exceptionMissingProperty, "required-metadata-properties", "type,content-type")
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, errDenied), errors.Is(context.Cause(ctx), errDenied):
		trailer(ctx, "exception", exceptionAccessDenied)
		return status.Error(codes.PermissionDenied, errDenied.Error())
	case errors.Is(err, store.ErrInvalid):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, store.ErrFull):
		return status.Error(codes.ResourceExhausted, err.Error())
	case errors.Is(err, store.ErrClosed), errors.Is(context.Cause(ctx), errStopping):
		return status.Error(codes.Unavailable, errStopping.Error())
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	}
	if s, ok := status.FromError(err); ok {
		return s.Err()
	}
	return status.Error(codes.Unknown, err.Error())
}

func trailer(ctx context.Context, pairs ...string) {
	// Fails only outside a call, where there is nobody to read a trailer.
	_ = grpc.SetTrailer(ctx, metadata.Pairs(pairs...))
}

// ascii percent-encodes what a trailer cannot carry.
func ascii(text string) string {
	var b strings.Builder
	for i := range len(text) {
		if c := text[i]; c < 0x20 || c > 0x7e || c == '%' {
			fmt.Fprintf(&b, "%%%02X", c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
