package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/pas-ta/liveness/inference/phototest"
)

// measureIsolation is what it costs that images are judged in processes of their own: two servers, one of which judges in its
// own process, take turns under the same load.
func measureIsolation(ctx context.Context, b *bench) (rows []row, err error) {
	binary, err := b.buildServer(ctx)
	if err != nil {
		return nil, err
	}
	kinds := phototest.Kinds()
	var photos []photo
	for _, kind := range []phototest.Kind{kinds[0], kinds[1], kinds[len(kinds)-1]} {
		p, err := b.makePhoto(ctx, kind)
		if err != nil {
			return nil, err
		}
		photos = append(photos, p)
	}
	first, err := os.ReadFile(photos[0].body)
	if err != nil {
		return nil, err
	}
	var servers [2]*server
	for i, judge := range []string{"isolated", "in-process"} {
		if servers[i], err = startServer(ctx, binary, filepath.Join(b.dir, judge), "--judge", judge); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, servers[i].stop()) }()
		if err := servers[i].awaitAnswer(ctx, first); err != nil {
			return nil, err
		}
	}
	long := either(b, 2*time.Second, 200*time.Millisecond)
	for _, p := range photos {
		var isolated, inProcess throughput
		for range either(b, 10, 1) {
			for i, sum := range []*throughput{&isolated, &inProcess} {
				got, err := servers[i].load(ctx, p.body, 16, long, 0)
				if err != nil {
					return rows, err
				}
				sum.add(got)
			}
		}
		rows = append(rows,
			row{
				Name: p.kind.Name + ", 16 connections, isolated", Measured: isolated.rate(), Unit: "checks/s",
				Reference: &reference{inProcess.rate(), "judged in the server's process"}, Target: ratioAtLeast(0.97),
			},
			row{
				Name: p.kind.Name + ", 16 connections, isolated, p99", Measured: isolated.percentile(99), Unit: "ms",
				Reference: &reference{inProcess.percentile(99), "judged in the server's process"},
			})
	}
	var held [2]float64
	for i, s := range servers {
		if held[i], _, err = s.memory(); err != nil {
			return rows, err
		}
	}
	return append(rows, row{Name: "resident after it, isolated", Measured: held[0], Unit: "MB", Reference: &reference{held[1], "judged in the server's process"}}), nil
}
