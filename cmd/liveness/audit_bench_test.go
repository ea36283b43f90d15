package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
)

// BenchmarkAuditVerify replays a log of calls from the files of a node. LIVENESS_AUDIT_EVENTS says how many (200,000).
//
//	go test ./cmd/liveness -run ^$ -bench AuditVerify -benchtime 1x
func BenchmarkAuditVerify(b *testing.B) {
	count, err := strconv.Atoi(os.Getenv("LIVENESS_AUDIT_EVENTS"))
	if err != nil {
		count = 200_000
	}
	data := b.TempDir()
	writeCalls(b, filepath.Join(data, "events"), count)
	files, err := openNodeFiles(b.Context(), filepath.Join(data, "events"))
	if err != nil {
		b.Fatal(err)
	}
	defer files.close()
	runtime.GC()
	var most uint64
	begun, before := time.Now(), processorTime(b)
	for b.Loop() {
		report, err := auditing.Verify(b.Context(), auditing.Verification{Log: files, Progress: func(uint64) { most = max(most, liveHeap()) }}, auditing.Scope{})
		if err != nil || report.Events < int64(count) || len(report.Findings) > 0 {
			b.Fatalf("%d events, findings %v, %v", report.Events, report.Findings, err)
		}
	}
	b.ReportMetric(float64(b.N)*float64(count)/time.Since(begun).Seconds(), "events/s")
	b.ReportMetric(float64((processorTime(b)-before).Microseconds())/float64(b.N)/float64(count), "cpu-µs/event")
	b.ReportMetric(float64(most)/(1<<20), "heap-MB")
}

// processorTime returns what the process has used of all processors, which says more than the clock where they are shared.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// liveHeap returns how much of the heap was in use after the last collection.
func liveHeap() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// writeCalls makes the files of a node with calls of a hundred subscriptions, one behind the other.
func writeCalls(tb testing.TB, dir string, count int) {
	tb.Helper()
	s, err := store.Open(tb.Context(), dir, store.Options{})
	if err != nil {
		tb.Fatal(err)
	}
	registry := domain.NewRegistry()
	write := func(stream string, events ...domain.Event) {
		batch := make([]store.NewEvent, len(events))
		for i, event := range events {
			data, version, err := registry.Encode(event)
			if err != nil {
				tb.Fatal(err)
			}
			metadata, err := json.Marshal(domain.Metadata{CorrelationID: uuid.New(), CausationID: uuid.New(), Actor: domain.ActorAPIClient, SchemaVersion: version, OccurredAt: time.Now().UTC()})
			if err != nil {
				tb.Fatal(err)
			}
			id := uuid.New()
			if e, ok := event.(domain.CheckCompleted); ok {
				id = e.CheckID
			}
			batch[i] = store.NewEvent{ID: id, Type: event.EventType(), ContentType: store.ContentTypeJSON, Data: data, Metadata: metadata}
		}
		if _, err := s.Append(tb.Context(), store.Write{Stream: stream, Expected: store.ExpectAny, Events: batch}); err != nil {
			tb.Fatal(err)
		}
	}
	const subscriptions, batch = 100, 250
	states, usage := make([]domain.Subscription, subscriptions), make([]domain.UsageMonth, subscriptions)
	now := time.Now().UTC()
	for i := range states {
		identity := domain.MarketplaceIdentity{LicenseARN: "arn:aws:license-manager::1:license:l-" + strconv.Itoa(i), AWSAccountID: "123456789012", ProductCode: "product"}
		started := states[i].Start(identity, domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000}, now)
		states[i], usage[i] = states[i].Fold(started[0]), domain.UsageMonth{Month: domain.MonthOf(now)}
		write(domain.SubscriptionStream(states[i].ID), started...)
	}
	for written := 0; written < count; written += batch {
		i := written / batch % subscriptions
		var calls []domain.Event
		for range batch {
			likelihood, fake := domain.Verdict(0.0312345678, 0.15)
			call, err := usage[i].Count(states[i], 0, domain.Check{ID: uuid.New(), KeySlot: domain.SlotPrimary, At: now, Judgement: domain.Judgement{
				FakeLikelihood: likelihood, FakeFace: fake, ValidFace: true, Brightness: 123.4, Threshold: 0.15, LatencyMS: 45, ModelPack: "default", ModelPackHash: "d0b1c2", Faces: 1,
				Box: domain.FaceBox{X: 100, Y: 120, Width: 200, Height: 220},
			}})
			if err != nil {
				tb.Fatal(err)
			}
			usage[i] = usage[i].Fold(call)
			calls = append(calls, call)
		}
		write(domain.UsageStream(states[i].ID, usage[i].Month), calls...)
	}
	if err := s.Close(); err != nil {
		tb.Fatal(err)
	}
}
