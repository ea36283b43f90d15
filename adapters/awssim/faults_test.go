package awssim_test

import (
	"context"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplaceentitlementservice"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering/types"
	awssqs "github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/smithy-go"

	"github.com/pas-ta/liveness/adapters/awssim"
)

func (w *world) fault(t *testing.T, f awssim.Fault) awssim.Fault {
	t.Helper()
	f, err := w.sim.SetFault(f)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFaultsByService(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	calls := map[string]func() error{
		"metering": func() error { _, err := w.meter(t, usage(a, w.clock.Now(), 1)); return err },
		"entitlement": func() error {
			_, err := w.entitlement.GetEntitlements(t.Context(), &marketplaceentitlementservice.GetEntitlementsInput{ProductCode: aws.String(productCode)})
			return err
		},
		"ses": func() error {
			_, err := w.ses.SendEmail(t.Context(), email("a@example.com", "b@example.com", "s"))
			return err
		},
		"sqs": func() error { _, err := w.sqs.ListQueues(t.Context(), &awssqs.ListQueuesInput{}); return err },
	}
	codes := map[awssim.FaultKind]map[string]string{
		awssim.FaultThrottle:    {"metering": "ThrottlingException", "entitlement": "ThrottlingException", "ses": "TooManyRequestsException", "sqs": "RequestThrottled"},
		awssim.FaultServerError: {"metering": "InternalServiceErrorException", "entitlement": "InternalServiceErrorException", "ses": "InternalServiceErrorException", "sqs": "InternalFailure"},
		awssim.FaultException:   {"metering": "DisabledApiException", "entitlement": "DisabledApiException", "ses": "DisabledApiException", "sqs": "DisabledApiException"},
		awssim.FaultDrop:        {},
	}
	for kind, byService := range codes {
		for service, call := range calls {
			f := awssim.Fault{Service: service, Kind: kind, Times: 1}
			if kind == awssim.FaultException {
				f.Code = "DisabledApiException"
			}
			w.fault(t, f)
			err := call()
			if kind == awssim.FaultDrop {
				var e smithy.APIError
				if err == nil || errors.As(err, &e) {
					t.Errorf("%s of %s: %v, want a broken connection", kind, service, err)
				}
			} else {
				wantCode(t, err, byService[service])
			}
			if err := call(); err != nil {
				t.Errorf("%s of %s lasted longer than once: %v", kind, service, err)
			}
		}
	}
}

// The answer is lost, but AWS has the record: the identical repeat finds it.
func TestLostAnswers(t *testing.T) {
	t.Parallel()
	for _, kind := range []awssim.FaultKind{awssim.FaultDrop, awssim.FaultServerError, awssim.FaultHang} {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
			w.fault(t, awssim.Fault{Operation: "BatchMeterUsage", Kind: kind, AfterCommit: true, Times: 1, DelayMS: 10})
			if _, err := w.meter(t, usage(a, w.clock.Now(), 9)); err == nil {
				t.Fatal("the answer arrived")
			}
			if quantity, _ := w.held(t); quantity != 9 {
				t.Errorf("AWS holds %d, want 9", quantity)
			}
			if got, _ := w.status(t, usage(a, w.clock.Now(), 9)); got != types.UsageRecordResultStatusSuccess {
				t.Errorf("repeat: %s", got)
			}
			if quantity, _ := w.held(t); quantity != 9 {
				t.Errorf("after the repeat AWS holds %d, want 9", quantity)
			}
		})
	}
}

func TestHangingRequestEndsWithItsClient(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fault(t, awssim.Fault{Service: "sqs", Kind: awssim.FaultHang})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := w.sqs.ListQueues(ctx, &awssqs.ListQueuesInput{}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
}

func TestUnprocessedAndUnsubscribedRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	w.clock.Advance(20 * time.Hour)
	var records []types.UsageRecord
	for i := range 20 {
		records = append(records, usage(a, w.clock.Now().Add(-time.Duration(i)*time.Hour), 1))
	}
	w.fault(t, awssim.Fault{Kind: awssim.FaultUnprocessed, Percent: 50})
	out, err := w.meter(t, records...)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(out.UnprocessedRecords); n == 0 || n == 20 || len(out.Results) != 20-n {
		t.Errorf("%d unprocessed, %d processed", n, len(out.Results))
	}
	if quantity, _ := w.held(t); int(quantity) != len(out.Results) {
		t.Errorf("AWS holds %d, want %d", quantity, len(out.Results))
	}
	w.sim.ClearFault("")
	w.fault(t, awssim.Fault{Kind: awssim.FaultNotSubscribed})
	if got, _ := w.status(t, usage(a, w.clock.Now(), 1)); got != types.UsageRecordResultStatusCustomerNotSubscribed {
		t.Errorf("status %s", got)
	}
}

// With the same seed the same requests meet the same faults.
func TestFaultsRepeatWithTheirSeed(t *testing.T) {
	t.Parallel()
	run := func(seed uint64) (fates string) {
		w := newWorld(t, func(c *awssim.Config) { c.Seed = seed })
		w.fault(t, awssim.Fault{Kind: awssim.FaultThrottle, Percent: 40})
		for range 40 {
			if _, err := w.sqs.ListQueues(t.Context(), &awssqs.ListQueuesInput{}); err != nil {
				fates += "x"
			} else {
				fates += "."
			}
		}
		if c := w.sim.Calls()["sqs.ListQueues"]; c.Calls != 40 || c.Faulted == 0 || c.Faulted == 40 {
			t.Errorf("counted %+v", c)
		}
		return fates
	}
	if a, b := run(3), run(3); a != b {
		t.Errorf("fates differ:\n%s\n%s", a, b)
	}
	if a, b := run(3), run(4); a == b {
		t.Errorf("another seed has the same fates: %s", a)
	}
}

func TestImpossibleFaultsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, f := range []awssim.Fault{
		{}, {Kind: "earthquake"}, {Kind: awssim.FaultException}, {Kind: awssim.FaultDrop, Percent: 101}, {Kind: awssim.FaultDrop, Percent: math.NaN()}, {Kind: awssim.FaultDrop, Times: -1}, {Kind: awssim.FaultDrop, Service: "s3"},
	} {
		if _, err := w.sim.SetFault(f); !errors.Is(err, awssim.ErrBadRequest) {
			t.Errorf("%+v: %v", f, err)
		}
	}
}
