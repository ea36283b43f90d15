package marketplace_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/aws/marketplace"
	"github.com/pas-ta/liveness/adapters/awssim"
	"github.com/pas-ta/liveness/domain"
)

func record(identity domain.MarketplaceIdentity, at time.Time, quantity int64) marketplace.UsageRecord {
	return marketplace.UsageRecord{Identity: identity, Dimension: "starter_over", Quantity: quantity, Timestamp: at}
}

func outcomes(results []marketplace.RecordResult) (list []domain.MeteringOutcome) {
	for _, r := range results {
		list = append(list, r.Outcome)
	}
	return list
}

func TestMeterUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, active := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	_, pending := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", Pending: true})
	batch := []marketplace.UsageRecord{record(pending, w.now, 1), record(active, w.now, 7)}
	results, err := w.client.MeterUsage(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]domain.MeteringOutcome{domain.MeteringNotSubscribed, domain.MeteringSuccess}, outcomes(results)); diff != "" {
		t.Error(diff)
	}
	if results[1].RecordID == "" {
		t.Error("an accepted record without AWS's id")
	}
	again, err := w.client.MeterUsage(t.Context(), []marketplace.UsageRecord{record(active, w.now, 8)})
	if err != nil || again[0].Outcome != domain.MeteringDuplicate {
		t.Errorf("another quantity: %+v, %v", again, err)
	}
	w.fault(t, awssim.Fault{Kind: awssim.FaultUnprocessed})
	left, err := w.client.MeterUsage(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]domain.MeteringOutcome{domain.MeteringUnprocessed, domain.MeteringUnprocessed}, outcomes(left)); diff != "" {
		t.Error(diff)
	}
}

// How AWS echoes a record is not documented: what identifies it there is enough.
func TestLooseEcho(t *testing.T) {
	t.Parallel()
	for name, legacy := range map[string]bool{"licences": false, "legacy identifiers": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *awssim.Config, _ *marketplace.Settings) { c.Legacy = legacy })
			if err := w.sim.SetSwitches(awssim.Switches{LooseEcho: true, EventDelivery: awssim.DeliverOnce}); err != nil {
				t.Fatal(err)
			}
			var batch []marketplace.UsageRecord
			for i := range 3 {
				a, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", Pending: i == 0})
				if legacy {
					identity = domain.MarketplaceIdentity{CustomerIdentifier: a.CustomerIdentifier}
				}
				batch = append(batch, record(identity, w.now, int64(i)))
			}
			results, err := w.client.MeterUsage(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]domain.MeteringOutcome{domain.MeteringNotSubscribed, domain.MeteringSuccess, domain.MeteringSuccess}, outcomes(results)); diff != "" {
				t.Error(diff)
			}
			held, err := w.sim.Records(t.Context(), awssim.RecordFilter{})
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range held {
				if results[r.Quantity].RecordID != r.ID {
					t.Errorf("the record of %d calls is %s at AWS, %s here", r.Quantity, r.ID, results[r.Quantity].RecordID)
				}
			}
			w.fault(t, awssim.Fault{Kind: awssim.FaultUnprocessed})
			left, err := w.client.MeterUsage(t.Context(), batch)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(slices.Repeat([]domain.MeteringOutcome{domain.MeteringUnprocessed}, 3), outcomes(left)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOutcomesOfWholeCalls(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault awssim.Fault
		want  domain.MeteringOutcome
		held  int
	}{
		"throttled":                    {awssim.Fault{Kind: awssim.FaultThrottle}, domain.MeteringThrottled, 0},
		"server error":                 {awssim.Fault{Kind: awssim.FaultServerError}, domain.MeteringUnknown, 0},
		"server error after accepting": {awssim.Fault{Kind: awssim.FaultServerError, AfterCommit: true}, domain.MeteringUnknown, 1},
		"dropped":                      {awssim.Fault{Kind: awssim.FaultDrop}, domain.MeteringUnknown, 0},
		"dropped after accepting":      {awssim.Fault{Kind: awssim.FaultDrop, AfterCommit: true}, domain.MeteringUnknown, 1},
		"timeout after accepting":      {awssim.Fault{Kind: awssim.FaultHang, AfterCommit: true}, domain.MeteringUnknown, 1},
		"unavailable":                  {awssim.Fault{Kind: awssim.FaultUnavailable}, domain.MeteringUnknown, 0},
		"timestamp":                    {awssim.Fault{Kind: awssim.FaultException, Code: "TimestampOutOfBoundsException"}, domain.MeteringTimestampRefused, 0},
		"licence":                      {awssim.Fault{Kind: awssim.FaultException, Code: "InvalidLicenseException"}, domain.MeteringLicenceRefused, 0},
		"dimension":                    {awssim.Fault{Kind: awssim.FaultException, Code: "InvalidUsageDimensionException"}, domain.MeteringDimensionRefused, 0},
		"customer":                     {awssim.Fault{Kind: awssim.FaultException, Code: "InvalidCustomerIdentifierException"}, domain.MeteringIdentityRefused, 0},
		"product":                      {awssim.Fault{Kind: awssim.FaultException, Code: "InvalidProductCodeException"}, domain.MeteringIdentityRefused, 0},
		"tag":                          {awssim.Fault{Kind: awssim.FaultException, Code: "InvalidTagException"}, domain.MeteringIdentityRefused, 0},
		"allocation":                   {awssim.Fault{Kind: awssim.FaultException, Code: "InvalidUsageAllocationsException"}, domain.MeteringIdentityRefused, 0},
		"disabled":                     {awssim.Fault{Kind: awssim.FaultException, Code: "DisabledApiException"}, domain.MeteringAccessRefused, 0},
		"denied":                       {awssim.Fault{Kind: awssim.FaultException, Code: "AccessDeniedException"}, domain.MeteringAccessRefused, 0},
		"credentials ran out":          {awssim.Fault{Kind: awssim.FaultException, Code: "ExpiredTokenException"}, domain.MeteringAccessRefused, 0},
		"form":                         {awssim.Fault{Kind: awssim.FaultException, Code: "ValidationException"}, domain.MeteringRequestRefused, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(_ *awssim.Config, s *marketplace.Settings) { s.Timeout = time.Second })
			_, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
			w.fault(t, tt.fault)
			results, err := w.client.MeterUsage(t.Context(), []marketplace.UsageRecord{record(identity, w.now, 7)})
			if err == nil || len(results) != 1 || results[0].Outcome != tt.want {
				t.Errorf("results %+v, %v, want %s", results, err, tt.want)
			}
			held, err := w.sim.Records(t.Context(), awssim.RecordFilter{})
			if err != nil || len(held) != tt.held {
				t.Errorf("AWS holds %+v, %v", held, err)
			}
			if calls := w.sim.Calls()["metering.BatchMeterUsage"].Calls; calls != 1 {
				t.Errorf("%d calls; a repeat must be ours to decide", calls)
			}
		})
	}
}

// Without a connection nothing can have been billed, which a lost answer does not allow to say.
func TestUnreachableAWSIsNotAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	client := newClient(t, marketplace.Settings{ProductCode: productCode, MeteringEndpoint: "http://" + awaittest.FreeAddress(t)})
	identity := domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:us-east-1:294406891311:license:l-1"}
	results, err := client.MeterUsage(t.Context(), []marketplace.UsageRecord{record(identity, time.Now().Truncate(time.Second), 1)})
	if err == nil || results[0].Outcome != domain.MeteringNotSent {
		t.Errorf("results %+v, %v", results, err)
	}
}

// What only names a refusal does not say that a record is at fault: no record is given up for it.
func TestRefusalsThatNameNoRecord(t *testing.T) {
	t.Parallel()
	identity := domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: "arn:aws:license-manager:us-east-1:294406891311:license:l-1"}
	for name, tt := range map[string]struct {
		status int
		body   string
		want   domain.MeteringOutcome
	}{
		"validation":        {http.StatusBadRequest, `{"__type":"ValidationException"}`, domain.MeteringRequestRefused},
		"serialization":     {http.StatusBadRequest, `{"__type":"SerializationException"}`, domain.MeteringRequestRefused},
		"tomorrow's name":   {http.StatusBadRequest, `{"__type":"SomethingOfTomorrowException"}`, domain.MeteringAccessRefused},
		"no name":           {http.StatusBadRequest, `{}`, domain.MeteringAccessRefused},
		"a gateway's 403":   {http.StatusForbidden, `<html>`, domain.MeteringAccessRefused},
		"no such address":   {http.StatusNotFound, `{"message":"Not Found"}`, domain.MeteringAccessRefused},
		"too many requests": {http.StatusTooManyRequests, `{"message":"Too Many Requests"}`, domain.MeteringThrottled},
		"a gateway's 429":   {http.StatusTooManyRequests, `<html>`, domain.MeteringThrottled},
		"a gateway's 502":   {http.StatusBadGateway, `<html>`, domain.MeteringUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			records := []marketplace.UsageRecord{record(identity, time.Unix(1788260400, 0), 1), record(identity, time.Unix(1788264000, 0), 1)}
			results, err := answering(t, tt.status, tt.body).MeterUsage(t.Context(), records)
			if err == nil {
				t.Error("no error")
			}
			if diff := cmp.Diff([]domain.MeteringOutcome{tt.want, tt.want}, outcomes(results)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// Answers that AWS has never been seen to give leave the outcome open instead of taking it for granted.
func TestIncompleteAnswers(t *testing.T) {
	t.Parallel()
	const arn = "arn:aws:license-manager:us-east-1:294406891311:license:l-1"
	identity := domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: arn}
	stamp := time.Unix(1788260400, 0).UTC()
	echo := `{"Timestamp":1788260400,"CustomerAWSAccountId":"123456789012","LicenseArn":"` + arn + `","Dimension":"starter_over","Quantity":1}`
	success := `{"Status":"Success","MeteringRecordId":"r-1","UsageRecord":` + echo + `}`
	for name, tt := range map[string]struct {
		body string
		want domain.MeteringOutcome
	}{
		"empty":           {`{}`, domain.MeteringUnknown},
		"another record":  {`{"Results":[{"Status":"Success","UsageRecord":{"Timestamp":1788260400,"Dimension":"other"}}]}`, domain.MeteringUnknown},
		"no record":       {`{"Results":[{"Status":"Success"}]}`, domain.MeteringUnknown},
		"unknown status":  {`{"Results":[{"Status":"Postponed","UsageRecord":` + echo + `}]}`, domain.MeteringOutcome("Postponed")},
		"another licence": {`{"Results":[{"Status":"Success","UsageRecord":` + strings.Replace(echo, "l-1", "l-2", 1) + `}]}`, domain.MeteringUnknown},
		"another second":  {`{"Results":[{"Status":"Success","UsageRecord":` + strings.Replace(echo, "1788260400", "1788260401", 1) + `}]}`, domain.MeteringUnknown},
		"no licence":      {`{"Results":[{"Status":"Success","UsageRecord":` + strings.Replace(echo, arn, "", 1) + `}]}`, domain.MeteringUnknown},
		"said twice":      {`{"Results":[` + success + `,` + success + `]}`, domain.MeteringSuccess},
		"two statuses":    {`{"Results":[` + success + `,{"Status":"CustomerNotSubscribed","UsageRecord":` + echo + `},` + success + `]}`, domain.MeteringUnknown},
		"left over too":   {`{"Results":[` + success + `],"UnprocessedRecords":[` + echo + `]}`, domain.MeteringUnknown},
		"fractional echo": {`{"Results":[{"Status":"Success","UsageRecord":{"Timestamp":1.7882604E9,"CustomerAWSAccountId":"123456789012","LicenseArn":"` + arn + `","Dimension":"starter_over"}}]}`, domain.MeteringSuccess},
		"not JSON":        {`<html>`, domain.MeteringUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			results, _ := answering(t, http.StatusOK, tt.body).MeterUsage(t.Context(), []marketplace.UsageRecord{record(identity, stamp, 1)})
			if len(results) != 1 || results[0].Outcome != tt.want {
				t.Errorf("results %+v, want %s", results, tt.want)
			}
		})
	}
}

func TestMalformedRecordsAreNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, identity := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	good := record(identity, w.now, 1)
	change := func(fn func(*marketplace.UsageRecord)) []marketplace.UsageRecord {
		r := good
		fn(&r)
		return []marketplace.UsageRecord{r}
	}
	many := make([]marketplace.UsageRecord, marketplace.MaxBatch+1)
	for i := range many {
		many[i] = record(identity, w.now.Add(-time.Duration(i)*time.Hour), 1)
	}
	legacy := good
	legacy.Identity = domain.MarketplaceIdentity{CustomerIdentifier: "X01"}
	for name, records := range map[string][]marketplace.UsageRecord{
		"too many":         many,
		"twice the same":   {good, good},
		"legacy with ARN":  {good, legacy},
		"negative":         change(func(r *marketplace.UsageRecord) { r.Quantity = -1 }),
		"beyond 32 bits":   change(func(r *marketplace.UsageRecord) { r.Quantity = 1 << 31 }),
		"part of a second": change(func(r *marketplace.UsageRecord) { r.Timestamp = r.Timestamp.Add(time.Millisecond) }),
		"no time":          change(func(r *marketplace.UsageRecord) { r.Timestamp = time.Time{} }),
		"no dimension":     change(func(r *marketplace.UsageRecord) { r.Dimension = "" }),
		"ARN of an event":  change(func(r *marketplace.UsageRecord) { r.Identity.LicenseARN = r.Identity.LicenseARN[len("arn:"):] }),
		"account of words": change(func(r *marketplace.UsageRecord) { r.Identity.AWSAccountID = "me" }),
		"nobody":           change(func(r *marketplace.UsageRecord) { r.Identity = domain.MarketplaceIdentity{} }),
	} {
		results, err := w.client.MeterUsage(t.Context(), records)
		if err == nil || len(results) != len(records) || results[0].Outcome != domain.MeteringRequestRefused {
			t.Errorf("%s: %+v, %v", name, results, err)
		}
	}
	if calls := w.sim.Calls()["metering.BatchMeterUsage"].Calls; calls != 0 {
		t.Errorf("%d calls were made", calls)
	}
	if results, err := w.client.MeterUsage(t.Context(), nil); err != nil || results != nil {
		t.Errorf("nothing to send: %+v, %v", results, err)
	}
}
