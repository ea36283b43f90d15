package marketplace

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"regexp"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering/types"
	"github.com/aws/smithy-go/middleware"
	"go.opentelemetry.io/otel/attribute"

	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/commands/tracing"
	"github.com/pas-ta/liveness/domain"
)

// MaxBatch is the largest number of records in one call.
const MaxBatch = metering.MaxUsageBatch

var (
	_ metering.UsageMeter             = (*Client)(nil)
	_ subscriptions.EntitlementSource = (*Client)(nil)
)

// UsageRecord is the usage of one licence and dimension in one hour.
type UsageRecord = metering.UsageReport

// RecordResult is what one attempt came to for one record.
type RecordResult = metering.UsageAnswer

// MeterUsage reports up to MaxBatch records in one call and gives one result per record, in the order of the records,
// whatever happens. The error, for logs, is what refused or broke the call as a whole; the results already say so.
//
// The SDK does not retry this call: a silent repeat after a lost answer could not be told from another writer's record.
func (c *Client) MeterUsage(ctx context.Context, records []UsageRecord) ([]RecordResult, error) {
	if len(records) == 0 {
		return nil, nil
	}
	in, err := c.usageInput(records)
	if err != nil {
		return all(records, domain.MeteringRequestRefused), fmt.Errorf("metering request: %w", err)
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	ctx, span := tracing.StartOwn(ctx, "report usage", attribute.Int("liveness.usage.records", len(records)))
	var connected atomic.Bool
	out, err := c.metering.BatchMeterUsage(ctx, in, func(o *marketplacemetering.Options) {
		o.Retryer = aws.NopRetryer{}
		o.APIOptions = append(o.APIOptions, noteConnection(&connected))
	})
	if err != nil {
		outcome := domain.MeteringNotSent // even if the error is an answer: then it is that of whoever gives credentials
		if connected.Load() {
			outcome = callOutcome(err)
		}
		span.End(errors.New(string(outcome))) // what AWS says may name customers
		return all(records, outcome), fmt.Errorf("AWS Marketplace BatchMeterUsage: %s: %w", outcome, err)
	}
	span.End(nil)
	return match(in.UsageRecords, out), nil
}

// noteConnection notes that a call of the SDK has got a connection. The call is signed by then: the connections that its
// credentials come over do not count.
func noteConnection(connected *atomic.Bool) func(*middleware.Stack) error {
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	return func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("NoteConnection", func(
			ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler,
		) (middleware.DeserializeOutput, middleware.Metadata, error) {
			return next.HandleDeserialize(httptrace.WithClientTrace(ctx, trace), in)
		}), middleware.After)
	}
}

func all(records []UsageRecord, outcome domain.MeteringOutcome) []RecordResult {
	results := make([]RecordResult, len(records))
	for i := range results {
		results[i].Outcome = outcome
	}
	return results
}

// callOutcome returns what an error means for every record of the call.
func callOutcome(err error) domain.MeteringOutcome {
	var (
		timestamp  *types.TimestampOutOfBoundsException
		license    *types.InvalidLicenseException
		dimension  *types.InvalidUsageDimensionException
		customer   *types.InvalidCustomerIdentifierException
		product    *types.InvalidProductCodeException
		tag        *types.InvalidTagException
		allocation *types.InvalidUsageAllocationsException
	)
	switch {
	case errors.As(err, &timestamp):
		return domain.MeteringTimestampRefused
	case errors.As(err, &license):
		return domain.MeteringLicenceRefused
	case errors.As(err, &dimension):
		return domain.MeteringDimensionRefused
	case errors.As(err, &customer), errors.As(err, &product), errors.As(err, &tag), errors.As(err, &allocation):
		return domain.MeteringIdentityRefused
	case throttled(err):
		return domain.MeteringThrottled
	case formCodes[errorCode(err)]:
		return domain.MeteringRequestRefused
	case httpStatus(err) >= http.StatusBadRequest && httpStatus(err) < http.StatusInternalServerError:
		return domain.MeteringAccessRefused // nothing says that a record is at fault, so none is given up
	default:
		return domain.MeteringUnknown
	}
}

// formCodes are the names under which AWS refuses the form of a request. They alone may cost a record its place.
var formCodes = map[string]bool{"ValidationException": true, "SerializationException": true}

// usageKey is what AWS tells records apart by, and so what an answer is matched by. Neither the order of results is documented
// nor how a record is echoed: an echo may name its buyer in more ways than the call did, or write the licence's ARN as events do.
type usageKey struct {
	buyer, dimension string
	second           int64
}

// keyOf is the key of a record of a call that names buyers by licences or by legacy identifiers.
func keyOf(r types.UsageRecord, legacy bool) usageKey {
	buyer := domain.LicenceID(aws.ToString(r.LicenseArn))
	if legacy {
		buyer = aws.ToString(r.CustomerIdentifier)
	}
	return usageKey{buyer, aws.ToString(r.Dimension), aws.ToTime(r.Timestamp).Unix()}
}

// match finds each record's result. A record that the answer does not mention, or of which it says two things, has an unknown
// outcome.
func match(sent []types.UsageRecord, out *marketplacemetering.BatchMeterUsageOutput) []RecordResult {
	legacy := sent[0].LicenseArn == nil
	found := make(map[usageKey]RecordResult, len(sent))
	note := func(r types.UsageRecord, result RecordResult) {
		key := keyOf(r, legacy)
		if former, ok := found[key]; ok && former != result {
			result = RecordResult{Outcome: domain.MeteringUnknown}
		}
		found[key] = result
	}
	for _, r := range out.Results {
		if r.UsageRecord != nil {
			note(*r.UsageRecord, RecordResult{Outcome: recordOutcome(r.Status), RecordID: aws.ToString(r.MeteringRecordId)})
		}
	}
	for _, r := range out.UnprocessedRecords {
		note(r, RecordResult{Outcome: domain.MeteringUnprocessed})
	}
	results := make([]RecordResult, len(sent))
	for i, r := range sent {
		result, ok := found[keyOf(r, legacy)]
		if !ok {
			result.Outcome = domain.MeteringUnknown
		}
		results[i] = result
	}
	return results
}

func recordOutcome(status types.UsageRecordResultStatus) domain.MeteringOutcome {
	switch status {
	case types.UsageRecordResultStatusSuccess:
		return domain.MeteringSuccess
	case types.UsageRecordResultStatusDuplicateRecord:
		return domain.MeteringDuplicate
	case types.UsageRecordResultStatusCustomerNotSubscribed:
		return domain.MeteringNotSubscribed
	default:
		return domain.MeteringOutcome(status) // the decision table asks a person about it
	}
}

var (
	accountPattern    = regexp.MustCompile(`^[0-9]{1,255}$`)
	licenseARNPattern = regexp.MustCompile(`^arn:aws[a-zA-Z-]*:[A-Za-z0-9_/.-]{1,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9_/.-]{0,63}:[A-Za-z0-9][A-Za-z0-9:_/+=,@.-]*$`)
)

// usageInput checks what AWS's own client does not: sizes, ranges and forms. One call is of one product, by licences or
// by legacy identifiers, never both.
func (c *Client) usageInput(records []UsageRecord) (*marketplacemetering.BatchMeterUsageInput, error) {
	if len(records) > MaxBatch {
		return nil, fmt.Errorf("%d records; at most %d fit one call", len(records), MaxBatch)
	}
	in := &marketplacemetering.BatchMeterUsageInput{UsageRecords: make([]types.UsageRecord, 0, len(records))}
	seen := make(map[usageKey]bool, len(records))
	legacy := records[0].Identity.LicenseARN == ""
	for i, r := range records {
		record, err := usageRecord(r, legacy)
		if err != nil {
			return nil, fmt.Errorf("record %d: %w", i, err)
		}
		key := keyOf(record, legacy)
		if seen[key] {
			return nil, fmt.Errorf("record %d: the same licence, dimension and time is there twice", i)
		}
		seen[key] = true
		in.UsageRecords = append(in.UsageRecords, record)
	}
	if legacy {
		in.ProductCode = aws.String(c.productCode) // beside a licence it would be refused, or bill twice
	}
	return in, nil
}

func usageRecord(r UsageRecord, legacy bool) (types.UsageRecord, error) {
	quantity, err := domain.UsageQuantity(r.Quantity)
	if err != nil {
		return types.UsageRecord{}, err
	}
	if r.Dimension == "" || len(r.Dimension) > 255 {
		return types.UsageRecord{}, errors.New("a dimension has 1 to 255 characters")
	}
	if r.Timestamp.IsZero() || r.Timestamp.Nanosecond() != 0 {
		return types.UsageRecord{}, errors.New("a timestamp in whole seconds is required")
	}
	record := types.UsageRecord{Dimension: aws.String(r.Dimension), Quantity: aws.Int32(quantity), Timestamp: aws.Time(r.Timestamp.UTC())}
	switch id := r.Identity; {
	case legacy != (id.LicenseARN == ""):
		return types.UsageRecord{}, errors.New("licences and legacy identifiers cannot share a call")
	case legacy && id.CustomerIdentifier == "":
		return types.UsageRecord{}, errors.New("a licence or a customer identifier is required")
	case legacy:
		record.CustomerIdentifier = aws.String(id.CustomerIdentifier)
	case !accountPattern.MatchString(id.AWSAccountID):
		return types.UsageRecord{}, errors.New("an AWS account id consists of digits")
	case !licenseARNPattern.MatchString(id.LicenseARN):
		return types.UsageRecord{}, errors.New("the licence is not an ARN as AWS gave it")
	default:
		record.CustomerAWSAccountId, record.LicenseArn = aws.String(id.AWSAccountID), aws.String(id.LicenseARN)
	}
	return record, nil
}
