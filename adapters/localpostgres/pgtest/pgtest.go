// Package pgtest gives tests a real PostgreSQL: one disposable cluster for each
// test process, in it a fresh database for each test that asks.
//
// The cluster starts with the first request and ends with the process, even if that is killed. A package that also
// wants it gone before `go test` returns says
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
package pgtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/adapters/postgres"
)

// process is the cluster of this test process. A testing.TB is all that a test
// helper is handed, so there is no other place to keep it.
var process cluster

type cluster struct {
	mu        sync.Mutex
	server    *localpostgres.Cluster
	admin     *pgxpool.Pool // to begin a connection takes the server about as long as to copy a database
	strategy  string        // how to copy one
	err       error
	templates map[string]*template
	databases atomic.Int64
}

type template struct {
	once sync.Once
	name string
	err  error
}

// Main runs the tests of a package and stops its cluster.
func Main(m *testing.M) {
	code := m.Run()
	if err := process.close(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

// Database returns the address of an empty database that belongs to the test and is dropped after it.
func Database(t testing.TB) string {
	t.Helper()
	return process.create(t, "template0")
}

// Durable returns the address of an empty database in a cluster of its own that syncs every commit, as in production:
// for benchmarks. Starting it takes seconds.
func Durable(t testing.TB) string {
	t.Helper()
	ctx, dir := context.WithoutCancel(t.Context()), newDir(os.TempDir())
	server, err := open(ctx, dir, false)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		if err := errors.Join(server.Close(ctx), os.RemoveAll(dir)); err != nil {
			t.Errorf("pgtest: %v", err)
		}
	})
	address, err := server.Database(ctx, "durable")
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	return address
}

// Clone returns the address of a database that belongs to the test and starts as what prepare made of an empty one.
// Prepare runs once in a test process for each key, however many tests ask; it must close its connections.
func Clone(t testing.TB, key string, prepare func(ctx context.Context, connString string) error) string {
	t.Helper()
	server := process.start(t)
	process.mu.Lock()
	tmpl, ok := process.templates[key]
	if !ok {
		tmpl = &template{name: fmt.Sprintf("template_%d", len(process.templates)+1)}
		process.templates[key] = tmpl
	}
	process.mu.Unlock()

	tmpl.once.Do(func() {
		// Not the test's context: the template outlives the test.
		ctx := context.WithoutCancel(t.Context())
		var address string
		if address, tmpl.err = server.Database(ctx, tmpl.name); tmpl.err == nil {
			tmpl.err = prepare(ctx, address)
		}
	})
	if tmpl.err != nil {
		t.Fatalf("pgtest: prepare %s: %v", key, tmpl.err)
	}
	return process.create(t, tmpl.name)
}

// Migrated returns the address of a database of the test's own with the tables of today, and nothing in them.
func Migrated(t testing.TB) string {
	t.Helper()
	return Clone(t, "migrated", func(ctx context.Context, address string) error {
		pool, err := postgres.Connect(ctx, address)
		if err != nil {
			return err
		}
		defer pool.Close()
		return postgres.Migrate(ctx, pool)
	})
}

// Pool returns connections to a database of the test's own with the tables of today, and nothing in them.
func Pool(t testing.TB) *pgxpool.Pool {
	t.Helper()
	return Connect(t, Migrated(t))
}

// Connect returns connections, as the product makes them, that end with the test.
func Connect(t testing.TB, address string) *pgxpool.Pool {
	t.Helper()
	pool, err := postgres.Connect(t.Context(), address)
	if err != nil {
		t.Fatalf("pgtest: %v", err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func (c *cluster) create(t testing.TB, from string) string {
	t.Helper()
	server := c.start(t)
	name := fmt.Sprintf("test_%d", c.databases.Add(1))
	quoted := pgx.Identifier{name}.Sanitize()
	c.exec(t.Context(), t, "CREATE DATABASE "+quoted+" TEMPLATE "+pgx.Identifier{from}.Sanitize()+c.strategy)
	t.Cleanup(func() {
		c.exec(context.WithoutCancel(t.Context()), t, "DROP DATABASE "+quoted+" WITH (FORCE)")
	})
	return server.ConnString(name)
}

func (c *cluster) exec(ctx context.Context, t testing.TB, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if _, err := c.admin.Exec(ctx, sql); err != nil {
		t.Fatalf("pgtest: %s: %v", sql, err)
	}
}

// start returns the cluster, starting it for the first test that asks. A
// cluster that could not be started fails every test alike, at once.
func (c *cluster) start(t testing.TB) *localpostgres.Cluster {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil && c.err == nil {
		c.templates = map[string]*template{}
		c.err = c.open(context.WithoutCancel(t.Context()))
	}
	if c.err != nil {
		t.Fatalf("pgtest: %v", c.err)
	}
	return c.server
}

func (c *cluster) open(ctx context.Context) (err error) {
	if c.server, err = open(ctx, newDir(InMemory()), true); err != nil {
		return err
	}
	if c.admin, err = pgxpool.New(ctx, c.server.ConnString("postgres")); err != nil {
		return err
	}
	// Files are copied in half the time that their pages take to go through the log; before version 15 they always are.
	return c.admin.QueryRow(ctx, "SELECT CASE WHEN current_setting('server_version_num')::int >= 150000 THEN ' STRATEGY FILE_COPY' ELSE '' END").
		Scan(&c.strategy)
}

func newDir(parent string) string {
	return filepath.Join(parent, "liveness-pgtest-"+uuid.NewString())
}

// InMemory returns a folder that is no disk where the machine has one with room, and the usual one elsewhere: a database is three
// hundred files, and to make them on a disk takes about a tenth of the processor time of tests that have one each.
func InMemory() string {
	const memory, enough = "/dev/shm", 4 << 30
	var disk unix.Statfs_t
	if err := unix.Statfs(memory, &disk); err != nil || disk.Bavail*uint64(disk.Bsize) < enough {
		return os.TempDir()
	}
	return memory
}

func open(ctx context.Context, dir string, disposable bool) (*localpostgres.Cluster, error) {
	// Programs may have to be fetched first, and the machine may be busy.
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	bin, err := parts.New(parts.Options{Progress: os.Stderr}).Postgres(ctx)
	if err != nil {
		return nil, err
	}
	return localpostgres.Start(ctx, localpostgres.Config{BinDir: bin, Dir: dir, Disposable: disposable})
}

func (c *cluster) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.server == nil {
		return nil
	}
	if c.admin != nil {
		c.admin.Close()
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return c.server.Close(ctx)
}
