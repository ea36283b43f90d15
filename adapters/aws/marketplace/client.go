// Package marketplace asks AWS Marketplace who a buyer is and what was bought, and reports usage to it. What
// an entitlement is worth and what becomes of a record is not decided here: answers of AWS leave as the domain's outcomes.
package marketplace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice/schemas"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/aws/smithy-go/transport/http/protocol/awsjson"

	"github.com/pas-ta/liveness/commands/subscriptions"
)

// entitlementRegion is the only Region that serves entitlements.
const entitlementRegion = "us-east-1"

const defaultTimeout = 15 * time.Second

// Settings describe our listing and, if they differ from the shared configuration, the services' addresses.
type Settings struct {
	// ProductCode is the listing's product code. Entitlements are asked for by it.
	ProductCode string
	// MeteringEndpoint and EntitlementEndpoint replace the services' addresses; the shared configuration's when empty.
	MeteringEndpoint    string
	EntitlementEndpoint string
	// EntitlementJSON speaks JSON 1.1 with the entitlement service instead of CBOR, for implementations that know no other.
	EntitlementJSON bool
	// Timeout bounds each call with its retries; 15 s when 0.
	Timeout time.Duration
}

// Client talks to AWS Marketplace. It may be used by many goroutines.
type Client struct {
	metering    *marketplacemetering.Client
	entitlement *marketplaceentitlementservice.Client
	productCode string
	timeout     time.Duration
}

var _ subscriptions.Marketplace = (*Client)(nil)

// New makes a client of the shared configuration. All usage goes to the configuration's one Region: AWS recognises a
// repeated record only within a Region, so that a second one would bill twice.
func New(cfg aws.Config, s Settings) (*Client, error) {
	if s.ProductCode == "" {
		return nil, errors.New("marketplace: the product code of the listing is required")
	}
	if s.Timeout <= 0 {
		s.Timeout = defaultTimeout
	}
	return &Client{
		metering: marketplacemetering.NewFromConfig(cfg, func(o *marketplacemetering.Options) {
			if s.MeteringEndpoint != "" {
				o.BaseEndpoint = aws.String(s.MeteringEndpoint)
			}
		}),
		entitlement: marketplaceentitlementservice.NewFromConfig(cfg, func(o *marketplaceentitlementservice.Options) {
			o.Region = entitlementRegion
			if s.EntitlementEndpoint != "" {
				o.BaseEndpoint = aws.String(s.EntitlementEndpoint)
			}
			if s.EntitlementJSON {
				o.Protocol = awsjson.New11(schemas.AWSMPEntitlementService)
			}
		}),
		productCode: s.ProductCode, timeout: s.Timeout,
	}, nil
}

// FailureKind says what a failed call means for the operator.
type FailureKind string

// The kinds of failure.
const (
	// Throttled means calls come too fast.
	Throttled FailureKind = "throttled"
	// Unavailable means AWS did not answer, or failed; the same call may succeed later.
	Unavailable FailureKind = "unavailable"
	// Misconfigured means that no repetition helps: permissions, Region, credentials or product code are wrong.
	Misconfigured FailureKind = "misconfigured"
)

// Failure is a call that AWS did not answer as asked.
type Failure struct {
	Operation string
	Kind      FailureKind
	Err       error
}

// Error names the operation, the kind and the cause.
func (f *Failure) Error() string {
	return fmt.Sprintf("AWS Marketplace %s: %s: %v", f.Operation, f.Kind, f.Err)
}

// Unwrap returns the SDK's error.
func (f *Failure) Unwrap() error { return f.Err }

// failure classifies an error of the SDK after its own retries.
func failure(operation string, err error) *Failure {
	f := &Failure{Operation: operation, Kind: Unavailable, Err: err}
	switch {
	case throttled(err):
		f.Kind = Throttled
	case accessRefused(err):
		f.Kind = Misconfigured
	case answered(err) && httpStatus(err) < http.StatusInternalServerError:
		f.Kind = Misconfigured
	}
	return f
}

// throttleCodes are the names under which AWS services ask for fewer calls.
var throttleCodes = map[string]bool{
	"ThrottlingException": true, "Throttling": true, "ThrottledException": true, "TooManyRequestsException": true,
	"RequestThrottled": true, "RequestThrottledException": true, "RequestLimitExceeded": true, "SlowDown": true,
}

func throttled(err error) bool {
	return throttleCodes[errorCode(err)] || httpStatus(err) == http.StatusTooManyRequests
}

// accessCodes are the names under which AWS refuses a caller as such, whatever was asked.
var accessCodes = map[string]bool{
	"DisabledApiException": true, "InvalidEndpointRegionException": true, "AccessDeniedException": true, "AccessDenied": true,
	"UnrecognizedClientException": true, "InvalidClientTokenId": true, "InvalidSignatureException": true, "SignatureDoesNotMatch": true,
	"IncompleteSignature": true, "MissingAuthenticationTokenException": true, "NotAuthorized": true, "OptInRequired": true, "RequestExpired": true,
}

func accessRefused(err error) bool {
	status := httpStatus(err)
	var e smithy.APIError
	if errors.As(err, &e) && e.ErrorCode() == "ExpiredTokenException" {
		return strings.Contains(e.ErrorMessage(), "security token")
	}
	return accessCodes[errorCode(err)] || answered(err) && (status == http.StatusUnauthorized || status == http.StatusForbidden)
}

// errorCode is the name of AWS's exception, or "" when none arrived.
func errorCode(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

// httpStatus is the status of the answer, or 0 when none arrived.
func httpStatus(err error) int {
	if e, ok := errors.AsType[*smithyhttp.ResponseError](err); ok {
		return e.HTTPStatusCode()
	}
	return 0
}

func answered(err error) bool { return errorCode(err) != "" && httpStatus(err) != 0 }

func (c *Client) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, c.timeout)
}
