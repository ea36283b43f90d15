package localpostgres_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/parts"
)

// helperDir makes the test binary a process that runs a cluster on the named directory until it is killed.
const (
	helperDir        = "LOCALPOSTGRES_TEST_HELPER_DIR"
	helperDisposable = "LOCALPOSTGRES_TEST_HELPER_DISPOSABLE" // not empty: with a disposable cluster
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(helperDir); dir != "" {
		os.Exit(helper(dir))
	}
	code := m.Run()
	if err := removeOriginal(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func helper(dir string) int {
	ctx := context.Background()
	bin, err := parts.New(parts.Options{}).Postgres(ctx)
	if err == nil {
		_, err = localpostgres.Start(ctx, localpostgres.Config{
			BinDir: bin, Dir: dir, Disposable: os.Getenv(helperDisposable) != "",
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, "ready")
	select {}
}

// startHelper runs a cluster on dir in a process of its own.
func startHelper(t *testing.T, dir string, env ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), os.Args[0])
	cmd.Env = append(append(os.Environ(), helperDir+"="+dir), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		t.Fatalf("helper process: %q, %v", line, err)
	}
	return cmd
}

func binDir(t *testing.T) string {
	t.Helper()
	bin, err := parts.New(parts.Options{Progress: os.Stderr}).Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return bin
}

// dataDir is a data directory below a folder that no other user may enter, as every new folder of root's may be.
func dataDir(t *testing.T) string {
	t.Helper()
	private := filepath.Join(t.TempDir(), "private, it's [mine]")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(private, "postgres")
}

// original is a cluster that was made once and stopped. Most tests begin with a
// copy of it, as somebody does who restores a backup: making one costs a second.
var original struct {
	once sync.Once
	dir  string
	err  error
}

func makeOriginal(ctx context.Context, bin string) {
	parent, err := os.MkdirTemp("", "liveness-localpostgres-test-")
	if err != nil {
		original.err = err
		return
	}
	original.dir = filepath.Join(parent, "data")
	c, err := localpostgres.Start(ctx, localpostgres.Config{BinDir: bin, Dir: original.dir})
	if err == nil {
		err = c.Close(ctx)
	}
	original.err = err
}

func removeOriginal() error {
	if original.dir == "" {
		return nil
	}
	return os.RemoveAll(filepath.Dir(original.dir))
}

// copiedDir is a data directory that is a cluster already.
func copiedDir(t *testing.T) string {
	t.Helper()
	bin := binDir(t)
	original.once.Do(func() { makeOriginal(context.WithoutCancel(t.Context()), bin) })
	if original.err != nil {
		t.Fatal(original.err)
	}
	dir := dataDir(t)
	if err := os.CopyFS(dir, os.DirFS(original.dir)); err != nil {
		t.Fatal(err)
	}
	return dir
}

func start(t *testing.T, dir string) *localpostgres.Cluster {
	t.Helper()
	c, err := localpostgres.Start(t.Context(), localpostgres.Config{
		BinDir: binDir(t),
		Dir:    dir,
		Logger: slog.New(slog.NewTextHandler(testLog{t}, &slog.HandlerOptions{Level: slog.LevelWarn})),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	return c
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func stop(t *testing.T, c *localpostgres.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Error(err)
	}
}

func exec1(t *testing.T, c *localpostgres.Cluster, sql string) {
	t.Helper()
	if err := try(t.Context(), c, sql); err != nil {
		t.Fatal(err)
	}
}

func try(ctx context.Context, c *localpostgres.Cluster, sql string) error {
	conn, err := pgx.Connect(ctx, c.ConnString("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	_, err = conn.Exec(ctx, sql)
	return err
}

func count(t *testing.T, c *localpostgres.Cluster) (rows int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), c.ConnString("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	if err := conn.QueryRow(t.Context(), "SELECT count(*) FROM kept").Scan(&rows); err != nil {
		t.Fatal(err)
	}
	return rows
}

// serverPID reads the running server's process id.
func serverPID(t *testing.T, dir string) (pid int) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Sscan(string(b), &pid); err != nil {
		t.Fatal(err)
	}
	return pid
}

func notRunning(dir string) bool {
	_, err := localpostgres.Running(dir, "postgres")
	return errors.Is(err, fs.ErrNotExist)
}
