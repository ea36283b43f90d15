package awssim_test

import (
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering"
	"github.com/aws/aws-sdk-go-v2/service/marketplacemetering/types"

	"github.com/pas-ta/liveness/adapters/awssim"
)

// Full batches over HTTP into a state directory: a simulated month of 200 licences is 5,760 of them.
func BenchmarkBatchMeterUsage(b *testing.B) {
	clock := newClock("2026-01-01T00:00:00Z")
	cfg := testConfig()
	cfg.Dir, cfg.Now = b.TempDir(), clock.Now
	w := startWorld(b, cfg, clock)
	licenses := make([]awssim.Agreement, 25)
	for i := range licenses {
		var err error
		if licenses[i], err = w.sim.Subscribe(b.Context(), awssim.SubscribeRequest{Plan: "starter"}); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		clock.Advance(time.Hour)
		records := make([]types.UsageRecord, len(licenses))
		for i, a := range licenses {
			records[i] = usage(a, clock.Now(), 1)
		}
		if _, err := w.metering.BatchMeterUsage(b.Context(), &marketplacemetering.BatchMeterUsageInput{UsageRecords: records}); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(25*b.N)/b.Elapsed().Seconds(), "records/s")
}
