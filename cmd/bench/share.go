package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
)

// measureShare is what a check costs an API node in processor time, whatever else the machine does: that of `liveness serve`
// alone, beside the same chain without HTTP and billing. Event store, Postgres, worker and load generator are processes of
// their own.
func measureShare(ctx context.Context, b *bench) (rows []row, err error) {
	cache := parts.New(parts.Options{Progress: b.progress})
	engine, err := openBare(ctx, cache)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, engine.Close()) }()
	photos, err := b.makePhotos(ctx)
	if err != nil {
		return nil, err
	}
	f := &fleet{dir: filepath.Join(b.dir, "share")}
	defer func() { err = errors.Join(err, f.stop()) }()
	if err := f.start(ctx, b, cache); err != nil {
		return nil, err
	}
	if f.api.key, err = f.api.subscribe(ctx, photos[0].data); err != nil {
		return nil, fmt.Errorf("%w\n%s", err, f.api.lastWords())
	}
	long := either(b, 2*time.Second, 200*time.Millisecond)
	shares := make([]share, len(photos))
	for range either(b, 6, 1) {
		for i, p := range photos {
			if err := shares[i].measure(ctx, f, engine, p, long); err != nil {
				return nil, err
			}
		}
	}
	for i, p := range photos {
		rows = append(rows, shares[i].rows(p.kind.Name)...)
	}
	return rows, nil
}

// fleet is an installation of one API node, whose other parts are not in its process. The event store is in the bench's own,
// which has nothing else to do while checks are sent.
type fleet struct {
	dir      string
	postgres *localpostgres.Cluster
	store    *node.Node
	worker   *program
	api      *server
}

func (f *fleet) start(ctx context.Context, b *bench, cache *parts.Cache) error {
	binary, err := b.buildServer(ctx)
	if err != nil {
		return err
	}
	binaries, err := cache.Postgres(ctx)
	if err != nil {
		return err
	}
	data := filepath.Join(f.dir, "postgres")
	if f.postgres, err = localpostgres.Start(ctx, localpostgres.Config{BinDir: binaries, Dir: data}); err != nil {
		return err
	}
	database, err := f.postgres.Database(ctx, "liveness")
	if err != nil {
		return err
	}
	if f.store, err = node.Start(ctx, node.Config{Addr: "127.0.0.1:0", Dir: filepath.Join(f.dir, "events")}); err != nil {
		return err
	}
	secret := filepath.Join(f.dir, "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("0123456789abcdef", 4)), 0o600); err != nil {
		return err
	}
	addr, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	environment := []string{
		"EVENTSTOREDB_URL=" + f.store.ConnectionString(), "LIVENESS_POSTGRES_URL=" + database, "LIVENESS_SECRET_FILE=" + secret,
		"LIVENESS_PUBLIC_URL=http://" + addr, "LIVENESS_MAIL_FROM=no-reply@example.com", "LIVENESS_AWS_ENDPOINT=http://127.0.0.1:1", // nobody's
		"AWS_ACCESS_KEY_ID=none", "AWS_SECRET_ACCESS_KEY=none",
		"LIVENESS_KEY_RATE=100000", "LIVENESS_KEY_BURST=100000", "LIVENESS_ADDRESS_RATE=100000", "LIVENESS_ADDRESS_BURST=100000",
	}
	if f.worker, err = startProgram(ctx, filepath.Join(f.dir, "work.log"), environment, binary, "work"); err != nil {
		return err
	}
	api, err := startProgram(ctx, filepath.Join(f.dir, "serve.log"), environment, binary,
		"serve", "--addr", addr, "--product-code", "none", "--drain", "0s")
	if err != nil {
		return err
	}
	f.api = &server{program: api, addr: addr, node: f.store.Addr(), data: f.dir}
	return nil
}

func (f *fleet) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var errs []error
	if f.api != nil {
		errs = append(errs, f.api.stop())
	}
	if f.worker != nil {
		errs = append(errs, f.worker.stop())
	}
	if f.store != nil {
		errs = append(errs, f.store.Close())
	}
	if f.postgres != nil {
		errs = append(errs, f.postgres.Close(ctx))
	}
	return errors.Join(errs...)
}

// used returns how many seconds of a processor the API node has used so far, and all the rest together.
func (f *fleet) used() (api, rest float64, err error) {
	file, err := os.ReadFile(filepath.Join(f.dir, "postgres", "postmaster.pid"))
	if err != nil {
		return 0, 0, err
	}
	first, _, _ := strings.Cut(string(file), "\n")
	postgres, err := strconv.Atoi(first)
	if err != nil {
		return 0, 0, fmt.Errorf("read the process id of Postgres: %w", err)
	}
	api, err = processorTime(f.api.process.Process.Pid)
	for _, pid := range []int{os.Getpid(), f.worker.process.Process.Pid, postgres} {
		seconds, failed := processorTime(pid)
		rest, err = rest+seconds, errors.Join(err, failed)
	}
	return api, rest, err
}

// share is what checks of a kind cost.
type share struct {
	checks, alone int
	api, rest     float64 // seconds of a processor for the checks, of the API node and of all other parts
	chain         float64 // and for those without HTTP and billing
}

// measure sends checks for some time, and then lets the chain judge as often as it can for as long.
func (s *share) measure(ctx context.Context, f *fleet, engine *inference.Engine, p photo, long time.Duration) error {
	api, rest, err := f.used()
	if err != nil {
		return err
	}
	sent, err := f.api.load(ctx, p.body, 16, long, 0)
	if err != nil {
		return err
	}
	apiAfter, restAfter, err := f.used()
	if err != nil {
		return err
	}
	// What the generator sends before its clock runs costs as much.
	s.checks += len(sent.latencies) + 16
	s.api += apiAfter - api
	s.rest += restAfter - rest
	before, err := processorTime(os.Getpid())
	if err != nil {
		return err
	}
	alone, err := bareChain(ctx, engine, p, engine.Workers(), long)
	if err != nil {
		return err
	}
	after, err := processorTime(os.Getpid())
	s.alone += len(alone.latencies)
	s.chain += after - before
	return err
}

func (s *share) rows(kind string) []row {
	check := s.api / float64(s.checks)
	return []row{
		{
			Name: kind + ", processor time of serve for a check", Measured: 1000 * check, Unit: "ms",
			Reference: &reference{1000 * s.chain / float64(s.alone), "decode, sampling and models alone"}, Target: ratioAtMost(1.2),
		},
		{Name: kind + ", that is, of one processor", Measured: 1 / check, Unit: "checks/s"},
		{Name: kind + ", and a million checks", Measured: 1e6 * check / 3600, Unit: "processor hours"},
		{Name: kind + ", event store, Postgres and worker for a check", Measured: 1000 * s.rest / float64(s.checks), Unit: "ms"},
	}
}
