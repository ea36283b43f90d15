package marketplace_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/commands/tracing/tracingtest"
)

// Each call that reports usage is a trace of its own, and names no customer.
func TestReportsAreShown(t *testing.T) { //nolint:paralleltest // what is recorded is the whole process's
	w := newWorld(t)
	_, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	for fails, fault := range map[string]awssim.Fault{
		"": {}, "throttled": {Kind: awssim.FaultThrottle}, "invalid_identity": {Kind: awssim.FaultException, Code: "InvalidCustomerIdentifierException"},
	} {
		if fault.Kind != "" {
			w.fault(t, fault)
		}
		spans := tracingtest.Record()
		if _, err := w.client.MeterUsage(t.Context(), []marketplace.UsageRecord{record(identity, w.now, 1)}); (err == nil) != (fails == "") {
			t.Error(err)
		}
		if report := spans.One(t, "report usage", fails); report.Parent.IsValid() || report.Attributes[0].Value.AsInt64() != 1 {
			t.Errorf("the report is below %v and says %v", report.Parent, report.Attributes)
		}
		spans.WantNone(t, identity.AWSAccountID, identity.LicenseARN, identity.ProductCode)
		w.sim.ClearFault("")
	}
}
