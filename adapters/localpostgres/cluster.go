// Package localpostgres runs a private PostgreSQL for one machine: a cluster in a data directory, reached over a Unix
// socket only, that lives no longer than the process which started it.
//
// PostgreSQL refuses to run as root. Started by root, the cluster runs as the owner of its data directory, which for a
// new one is the user postgres or nobody; the folders above the data directory need not be open to that user.
package localpostgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/gofrs/flock"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// ErrInUse means that another process has this data directory's cluster.
var ErrInUse = errors.New("the data directory is in use")

const (
	superuser = "liveness" // the database role; anyone who can open the socket has it
	port      = "5432"     // only names the socket file: nothing listens on TCP
)

// Config says what to run and where.
type Config struct {
	// BinDir holds the programs postgres and initdb.
	BinDir string

	// Dir is the data directory. It is created on first use; its parent must be writable.
	Dir string

	// Logger receives the server's own messages. They never hold statements or
	// values, so no personal data either. Nil discards them.
	Logger *slog.Logger

	// Disposable gives up durability for speed, and the data directory is removed when the server ends: for tests.
	Disposable bool
}

// Cluster is a running PostgreSQL. A server that dies is started again; Done tells when that failed.
type Cluster struct {
	cfg      Config
	account  *account // nil unless this process is root
	lock     *flock.Flock
	runtime  *runtimeDir
	watchdog *watchdog
	log      *serverLog

	stop context.CancelFunc // asks the supervisor to end
	done chan struct{}

	mu  sync.Mutex
	err error // why the supervisor ended
}

// Start makes the data directory if it does not exist, starts the server on it and waits until it answers. A server
// that an earlier, killed process left running on the directory is stopped first. When another living process has the
// directory, the error is ErrInUse.
func Start(ctx context.Context, cfg Config) (_ *Cluster, err error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	c := &Cluster{cfg: cfg, log: newServerLog(cfg.Logger), done: make(chan struct{})}
	defer func() {
		if err != nil {
			c.release()
		}
	}()
	if c.lock, err = lockDir(cfg.Dir); err != nil {
		return nil, err
	}
	if c.account, err = accountFor(cfg.Dir); err != nil {
		return nil, err
	}
	if err := c.stopOrphan(ctx); err != nil {
		return nil, err
	}
	if c.runtime, err = newRuntimeDir(ctx, cfg.BinDir, c.account); err != nil {
		return nil, err
	}
	remove := []string{c.runtime.path}
	if cfg.Disposable {
		remove = append(remove, c.files()...)
	}
	if c.watchdog, err = startWatchdog(ctx, cfg.Disposable, remove...); err != nil {
		return nil, err
	}
	if err := c.prepareData(ctx); err != nil {
		return nil, err
	}
	first := make(chan error, 1)
	var background context.Context
	background, c.stop = context.WithCancel(context.WithoutCancel(ctx))
	go c.supervise(background, first)
	select {
	case err = <-first:
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	if err != nil {
		c.stop()
		<-c.done
		if ctx.Err() == nil {
			err = cmp.Or(c.checkVersion(ctx), err)
		}
		return nil, fmt.Errorf("start PostgreSQL on %s: %w", cfg.Dir, err)
	}
	return c, nil
}

// ConnString returns the address of one database of the cluster, as a URL.
func (c *Cluster) ConnString(database string) string {
	return connString(c.runtime.socketDir(), database)
}

func connString(socketDir, database string) string {
	q := url.Values{"host": {socketDir}, "port": {port}, "user": {superuser}, "sslmode": {"disable"}}
	return (&url.URL{Scheme: "postgres", Path: "/" + database, RawQuery: q.Encode()}).String()
}

// Database creates the named database unless it exists, and returns its address.
func (c *Cluster) Database(ctx context.Context, name string) (string, error) {
	conn, err := pgx.Connect(ctx, c.ConnString("postgres"))
	if err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()

	const duplicateDatabase = "42P04"
	_, err = conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()+" TEMPLATE template0")
	if pgErr := (*pgconn.PgError)(nil); errors.As(err, &pgErr) && pgErr.Code == duplicateDatabase {
		err = nil
	}
	if err != nil {
		return "", fmt.Errorf("create database %s: %w", name, err)
	}
	return c.ConnString(name), nil
}

// Done is closed when the server is down for good: after Close, or when it died and could not be started again.
func (c *Cluster) Done() <-chan struct{} { return c.done }

// Err returns why the server is down; nil while it runs and after Close.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Close stops the server: what is committed is on disk, connections are cut. When ctx ends first the server is stopped
// the hard way, which loses nothing either but makes the next start recover from the log. Nothing of it runs after
// Close. It may be called more than once.
func (c *Cluster) Close(ctx context.Context) error {
	c.stop()
	var err error
	select {
	case <-c.done:
	case <-ctx.Done():
		err = fmt.Errorf("stop PostgreSQL: %w", context.Cause(ctx))
		c.watchdog.killServer()
		<-c.done
	}
	c.release()
	return errors.Join(err, c.Err())
}

// release gives back everything but the server, which must be down.
func (c *Cluster) release() {
	c.watchdog.dismiss()
	c.runtime.remove()
	if c.lock != nil && c.cfg.Disposable {
		for _, path := range c.files() {
			_ = os.RemoveAll(path)
		}
	}
	if c.lock != nil {
		_ = c.lock.Unlock()
	}
}

// files are the paths that the cluster occupies.
func (c *Cluster) files() []string {
	return []string{c.cfg.Dir, freshDir(c.cfg.Dir), lockFile(c.cfg.Dir)}
}

func lockFile(dir string) string { return dir + ".lock" }

// lockDir makes this process the only one that may run a server on dir. The
// system drops the lock of a process that dies.
func lockDir(dir string) (*flock.Flock, error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, fmt.Errorf("data directory: %w", err)
	}
	lock := flock.New(lockFile(dir))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock the data directory: %w", err)
	}
	if !ok {
		return nil, fmt.Errorf("%w: another process runs PostgreSQL on %s; stop it, or choose another data directory", ErrInUse, dir)
	}
	return lock, nil
}
