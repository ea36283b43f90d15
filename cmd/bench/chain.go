package main

import (
	"context"
	"fmt"

	"github.com/pas-ta/liveness/inference/phototest"
)

// measureChain is one check on one thread (decode, detect, score, measure) beside the bare sum of decoding, sampling and
// model runs.
func measureChain(ctx context.Context, b *bench) ([]row, error) {
	m, err := b.measureGo(ctx, goBenchmarks{
		pkg: "inference", pattern: "^BenchmarkCheck$", time: either(b, "1s", "100ms"), rounds: either(b, 3, 1),
	})
	if err != nil {
		return nil, err
	}
	t := tabulate(m)
	for _, kind := range phototest.Kinds() {
		native, plain := benchmarkOf(kind, "libvips"), benchmarkOf(kind, "go")
		t.add(row{Name: kind.Name + ", decode"}, native, "decode-sec/op").beside(plain, "in pure Go")
		for _, decoder := range []string{"libvips", "go"} {
			name := benchmarkOf(kind, decoder)
			bare := t.value(name, "decode-sec/op") + t.value(name, "sample-sec/op") + t.value(name, "models-sec/op")
			t.add(row{Name: fmt.Sprintf("%s, check, %s", kind.Name, decoder), Target: ratioAtMost(1.05)}, name, "check-sec/op").
				besideValue(bare, "decode, sampling and model runs")
		}
	}
	return t.rows, t.err
}

func benchmarkOf(kind phototest.Kind, decoder string) string {
	return fmt.Sprintf("Check/image=%s/decoder=%s", kind.Name, decoder)
}
