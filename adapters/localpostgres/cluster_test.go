package localpostgres_test

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/localpostgres"
	"github.com/pas-ta/liveness/adapters/parts"
)

func TestDataOutlivesTheServer(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	first := start(t, dir)
	exec1(t, first, "CREATE TABLE kept (x int); INSERT INTO kept VALUES (1)")

	if address, err := localpostgres.Running(dir, "postgres"); err != nil || address != first.ConnString("postgres") {
		t.Errorf("Running = %q, %v; want %q", address, err, first.ConnString("postgres"))
	}
	_, err := localpostgres.Start(t.Context(), localpostgres.Config{BinDir: binDir(t), Dir: dir})
	if !errors.Is(err, localpostgres.ErrInUse) {
		t.Errorf("a second server on the directory: %v, want ErrInUse", err)
	}
	exec1(t, first, "INSERT INTO kept VALUES (2)") // the attempt did no harm

	stop(t, first)
	if !notRunning(dir) {
		t.Error("the server runs on after Close")
	}
	if n := count(t, start(t, dir)); n != 2 {
		t.Errorf("%d rows after a restart, want 2", n)
	}
}

func TestDatabaseIsCreatedOnce(t *testing.T) {
	t.Parallel()
	c := start(t, copiedDir(t))
	for range 2 {
		if _, err := c.Database(t.Context(), `odd "name"`); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKilledServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := copiedDir(t)
	c := start(t, dir)
	exec1(t, c, "CREATE TABLE kept (x int); INSERT INTO kept VALUES (1)")
	for range 2 {
		killed := serverPID(t, dir)
		if err := syscall.Kill(killed, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		awaittest.Until(t, "another server to answer", func() bool {
			return try(t.Context(), c, "SELECT 1") == nil && serverPID(t, dir) != killed
		})
	}
	if n := count(t, c); n != 1 {
		t.Errorf("%d rows after a crash, want 1", n)
	}
}

// A server that does not come up again is started for as long as it takes, whatever is in its way.
func TestAServerThatRanOnceIsNeverGivenUp(t *testing.T) {
	t.Parallel()
	dir := copiedDir(t)
	warned := &counter{of: "starting it again"}
	c, err := localpostgres.Start(t.Context(), localpostgres.Config{BinDir: binDir(t), Dir: dir, Logger: slog.New(slog.NewTextHandler(warned, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, c)
	exec1(t, c, "CREATE TABLE kept (x int); INSERT INTO kept VALUES (1)")
	away := filepath.Join(t.TempDir(), "global")
	if err := os.Rename(filepath.Join(dir, "global"), away); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(serverPID(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "more starts in a row to fail than a first start is tried", func() bool {
		return warned.count.Load() >= 8 || isDone(c)
	})
	if isDone(c) {
		t.Fatalf("given up after %d starts: %v", warned.count.Load(), c.Err())
	}
	if err := os.Rename(away, filepath.Join(dir, "global")); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the server to answer again", func() bool { return try(t.Context(), c, "SELECT 1") == nil })
	if n := count(t, c); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
}

// counter counts the lines of a log that say something.
type counter struct {
	of    string
	count atomic.Int32
}

// Write implements io.Writer.
func (c *counter) Write(line []byte) (int, error) {
	if strings.Contains(string(line), c.of) {
		c.count.Add(1)
	}
	return len(line), nil
}

func isDone(c *localpostgres.Cluster) bool {
	select {
	case <-c.Done():
		return true
	default:
		return false
	}
}

// What a cleaner takes out of the temporary folder, the socket and copied programs, is put back, and the server is reached again.
func TestACleanedTemporaryFolderIsRestored(t *testing.T) {
	t.Parallel()
	wantRestored(t, start(t, copiedDir(t)))
}

// Whoever makes the cleaned folder first would own the socket and the programs. Nothing is put there until it is gone.
func TestAnothersRuntimeFolderIsNotTaken(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("only root can give a folder away")
	}
	warned := &counter{of: "remove it"}
	c, err := localpostgres.Start(t.Context(), localpostgres.Config{BinDir: binDir(t), Dir: copiedDir(t), Logger: slog.New(slog.NewTextHandler(warned, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer stop(t, c)
	folder := runtimeFolder(t, c)
	awaittest.Until(t, "another to make the folder before it is restored", func() bool {
		return os.RemoveAll(folder) == nil && os.Mkdir(folder, 0o755) == nil
	})
	const other = 54321
	if err := os.Chown(folder, other, other); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the folder to be refused, or taken", func() bool {
		return warned.count.Load() > 0 || try(t.Context(), c, "SELECT 1") == nil
	})
	if n := files(t, folder); n != 1 {
		t.Errorf("%d files are in another's folder", n-1)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the server to answer again", func() bool { return try(t.Context(), c, "SELECT 1") == nil })
}

func runtimeFolder(t *testing.T, c *localpostgres.Cluster) string {
	t.Helper()
	address, err := url.Parse(c.ConnString("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Dir(address.Query().Get("host"))
}

func wantRestored(t *testing.T, c *localpostgres.Cluster) {
	t.Helper()
	exec1(t, c, "CREATE TABLE kept (x int); INSERT INTO kept VALUES (1)")
	folder := runtimeFolder(t, c)
	before := files(t, folder)
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the server to answer again", func() bool { return try(t.Context(), c, "SELECT 1") == nil })
	if n := count(t, c); n != 1 {
		t.Errorf("%d rows, want 1", n)
	}
	if after := files(t, folder); after != before {
		t.Errorf("%d files are there, want %d", after, before)
	}
}

func files(t *testing.T, folder string) (n int) {
	t.Helper()
	if err := filepath.WalkDir(folder, func(string, fs.DirEntry, error) error { n++; return nil }); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestServerEndsWithItsKilledOwner(t *testing.T) {
	t.Parallel()
	dir := copiedDir(t)
	owner := startHelper(t, dir)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the server of the killed process to end", func() bool { return notRunning(dir) })
	exec1(t, start(t, dir), "SELECT 1")
}

func TestDisposableDataGoesWithItsKilledOwner(t *testing.T) {
	t.Parallel()
	dir := copiedDir(t)
	owner := startHelper(t, dir, helperDisposable+"=yes")
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "nothing to be left of it", func() bool {
		left, err := os.ReadDir(filepath.Dir(dir))
		return err == nil && len(left) == 0
	})
}

func TestOrphanedServerIsReplaced(t *testing.T) {
	t.Parallel()
	dir := copiedDir(t)
	owner := startHelper(t, dir)
	orphan := serverPID(t, dir)
	killChildren(t, owner.Process.Pid, orphan)
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = owner.Wait()
	if notRunning(dir) {
		t.Fatal("the server ended with its owner, so this test shows nothing")
	}
	c := start(t, dir)
	exec1(t, c, "SELECT 1")
	if pid := serverPID(t, dir); pid == orphan {
		t.Error("the orphaned server still runs")
	}
}

// killChildren kills the children of a process but one: its watchdog.
func killChildren(t *testing.T, parent, spare int) {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(stats) == 0 {
		t.Skip("SKIP TestOrphanedServerIsReplaced: this system has no /proc to find the watchdog with")
	}
	for _, name := range stats {
		var pid, ppid int
		var comm, state string
		b, _ := os.ReadFile(name)
		if _, err := fmt.Sscan(string(b), &pid, &comm, &state, &ppid); err == nil && ppid == parent && pid != spare {
			if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestStalePIDFileNamesAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := copiedDir(t)
	stale := fmt.Sprintf("%d\n%s\n1\n5432\n/nowhere\n\n0 0\nready\n", os.Getpid(), dir)
	if err := os.WriteFile(filepath.Join(dir, "postmaster.pid"), []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}
	exec1(t, start(t, dir), "SELECT 1")
}

func TestUnusableDataDirectorySaysWhatToDo(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		files map[string]string
		want  string
	}{
		"foreign":       {map[string]string{"thesis.txt": "x"}, "is not a PostgreSQL data directory"},
		"wrong version": {map[string]string{"PG_VERSION": "9.6\n"}, "was made by PostgreSQL \"9.6\""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := dataDir(t)
			if err := os.Mkdir(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			for file, content := range tc.files {
				if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			_, err := localpostgres.Start(t.Context(), localpostgres.Config{BinDir: binDir(t), Dir: dir})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "move") {
				t.Errorf("error %v, want one with %q that says what to do", err, tc.want)
			}
			for file := range tc.files {
				if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
					t.Error("a file of somebody else was touched:", err)
				}
			}
		})
	}
}

// TestStartRunsNothingButTheServer: to ask a program for its version takes as long as many a step of the start.
func TestStartRunsNothingButTheServer(t *testing.T) {
	t.Parallel()
	dir, bin := copiedDir(t), binDir(t)
	if err := start(t, dir).Close(t.Context()); err != nil { // which gives the copy to the user who runs the server
		t.Fatal(err)
	}
	open, err := os.MkdirTemp("", "liveness-localpostgres-test-") // as the user who runs the server may enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(open) })
	if err := os.Chmod(open, 0o755); err != nil {
		t.Fatal(err)
	}
	ran := filepath.Join(open, "ran")
	if err := os.WriteFile(ran, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(ran, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(bin, "..", "share")); err == nil { // all in one folder, perhaps where that user may not look
		if err := os.CopyFS(filepath.Join(open, "native"), os.DirFS(filepath.Dir(bin))); err != nil {
			t.Fatal(err)
		}
		bin = filepath.Join(open, "native", "bin")
	}
	script := fmt.Sprintf("#!/bin/sh\necho \"$1\" >> '%s'\nexec '%s' \"$@\"\n", ran, filepath.Join(bin, "postgres"))
	if err := os.WriteFile(filepath.Join(open, "postgres"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	c, err := localpostgres.Start(t.Context(), localpostgres.Config{BinDir: open, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if programs, err := os.ReadFile(ran); err != nil || string(programs) != "-D\n" {
		t.Errorf("postgres was run with %q, %v; want once, on the data directory", programs, err)
	}
}

func TestDamagedDataDirectory(t *testing.T) {
	t.Parallel()
	dir := copiedDir(t)
	if err := os.Truncate(filepath.Join(dir, "global", "pg_control"), 10); err != nil {
		t.Fatal(err)
	}
	_, err := localpostgres.Start(t.Context(), localpostgres.Config{BinDir: binDir(t), Dir: dir})
	if err == nil || !strings.Contains(err.Error(), "pg_control") || !strings.Contains(err.Error(), "restore a copy") {
		t.Errorf("error %v, want one that names the damage and says what to do", err)
	}
}

func TestInterruptedCreationIsBegunAgain(t *testing.T) {
	t.Parallel()
	dir := dataDir(t)
	if err := os.MkdirAll(filepath.Join(dir+".new", "base"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir+".new", "PG_VERSION"), []byte("15\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	exec1(t, start(t, dir), "SELECT 1")
}

func TestProgramsThatTheAccountCannotReach(t *testing.T) {
	t.Parallel()
	cache := parts.New(parts.Options{Progress: os.Stderr, PackagesOnly: true})
	bin, err := cache.Postgres(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	private := filepath.Join(t.TempDir(), "private")
	if err := os.Mkdir(private, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(private, "pg"), os.DirFS(filepath.Dir(bin))); err != nil {
		t.Fatal(err)
	}
	c, err := localpostgres.Start(t.Context(), localpostgres.Config{
		BinDir: filepath.Join(private, "pg", "bin"), Dir: filepath.Join(private, "data"),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stop(t, c) })
	exec1(t, c, "SELECT 1")
	wantRestored(t, c)
}
