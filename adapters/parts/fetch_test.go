package parts

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestFetchOnceAndKeep(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	first := s.mustFetch("")
	if want := "fetching the first part: npm package test-first@1.0.0"; !strings.Contains(first.progress, want) {
		t.Errorf("progress %q lacks %q", first.progress, want)
	}
	second := s.mustFetch("")
	if second.progress != "" {
		t.Errorf("a part from the cache says %q", second.progress)
	}
	if calls := s.npmCalls(); len(calls) != 1 || !strings.Contains(calls[0], "--ignore-scripts") {
		t.Errorf("npm calls %q, want one that runs no scripts", calls)
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestWrongContentIsNotKept(t *testing.T) {
	t.Parallel()
	for mode, want := range map[string]string{
		"corrupt":   "SHA-256",
		"truncated": "unpack test-first@1.0.0",
		"not found": "no such package",
	} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			o := s.run(mode, "first")
			if o.err == nil || !strings.Contains(o.out, want) {
				t.Errorf("%v, %q; want an error with %q", o.err, o.out, want)
			}
			if found := append(s.complete(), s.leftovers()...); len(found) > 0 {
				t.Errorf("the cache holds %v", found)
			}
			s.mustFetch("") // and the next attempt is not hindered
		})
	}
}

func TestDamagedCacheRepairsItself(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	file := s.mustFetch("").out
	for _, damage := range []string{goodContent + "x", "", strings.ToUpper(goodContent)} {
		if err := os.WriteFile(file, []byte(damage), 0o644); err != nil {
			t.Fatal(err)
		}
		if o := s.mustFetch(""); !strings.Contains(o.progress, "damaged") {
			t.Errorf("progress %q does not tell of the damage", o.progress)
		}
	}
}

// Not every way of copying a cache takes its links along.
func TestLostLinksRepairThemselves(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	link := s.mustFetchPart("", "linked").out
	for name, change := range map[string]func() error{
		"deleted":  func() error { return nil },
		"a file":   func() error { return os.WriteFile(link, []byte(goodContent), 0o644) },
		"a folder": func() error { return os.Mkdir(link, 0o755) },
		"changed":  func() error { return os.Symlink("links.json", link) },
		"absolute": func() error { return os.Symlink(filepath.Join(filepath.Dir(link), "lib", "file.bin"), link) },
	} {
		if err := errors.Join(os.Remove(link), change()); err != nil {
			t.Fatal(err)
		}
		if o := s.mustFetchPart("", "linked"); !strings.Contains(o.progress, "damaged") {
			t.Errorf("%s: progress %q does not tell of the damage", name, o.progress)
		}
		if to, err := os.Readlink(link); err != nil || to != "lib/file.bin" {
			t.Errorf("%s: it leads to %q, %v", name, to, err)
		}
	}
	calls := len(s.npmCalls())
	if s.mustFetchPart("", "linked"); len(s.npmCalls()) != calls {
		t.Error("a whole part was fetched again")
	}
}

func TestKilledDownloadIsBegunAgain(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	cmd := s.process("hang", "first")
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.waitForNPM()
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	killNPM(t, s)
	s.mustFetch("")
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestCancelEndsNPM(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	cmd := s.process("hang", "first")
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s.waitForNPM()
	if err := cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(out.String(), "cancel") && !strings.Contains(out.String(), "interrupt") {
		t.Errorf("%v, %q; want the cancellation", err, out.String())
	}
	if err := syscall.Kill(npmPID(t, s), 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("npm still runs: %v", err)
	}
	if left := s.leftovers(); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func npmPID(t *testing.T, s *sandbox) int {
	t.Helper()
	pid, err := strconv.Atoi(strings.Fields(s.npmCalls()[0])[0])
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

func killNPM(t *testing.T, s *sandbox) {
	t.Helper()
	if err := syscall.Kill(npmPID(t, s), syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		t.Fatal(err)
	}
}

func TestProcessesFetchOnce(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	var mu sync.Mutex
	var wg sync.WaitGroup
	waited := 0
	for range 5 {
		wg.Go(func() {
			o := s.run("slow", "first")
			if o.err != nil {
				t.Errorf("%v: %s", o.err, o.out)
			}
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(o.progress, "waiting for another process") {
				waited++
			}
		})
	}
	wg.Wait()
	if calls := s.npmCalls(); len(calls) != 1 {
		t.Errorf("npm was called %d times, want once", len(calls))
	}
	if waited == 0 {
		t.Error("no process said that it waits")
	}
}

func TestMissingPartsAreNamedTogether(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		path  func(*sandbox) string
		cause string
		calls int
	}{
		"no npm":     {func(s *sandbox) string { return s.path("empty") }, "npm is not installed", 0},
		"no network": {func(s *sandbox) string { return s.path("bin") }, "cannot reach its registry (ENOTFOUND)", 2}, // both at once
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			o := s.run("offline", "first,second", "PATH="+tc.path(s))
			if o.err == nil {
				t.Fatal("no error")
			}
			for _, want := range []string{
				"2 parts are missing", "the first part", "PARTS_TEST_FIRST", "the second part", "PARTS_TEST_SECOND", "test-first@1.0.0",
			} {
				if !strings.Contains(o.out, want) {
					t.Errorf("the message lacks %q:\n%s", want, o.out)
				}
			}
			if n := strings.Count(o.out, tc.cause); n != 1 {
				t.Errorf("the cause %q is said %d times, want once:\n%s", tc.cause, n, o.out)
			}
			if n := len(s.npmCalls()); n != tc.calls {
				t.Errorf("npm was called %d times, want %d", n, tc.calls)
			}
		})
	}
}

// Each package is asked for before another has arrived.
func TestPartsAreFetchedSideBySide(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	if o := s.run("together", "first,second"); o.err != nil {
		t.Errorf("%v: %s", o.err, o.out)
	}
	if left := s.leftovers(); len(left) > 0 || len(s.complete()) != 2 {
		t.Errorf("the cache holds %v and %v", s.complete(), left)
	}
}

func TestWithoutAnOptionalPart(t *testing.T) {
	t.Parallel()
	first, second := Missing{Part: "first", Err: errNoNPM}, Missing{Part: "second", Err: errNoNPM}
	for _, c := range []struct {
		err  error
		want string
	}{
		{nil, ""}, {&MissingError{Parts: []Missing{first}}, ""},
		{&MissingError{Parts: []Missing{first, second}}, "1 part is missing"}, {errUnreachable, errUnreachable.Error()},
	} {
		if err := Without("first", c.err); (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("of %v stays %v, want %q", c.err, err, c.want)
		}
	}
}

func TestWhatIsCachedIsNotMissing(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	s.mustFetch("")
	o := s.run("offline", "first,second")
	if !strings.Contains(o.out, "1 part is missing") || strings.Contains(o.out, "the first part") {
		t.Errorf("message %q, want the second part alone", o.out)
	}
}

func TestPathFromTheEnvironmentComesFirst(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	own := s.path("own.bin")
	if err := os.WriteFile(own, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if o := s.run("offline", "first", "PARTS_TEST_FIRST="+own); o.err != nil || o.out != own {
		t.Errorf("%v, %q; want %q", o.err, o.out, own)
	}
	for _, wrong := range []string{s.path("absent"), s.dir} {
		o := s.run("", "first", "PARTS_TEST_FIRST="+wrong)
		if o.err == nil || !strings.Contains(o.out, "PARTS_TEST_FIRST="+wrong) {
			t.Errorf("%v, %q; want an error that names the variable", o.err, o.out)
		}
	}
	if calls := s.npmCalls(); len(calls) > 0 {
		t.Errorf("npm was called: %v", calls)
	}
}

func TestUnwritableCache(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	inTheWay := s.path("file")
	if err := os.WriteFile(inTheWay, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := s.run("", "first", CacheEnv+"="+filepath.Join(inTheWay, "cache"))
	if o.err == nil || !strings.Contains(o.out, "cannot be written") || !strings.Contains(o.out, "set "+CacheEnv) {
		t.Errorf("%v, %q; want an error that says what to set", o.err, o.out)
	}
}

func TestCacheWithoutHome(t *testing.T) {
	t.Parallel()
	// An empty HOME is the same as none to the standard library.
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestPrintCacheDir$", "-test.v")
	cmd.Env = []string{"HOME=", "XDG_CACHE_HOME=", CacheEnv + "="}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "cache directory: /") {
		t.Errorf("%v: %s", err, out)
	}
}

// TestPrintCacheDir reports the directory that this process's environment leads
// to; TestCacheWithoutHome runs it in another one.
func TestPrintCacheDir(t *testing.T) {
	t.Parallel()
	dir, err := cacheDir("")
	if err != nil {
		t.Fatal(err)
	}
	if !filepath.IsAbs(dir) || !strings.Contains(filepath.Base(dir), "liveness") && os.Getenv(CacheEnv) == "" {
		t.Errorf("%q is not an absolute path of our own", dir)
	}
	t.Log("cache directory:", dir)
}

func TestWaiterHonoursItsContext(t *testing.T) {
	t.Parallel()
	s := newSandbox(t)
	busy := s.process("hang", "first")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = busy.Process.Signal(syscall.SIGINT); _ = busy.Wait() })
	s.waitForNPM()

	waiter := s.process("", "first")
	progress, err := waiter.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := waiter.Start(); err != nil {
		t.Fatal(err)
	}
	line := make([]byte, 512)
	n, _ := progress.Read(line)
	if !strings.Contains(string(line[:n]), "waiting") {
		t.Fatalf("progress %q, want that it waits", line[:n])
	}
	_ = waiter.Process.Signal(syscall.SIGINT)
	ended := make(chan error, 1)
	go func() { ended <- waiter.Wait() }()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it got the part, yet nobody fetched it")
		}
	case <-time.After(time.Minute):
		_ = waiter.Process.Kill()
		t.Error("it still waits after it was told to stop")
	}
}
