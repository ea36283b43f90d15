package proofs_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/commands/proofs"
	"github.com/pas-ta/liveness/domain/proof"
	"github.com/pas-ta/liveness/domain/proof/prooftest"
)

// A month of 10,000 calls, every other leaf of whose time is another customer's: the file is to be made in 2 s and checked in 1 s.
func BenchmarkMonth(b *testing.B) {
	const calls = 10_000
	l := prooftest.New(b, 1)
	ada, eve := prooftest.NewCustomer(l, "l-ada", prooftest.Day), prooftest.NewCustomer(l, "l-eve", prooftest.Day)
	for i := range calls {
		at := prooftest.Day.Add(time.Duration(i) * time.Millisecond)
		ada.Call(at)
		eve.Call(at)
	}
	l.Sign(prooftest.Day.Add(time.Hour))
	var made proofs.Proof
	b.Run("export", func(b *testing.B) {
		for b.Loop() {
			var err error
			if made, err = exporter(l).Export(b.Context(), month(ada)); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(made.Content)), "bytes")
	})
	b.Run("check", func(b *testing.B) {
		for b.Loop() {
			if report, err := proof.Check(made.Content, proof.Options{}); err != nil || len(report.Findings) > 0 {
				b.Fatal(err, report.Findings)
			}
		}
	})
}
