package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/pas-ta/liveness/inference/phototest"
)

// measureMemory is the server's start and its memory: idle, over many checks, and with the largest photos that it accepts.
func measureMemory(ctx context.Context, b *bench) (rows []row, err error) {
	binary, err := b.buildServer(ctx)
	if err != nil {
		return nil, err
	}
	small, err := b.makePhoto(ctx, phototest.Kinds()[0])
	if err != nil {
		return nil, err
	}
	large, err := b.makePhoto(ctx, phototest.Largest())
	if err != nil {
		return nil, err
	}
	body, err := os.ReadFile(small.body)
	if err != nil {
		return nil, err
	}
	data := filepath.Join(b.dir, "memory")
	start := func() (*server, float64, error) {
		began := time.Now()
		s, err := startServer(ctx, binary, data)
		if err != nil {
			return nil, 0, err
		}
		if err := s.awaitAnswer(ctx, body); err != nil {
			return nil, 0, errors.Join(err, s.stop())
		}
		return s, time.Since(began).Seconds(), nil
	}
	// The first start makes database and customer; it is the later ones that are warm.
	s, cold, err := start()
	if err != nil {
		return nil, err
	}
	var warm []float64
	for range either(b, 10, 2) {
		if err := s.stop(); err != nil {
			return nil, err
		}
		var took float64
		if s, took, err = start(); err != nil {
			return nil, err
		}
		warm = append(warm, took)
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	slices.Sort(warm)
	rows = append(rows, row{
		Name: fmt.Sprintf("warm start to the first 200, median of %d", len(warm)), Measured: warm[len(warm)/2], Unit: "s",
		Reference: &reference{cold, "the first start on empty data"}, Target: atMost(0.5),
	})

	idle, _, err := s.memory()
	if err != nil {
		return rows, err
	}
	rows = append(rows, row{Name: "idle", Measured: idle, Unit: "MB", Target: atMost(250)})
	grown, err := b.measureGrowth(ctx, s, small)
	if err != nil {
		return rows, err
	}
	rows = append(rows, grown)
	loaded, err := s.load(ctx, large.body, 16, 0, either(b, 48, 1))
	if err != nil {
		return rows, err
	}
	_, peak, err := s.memory()
	if err != nil {
		return rows, err
	}
	name := fmt.Sprintf("peak, 16 × 24 megapixels of %.1f MB at once", float64(len(large.data))/1e6)
	return append(rows,
		row{Name: name, Measured: peak, Unit: "MB", Target: atMost(1200)},
		row{Name: "24 megapixels, 16 connections", Measured: loaded.rate(), Unit: "checks/s"},
		row{Name: "24 megapixels, 16 connections, refused", Measured: float64(loaded.refused), Unit: "checks"},
	), nil
}

// warmUp is after how many checks the node and the server remember as much of the latest as they ever do.
const warmUp = 5000

// measureGrowth holds the memory after many checks against that after those that fill what is remembered.
func (b *bench) measureGrowth(ctx context.Context, s *server, p photo) (row, error) {
	first, more := either(b, warmUp, 50), b.Growth
	if more == 0 {
		more = either(b, 5000, 150)
	}
	var held [2]float64
	for i, some := range []int{first, more} {
		if _, err := s.load(ctx, p.body, 16, 0, some); err != nil {
			return row{}, err
		}
		var err error
		if held[i], _, err = s.memory(); err != nil {
			return row{}, err
		}
	}
	return row{
		Name: fmt.Sprintf("after %d checks more", more), Measured: held[1], Unit: "MB",
		Reference: &reference{held[0], fmt.Sprintf("after the first %d", first)}, Target: ratioAtMost(1.1),
	}, nil
}
