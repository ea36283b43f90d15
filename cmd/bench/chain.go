package main

import (
	"context"
	"fmt"
	"runtime"

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
		native, plain := benchmarkOf(kind, "native"), benchmarkOf(kind, "go")
		t.add(row{Name: kind.Name + ", decode"}, native, "decode-sec/op").against(plain, "in pure Go")
		for _, decoder := range []string{"native", "go"} {
			name := benchmarkOf(kind, decoder)
			bare := t.value(name, "decode-sec/op") + t.value(name, "sample-sec/op") + t.value(name, "models-sec/op")
			t.add(row{Name: fmt.Sprintf("%s, check, %s", kind.Name, decoder), Target: ratioAtMost(1.05)}, name, "check-sec/op").
				againstValue(bare, "decode, sampling and model runs")
		}
	}
	if t.err != nil {
		return nil, t.err
	}
	shapes, err := b.measureShapes(ctx)
	return append(t.rows, shapes...), err
}

// measureShapes is what the processors get done in both orders: workers of one thread each, or one worker of many threads.
func (b *bench) measureShapes(ctx context.Context) ([]row, error) {
	m, err := b.measureGo(ctx, goBenchmarks{
		pkg: "inference", pattern: "^BenchmarkSessionsAndThreads$", time: either(b, "2s", "200ms"), rounds: either(b, 3, 1),
	})
	if err != nil {
		return nil, err
	}
	name := func(workers, threads int) string {
		return fmt.Sprintf("SessionsAndThreads/workers=%d/threads=%d", workers, threads)
	}
	t, cores := tabulate(m), runtime.NumCPU()
	for _, workers := range []int{cores, 2 * cores} {
		t.add(row{Name: fmt.Sprintf("640x480.jpeg, %d workers of 1 thread", workers)}, name(workers, 1), "checks/s").
			against(name(1, cores), fmt.Sprintf("1 worker of %d threads", cores))
	}
	return t.rows, t.err
}

func benchmarkOf(kind phototest.Kind, decoder string) string {
	return fmt.Sprintf("Check/image=%s/decoder=%s", kind.Name, decoder)
}
