package main

import (
	"context"
	"fmt"
	"time"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
)

// openBare opens the engine that the server has, in this process.
func openBare(ctx context.Context, cache *parts.Cache) (*inference.Engine, error) {
	if err := cache.Ensure(ctx, parts.ONNXRuntime, parts.ModelPack, parts.Libvips); err != nil {
		return nil, err
	}
	library, err := cache.ONNXRuntime(ctx)
	if err != nil {
		return nil, err
	}
	dir, err := cache.ModelPack(ctx)
	if err != nil {
		return nil, err
	}
	models, err := pack.Open(dir)
	if err != nil {
		return nil, err
	}
	decoder, err := openDecoder(ctx, cache)
	if err != nil {
		return nil, err
	}
	return inference.Open(ctx, inference.Config{LibraryPath: library, Pack: models, Decoder: decoder})
}

// openDecoder opens the decoder that the server has, in this process.
func openDecoder(ctx context.Context, cache *parts.Cache) (decode.Decoder, error) {
	libvips, err := cache.Libvips(ctx)
	if err != nil {
		return nil, err
	}
	return decode.OpenNative(libvips, decode.Limits{})
}

// bareChain checks a photo again and again on some threads: the same chain without HTTP and billing.
func bareChain(ctx context.Context, engine *inference.Engine, p photo, threads int, long time.Duration) (throughput, error) {
	latencies := make([][]time.Duration, threads)
	began := time.Now()
	err := atOnce(threads, func(thread int) error {
		for time.Since(began) < long {
			asked := time.Now()
			if _, err := engine.Check(ctx, p.data, p.format); err != nil {
				return fmt.Errorf("check %s: %w", p.kind.Name, err)
			}
			latencies[thread] = append(latencies[thread], time.Since(asked))
		}
		return nil
	})
	all := throughput{seconds: time.Since(began).Seconds()}
	for _, some := range latencies {
		all.latencies = append(all.latencies, some...)
	}
	return all, err
}
