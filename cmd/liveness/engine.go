package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/isolated"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/tuning"
)

// check refuses values that would otherwise be taken for "not given", or with which nothing would ever be a fake.
func (f EngineFlags) check() error {
	var errs []error
	if !(f.Threshold >= 0 && f.Threshold < 1) { // NaN is neither
		errs = append(errs, fmt.Errorf("--threshold %v is not a likelihood: give one above 0 and below 1", f.Threshold))
	}
	if f.Workers < 0 {
		errs = append(errs, fmt.Errorf("--workers %d: give a number of workers, or 0 for one per processor", f.Workers))
	}
	if f.Queue < 0 {
		errs = append(errs, fmt.Errorf("--queue %d: give a number of checks, or 0 for %d per worker", f.Queue, inference.QueuePerWorker))
	}
	if f.QueueWait < 0 {
		errs = append(errs, fmt.Errorf("--queue-wait %v is in the past: give a time above 0", f.QueueWait))
	}
	if f.JudgeTimeout < 0 {
		errs = append(errs, fmt.Errorf("--judge-timeout %v is in the past: give a time above 0", f.JudgeTimeout))
	}
	if f.JudgeMemory < 0 {
		errs = append(errs, fmt.Errorf("--judge-memory %d: give a number of MB", f.JudgeMemory))
	}
	return errors.Join(errs...)
}

// openedEngine is an engine with what is known of the processes in which it judges.
type openedEngine struct {
	*inference.Engine
	processes *isolated.Workers // nil when it judges in this process
}

// open supplies the native parts and opens an engine, which the caller closes.
func (f EngineFlags) open(ctx context.Context, app *App, cache *parts.Cache) (*openedEngine, error) {
	if err := f.check(); err != nil {
		return nil, &ExitError{Code: exitUsage, Err: err}
	}
	wanted := []parts.Part{parts.ONNXRuntime}
	if f.Pack == "" {
		wanted = append(wanted, parts.ModelPack)
	}
	// Asked for together, so that one message names all that is missing.
	if err := cache.Ensure(ctx, wanted...); err != nil {
		return nil, err
	}
	library, err := cache.ONNXRuntime(ctx)
	if err != nil {
		return nil, err
	}
	dir := f.Pack
	if dir == "" {
		if dir, err = cache.ModelPack(ctx); err != nil {
			return nil, err
		}
	}
	models, err := pack.Open(dir)
	if err != nil {
		return nil, err
	}
	opened := &openedEngine{}
	cfg := inference.Config{
		LibraryPath: library, Pack: models, Threshold: f.Threshold, Workers: f.Workers, Queue: f.Queue, Deadline: f.QueueWait,
	}
	if opened.processes, err = f.processes(ctx, app, cache, cfg); err != nil {
		return nil, err
	}
	if opened.processes != nil {
		cfg.Start = opened.processes.Start
	} else if cfg.Decoder, err = f.decoder(ctx, app, cache); err != nil {
		return nil, err
	}
	if err := tuning.QueueBehindWorkers(); err != nil {
		app.Log.Debug("threads are scheduled as usual", "error", err) // a container may forbid it; checks only get slower
	}
	if opened.Engine, err = inference.Open(ctx, cfg); err != nil {
		return nil, fmt.Errorf("open the inference engine: %w", err)
	}
	app.Log.Debug("inference engine is ready",
		slog.String("pack", models.ID), slog.String("pack_hash", opened.PackHash()),
		slog.String("decoder", opened.Decoder()), slog.Int("workers", opened.Workers()), slog.String("judging", opened.judging()))
	return opened, nil
}

// processes prepares the processes that judge; there are none where this process is to judge itself.
func (f EngineFlags) processes(ctx context.Context, app *App, cache *parts.Cache, cfg inference.Config) (*isolated.Workers, error) {
	if f.Judge == "in-process" {
		return nil, nil //nolint:nilnil // none is an answer
	}
	process := isolated.Config{
		LibraryPath: cfg.LibraryPath, Pack: cfg.Pack, NeedLibvips: f.Decoder == "libvips",
		CheckTimeout: f.JudgeTimeout, Memory: int64(f.JudgeMemory) << 20, Log: app.Log,
	}
	if f.Decoder != "go" {
		var err error
		if process.Libvips, err = cache.Libvips(ctx); err != nil {
			if err := f.withoutLibvips(ctx, app, err); err != nil {
				return nil, err
			}
		}
	}
	workers, err := isolated.New(process)
	if errors.Is(err, isolated.ErrUnsupported) && f.Judge != "isolated" {
		app.Log.Info("images are judged in this process", "reason", err)
		return nil, nil //nolint:nilnil // none is an answer
	}
	return workers, err
}

// judging says where images are judged, and what keeps them from everything else there.
func (e *openedEngine) judging() string {
	if e.processes == nil {
		return "in-process"
	}
	return "isolated: " + e.processes.Sandbox().String()
}

// tellPack says which pack judges, and what the better one would give to whoever runs the default.
func tellPack(app *App, engine *openedEngine) {
	if engine.Pack().ID != pack.DefaultID {
		app.Log.Info("model pack", "pack", engine.Pack().ID, "hash", engine.PackHash())
		return
	}
	app.Log.Info("model pack: the default; the one that `liveness pack build` makes erred half as often in an independent evaluation (docs/models.md)",
		"pack", engine.Pack().ID, "hash", engine.PackHash())
}

// decoder opens the chosen decoder. libvips only makes decoding faster, so that without it the product works on.
func (f EngineFlags) decoder(ctx context.Context, app *App, cache *parts.Cache) (decode.Decoder, error) {
	if f.Decoder == "go" {
		return decode.NewStdlib(decode.Limits{}), nil
	}
	path, err := cache.Libvips(ctx)
	if err == nil {
		var native decode.Decoder
		if native, err = decode.OpenNative(path, decode.Limits{}); err == nil {
			return native, nil
		}
	}
	if err := f.withoutLibvips(ctx, app, err); err != nil {
		return nil, err
	}
	return decode.NewStdlib(decode.Limits{}), nil
}

// withoutLibvips returns why nothing can be decoded without libvips, nil when Go's decoder will do.
func (f EngineFlags) withoutLibvips(ctx context.Context, app *App, reason error) error {
	if f.Decoder == "libvips" || ctx.Err() != nil {
		return fmt.Errorf("open the libvips decoder: %w", reason)
	}
	app.Log.Info("images are decoded without libvips, which is slower", slog.Any("reason", reason))
	return nil
}
