package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/phototest"
)

// measureEndToEnd sends photos to a server that bills and syncs everything, with the load generator beside it, and holds
// that against the same chain without HTTP and billing.
func measureEndToEnd(ctx context.Context, b *bench) (rows []row, err error) {
	binary, err := b.buildServer(ctx)
	if err != nil {
		return nil, err
	}
	engine, err := openBare(ctx, parts.New(parts.Options{Progress: b.progress}))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	photos, err := b.makePhotos(ctx)
	if err != nil {
		return nil, err
	}
	s, err := startServer(ctx, binary, filepath.Join(b.dir, "endtoend"))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	first, err := os.ReadFile(photos[0].body)
	if err != nil {
		return nil, err
	}
	if err := s.awaitAnswer(ctx, first); err != nil {
		return nil, err
	}
	for _, p := range photos {
		got, err := b.compare(ctx, s, engine, p)
		if err != nil {
			return rows, err
		}
		rows = append(rows, got.rows(p.kind)...)
	}
	return rows, nil
}

// comparison is one photo's way through the server and through the bare chain.
type comparison struct {
	oneThread, allThreads throughput
	few, many             throughput // over 4 and 16 connections
}

// compare lets them take turns, so that whatever else the machine does falls on all of them alike.
func (b *bench) compare(ctx context.Context, s *server, engine *inference.Engine, p photo) (c comparison, err error) {
	long := either(b, 1500*time.Millisecond, 200*time.Millisecond)
	turns := []struct {
		sum *throughput
		run func() (throughput, error)
	}{
		{&c.oneThread, func() (throughput, error) { return bareChain(ctx, engine, p, 1, long) }},
		{&c.allThreads, func() (throughput, error) { return bareChain(ctx, engine, p, engine.Workers(), long) }},
		{&c.many, func() (throughput, error) { return s.load(ctx, p.body, 16, long, 0) }},
		{&c.few, func() (throughput, error) { return s.load(ctx, p.body, 4, long, 0) }},
	}
	for range either(b, 6, 1) {
		for _, turn := range turns {
			got, err := turn.run()
			if err != nil {
				return c, err
			}
			turn.sum.add(got)
		}
	}
	return c, nil
}

func (c *comparison) rows(kind phototest.Kind) []row {
	least := 0.90
	if kind.Width*kind.Height > 4<<20 {
		least = 0.85
	}
	threads := runtime.NumCPU()
	chain := &reference{c.allThreads.rate(), fmt.Sprintf("the chain on %d threads", threads)}
	rows := []row{
		{Name: kind.Name + ", 16 connections", Measured: c.many.rate(), Unit: "checks/s", Reference: chain, Target: ratioAtLeast(least)},
		{
			Name: kind.Name + ", 16 connections, all cores used", Measured: c.many.rate(), Unit: "checks/s",
			Reference: &reference{float64(threads) * c.oneThread.rate(), fmt.Sprintf("%d × the chain on one thread", threads)}, Target: ratioAtLeast(0.85),
		},
		{Name: kind.Name + ", 16 connections, p99", Measured: c.many.percentile(99), Unit: "ms", Reference: &reference{c.many.percentile(50), "p50"}},
		{Name: kind.Name + ", 4 connections", Measured: c.few.rate(), Unit: "checks/s", Reference: chain},
		{
			Name: kind.Name + ", 4 connections, p99", Measured: c.few.percentile(99), Unit: "ms",
			Reference: &reference{c.few.percentile(50), "p50"}, Target: ratioAtMost(2.5),
		},
	}
	if refused := c.few.refused + c.many.refused; refused > 0 {
		rows = append(rows, row{Name: kind.Name + ", refused", Measured: float64(refused), Unit: "checks"})
	}
	return rows
}
