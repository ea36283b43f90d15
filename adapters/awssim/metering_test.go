package awssim_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering/types"

	"github.com/pas-ta/liveness/adapters/awssim"
)

func usage(a awssim.Agreement, stamp time.Time, quantity int32) types.UsageRecord {
	return types.UsageRecord{
		CustomerAWSAccountId: aws.String(a.AccountID), LicenseArn: aws.String(a.LicenseARN), Dimension: aws.String("starter_over"),
		Quantity: aws.Int32(quantity), Timestamp: aws.Time(stamp),
	}
}

func (w *world) meter(t *testing.T, records ...types.UsageRecord) (*marketplacemetering.BatchMeterUsageOutput, error) {
	t.Helper()
	return w.metering.BatchMeterUsage(t.Context(), &marketplacemetering.BatchMeterUsageInput{UsageRecords: records})
}

// status sends one record and returns what became of it.
func (w *world) status(t *testing.T, record types.UsageRecord) (status types.UsageRecordResultStatus, id string) {
	t.Helper()
	out, err := w.meter(t, record)
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Results) != 1 || len(out.UnprocessedRecords) != 0 {
		t.Fatalf("answer %+v", out)
	}
	return out.Results[0].Status, aws.ToString(out.Results[0].MeteringRecordId)
}

func (w *world) held(t *testing.T) (quantity int64, records []awssim.Record) {
	t.Helper()
	records, err := w.sim.Records(t.Context(), awssim.RecordFilter{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		quantity += r.Quantity
	}
	return quantity, records
}

func TestOneQuantityPerHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	start := w.clock.Now()
	w.clock.Advance(4 * time.Hour)
	hour := start.Truncate(time.Hour).Add(2 * time.Hour)

	status, id := w.status(t, usage(a, hour, 40))
	if status != types.UsageRecordResultStatusSuccess || id == "" {
		t.Fatalf("first record: %s %q", status, id)
	}
	if again, same := w.status(t, usage(a, hour, 40)); again != types.UsageRecordResultStatusSuccess || same != id {
		t.Errorf("identical repeat: %s %q", again, same)
	}
	if got, _ := w.status(t, usage(a, hour, 41)); got != types.UsageRecordResultStatusDuplicateRecord {
		t.Errorf("another quantity: %s", got)
	}
	if got, _ := w.status(t, usage(a, hour.Add(40*time.Minute), 40)); got != types.UsageRecordResultStatusDuplicateRecord {
		t.Errorf("another minute of the hour: %s", got)
	}
	if got, _ := w.status(t, usage(a, hour.Add(time.Hour), 2)); got != types.UsageRecordResultStatusSuccess {
		t.Errorf("the next hour: %s", got)
	}
	other := usage(a, hour, 3)
	other.Dimension = aws.String("standard_over")
	if got, _ := w.status(t, other); got != types.UsageRecordResultStatusSuccess {
		t.Errorf("another dimension: %s", got)
	}
	if err := w.sim.SetSwitches(awssim.Switches{DuplicateOnRepeat: true, EventDelivery: awssim.DeliverOnce}); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.status(t, usage(a, hour, 40)); got != types.UsageRecordResultStatusDuplicateRecord {
		t.Errorf("identical repeat, switched: %s", got)
	}
	quantity, records := w.held(t)
	if quantity != 45 || len(records) != 3 {
		t.Errorf("AWS holds %d in %+v", quantity, records)
	}
	for _, r := range records {
		if r.ID == id && (r.Repeats != 2 || r.Conflicts != 2) {
			t.Errorf("record %+v, want 2 repeats and 2 conflicts", r)
		}
	}
}

// Deduplication ends at the border of a Region.
func TestAnotherRegionBillsTwice(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	record := usage(a, w.clock.Now(), 5)
	w.status(t, record)
	w.connect("eu-west-1")
	w.status(t, record)
	if quantity, _ := w.held(t); quantity != 10 {
		t.Errorf("AWS holds %d, want 10", quantity)
	}
}

// AWS takes ten calls in a second from an account in a Region.
func TestMeteringRate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	w.clock.Advance(2 * time.Hour)
	hour := w.clock.Now().Truncate(time.Hour)
	for range 10 {
		w.status(t, usage(a, hour, 5))
	}
	_, err := w.meter(t, usage(a, hour.Add(-time.Hour/2), 6))
	wantCode(t, err, "ThrottlingException")
	if quantity, _ := w.held(t); quantity != 5 {
		t.Errorf("AWS holds %d, of a throttled call too", quantity)
	}
	w.clock.Advance(100 * time.Millisecond)
	w.status(t, usage(a, hour, 5))
	_, err = w.meter(t, usage(a, hour, 5))
	wantCode(t, err, "ThrottlingException")
	w.connect("eu-west-1")
	w.status(t, usage(a, hour, 5))
	w.connect("us-east-1")
	w.sim.SetClock(w.clock.Now().Add(-time.Hour))
	for range 10 {
		w.status(t, usage(a, hour.Add(-90*time.Minute), 6))
	}
}

func TestAgeOfUsage(t *testing.T) {
	t.Parallel()
	tests := []struct {
		stamp, now string
		taken      bool
	}{
		{"2026-11-10T13:00:00Z", "2026-11-11T12:59:59Z", true},
		{"2026-11-10T13:00:00Z", "2026-11-11T13:00:00Z", false},
		{"2026-10-31T23:00:00Z", "2026-11-01T05:59:59Z", true},
		{"2026-10-31T23:00:00Z", "2026-11-01T06:00:00Z", false},
		{"2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", false},
		{"2026-11-01T00:00:00Z", "2026-11-01T23:00:00Z", true},
		{"2026-11-10T14:00:00Z", "2026-11-10T13:00:00Z", false},
	}
	for _, tt := range tests {
		t.Run(tt.stamp+" at "+tt.now, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, func(c *awssim.Config) { c.Now = newClock("2026-10-01T00:00:00Z").Now })
			a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", TermMonths: 12})
			w.sim.SetClock(newClock(tt.now).Now())
			_, err := w.meter(t, usage(a, newClock(tt.stamp).Now(), 1))
			if tt.taken {
				if err != nil {
					t.Error(err)
				}
				return
			}
			wantCode(t, err, "TimestampOutOfBoundsException")
		})
	}
}

// One wrong record refuses all of its batch.
func TestWholeBatchRefusals(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, code string
		spoil      func(*types.UsageRecord)
		product    string
	}{
		{"too old", "TimestampOutOfBoundsException", func(r *types.UsageRecord) { r.Timestamp = aws.Time(r.Timestamp.Add(-48 * time.Hour)) }, ""},
		{"unknown dimension", "InvalidUsageDimensionException", func(r *types.UsageRecord) { r.Dimension = aws.String("Starter_Over") }, ""},
		{"unknown licence", "InvalidLicenseException", func(r *types.UsageRecord) {
			r.LicenseArn = aws.String("arn:aws:license-manager:us-east-1:294406891311:license:l-0")
		}, ""},
		{"licence of another", "InvalidLicenseException", func(r *types.UsageRecord) { r.CustomerAWSAccountId = aws.String("999999999999") }, ""},
		{"before the start", "InvalidLicenseException", func(r *types.UsageRecord) { r.Timestamp = aws.Time(r.Timestamp.Truncate(time.Hour)) }, ""},
		{"malformed licence", "ValidationException", func(r *types.UsageRecord) { r.LicenseArn = aws.String("l-0123") }, ""},
		{"negative quantity", "ValidationException", func(r *types.UsageRecord) { r.Quantity = aws.Int32(-1) }, ""},
		{"licence and product code", "InvalidProductCodeException", func(*types.UsageRecord) {}, productCode},
		{"another product", "InvalidProductCodeException", func(*types.UsageRecord) {}, "other"},
		{"identifier of old listings", "InvalidCustomerIdentifierException", func(r *types.UsageRecord) {
			r.CustomerAWSAccountId, r.CustomerIdentifier = nil, aws.String("X01")
		}, ""},
		{"allocations that do not add up", "InvalidUsageAllocationsException", func(r *types.UsageRecord) {
			r.UsageAllocations = []types.UsageAllocation{{AllocatedUsageQuantity: aws.Int32(1)}}
		}, ""},
		{"tag outside the alphabet", "InvalidTagException", func(r *types.UsageRecord) {
			r.UsageAllocations = []types.UsageAllocation{{AllocatedUsageQuantity: r.Quantity, Tags: []types.Tag{{Key: aws.String("é"), Value: aws.String("x")}}}}
		}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
			good, bad := usage(a, w.clock.Now(), 7), usage(a, w.clock.Now(), 8)
			tt.spoil(&bad)
			in := &marketplacemetering.BatchMeterUsageInput{UsageRecords: []types.UsageRecord{good, bad}}
			if tt.product != "" {
				in.ProductCode = aws.String(tt.product)
			}
			_, err := w.metering.BatchMeterUsage(t.Context(), in)
			wantCode(t, err, tt.code)
			if quantity, _ := w.held(t); quantity != 0 {
				t.Errorf("AWS holds %d of a refused batch", quantity)
			}
		})
	}
}

func TestBatchSize(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var records []types.UsageRecord
	for i := range 26 {
		a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
		records = append(records, usage(a, w.clock.Now(), int32(i)))
	}
	_, err := w.meter(t, records...)
	wantCode(t, err, "ValidationException")
	out, err := w.meter(t, records[:25]...)
	if err != nil || len(out.Results) != 25 {
		t.Errorf("25 records: %+v, %v", out, err)
	}
}

func TestLifeOfALicence(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	pending := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter", Pending: true})
	early := usage(pending, w.clock.Now(), 1)
	if got, _ := w.status(t, early); got != types.UsageRecordResultStatusCustomerNotSubscribed {
		t.Errorf("before the start: %s", got)
	}
	w.clock.Advance(10 * time.Minute)
	if _, err := w.sim.Activate(t.Context(), pending.ID); err != nil {
		t.Fatal(err)
	}
	if got, _ := w.status(t, early); got != types.UsageRecordResultStatusSuccess {
		t.Errorf("the same record after the start: %s", got)
	}
	w.clock.Advance(3 * time.Hour)
	last := usage(pending, w.clock.Now().Truncate(time.Hour), 2)
	if _, err := w.sim.Cancel(t.Context(), pending.ID); err != nil {
		t.Fatal(err)
	}
	w.clock.Advance(59 * time.Minute)
	if got, _ := w.status(t, last); got != types.UsageRecordResultStatusSuccess {
		t.Errorf("within an hour of the end: %s", got)
	}
	w.clock.Advance(time.Minute)
	late := usage(pending, last.Timestamp.Add(-time.Hour), 3)
	if got, _ := w.status(t, late); got != types.UsageRecordResultStatusCustomerNotSubscribed {
		t.Errorf("an hour after the end: %s", got)
	}
}

func TestLegacyMetering(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *awssim.Config) { c.Legacy = true })
	a := w.subscribe(t, awssim.SubscribeRequest{Plan: "starter"})
	out, err := w.metering.BatchMeterUsage(t.Context(), &marketplacemetering.BatchMeterUsageInput{
		ProductCode: aws.String(productCode),
		UsageRecords: []types.UsageRecord{
			{CustomerIdentifier: aws.String(a.CustomerIdentifier), Dimension: aws.String("starter_over"), Quantity: aws.Int32(3), Timestamp: aws.Time(w.clock.Now())},
			{CustomerIdentifier: aws.String("nobody"), Dimension: aws.String("starter_over"), Quantity: aws.Int32(3), Timestamp: aws.Time(w.clock.Now())},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%s %s", out.Results[0].Status, out.Results[1].Status); got != "Success CustomerNotSubscribed" {
		t.Errorf("statuses %s", got)
	}
}
