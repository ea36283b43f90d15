package awsconfig

import (
	"context"
	"errors"
	"fmt"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands/tracing"
)

// traceCalls has a client make a span of each call that is part of a trace, with all its attempts. It shows nothing of what is sent or
// answered: addresses, registration tokens and customers' identifiers are in there.
func traceCalls(stack *middleware.Stack) error {
	return stack.Initialize.Add(middleware.InitializeMiddlewareFunc("TraceCalls", traceCall), middleware.After)
}

func traceCall(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (
	out middleware.InitializeOutput, metadata middleware.Metadata, err error,
) {
	service, operation := awsmiddleware.GetServiceID(ctx), awsmiddleware.GetOperationName(ctx)
	ctx, span := tracing.Start(ctx, "aws "+service+" "+operation, attribute.String("rpc.system", "aws-api"),
		attribute.String("rpc.service", service), attribute.String("rpc.method", operation), attribute.String("cloud.region", awsmiddleware.GetRegion(ctx)))
	out, metadata, err = next.HandleInitialize(ctx, in)
	span.End(failure(ctx, err))
	return out, metadata, err
}

// failure is what a span says of an error of the SDK: the name of the exception. Its text may quote what was sent.
func failure(ctx context.Context, err error) error {
	var exception smithy.APIError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &exception):
		return errors.New(exception.ErrorCode())
	case ctx.Err() != nil:
		return fmt.Errorf("AWS did not answer: %w", ctx.Err())
	}
	return errors.New("AWS did not answer")
}
