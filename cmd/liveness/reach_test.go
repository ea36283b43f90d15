package main

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/http/server"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

// blackHole returns an address whose connections are neither taken nor refused, as behind a firewall that says nothing.
func blackHole(t *testing.T) string {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(socket, 0); err != nil {
		t.Fatal(err)
	}
	bound, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	at, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		t.Fatalf("bound to %T", bound)
	}
	address := (&net.TCPAddr{IP: at.Addr[:], Port: at.Port}).String()
	for range 8 { // nobody accepts: what waits to be accepted fills up
		waiting, err := net.DialTimeout("tcp", address, 100*time.Millisecond)
		if err != nil {
			break
		}
		t.Cleanup(func() { _ = waiting.Close() })
	}
	return address
}

func secretIn(t *testing.T) (file string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(file, []byte("0123456789abcdefghijklmnopqrstuvw"), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// program returns a process of this program that ends with the test.
func program(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.CommandContext(t.Context(), os.Args[0], args...)
	command.Env = append(os.Environ(), asLiveness+"=1")
	return command
}

// Who starts a node hears of everything that does not answer while it is still waited for, each by its option.
func TestWhatDoesNotAnswerIsNamed(t *testing.T) {
	t.Parallel()
	for role, more := range map[string][]string{
		"serve": {"--addr=127.0.0.1:0"}, "work": {"--public-url=http://127.0.0.1:1", "--mail-from=no-reply@example.com"},
	} {
		t.Run(role, func(t *testing.T) {
			t.Parallel()
			command := program(t, append([]string{
				role, "--eventstore=esdb://" + blackHole(t) + "?tls=false", "--postgres=postgres://liveness:hunter2@" + blackHole(t) + "/liveness?sslmode=disable",
				"--aws-endpoint=http://" + blackHole(t), "--product-code=code", "--secret-file=" + secretIn(t),
			}, more...)...)
			said, err := command.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			if err := command.Start(); err != nil {
				t.Fatal(err)
			}
			unnamed := map[string]bool{"--eventstore": true, "--postgres": true, "--aws-endpoint": true}
			for lines := bufio.NewScanner(said); len(unnamed) > 0; {
				if !lines.Scan() || strings.HasPrefix(lines.Text(), "liveness: ") {
					t.Errorf("it has ended and not named %v; last it said %q", unnamed, lines.Text())
					break
				}
				if strings.Contains(lines.Text(), "hunter2") {
					t.Errorf("the password is shown: %s", lines.Text())
				}
				for option := range unnamed {
					if strings.Contains(lines.Text(), "option="+option+" ") || strings.HasSuffix(lines.Text(), "option="+option) {
						delete(unnamed, option)
					}
				}
			}
			t.Logf("all were named after %v", time.Since(begun))
			_ = command.Process.Kill()
			_ = command.Wait() // killed
		})
	}
}

// What is wrong with the event store and with Postgres is said at once, and what is wrong for good does not wait for what hangs.
func TestAllThatCannotBeUsedIsNamed(t *testing.T) {
	t.Parallel()
	secure := "esdb://" + nodetest.Start(t, node.Config{}).Addr() // speaks no TLS
	for database, want := range map[string]string{"127.0.0.1:1": "Postgres at 127.0.0.1:1", blackHole(t): "does not answer"} {
		status, _, errOut := runLine("serve", "--addr=127.0.0.1:0", "--eventstore="+secure, "--postgres=postgres://liveness:hunter2@"+database+"/liveness?sslmode=disable",
			"--aws-endpoint=http://127.0.0.1:1", "--product-code=code", "--secret-file="+secretIn(t))
		if status != exitFailure || !strings.Contains(errOut, "--eventstore: ") || !strings.Contains(errOut, "tls=false") ||
			!strings.Contains(errOut, "--postgres: ") || !strings.Contains(errOut, want) || strings.Contains(errOut, "hunter2") {
			t.Errorf("%d, %s", status, errOut)
		}
	}
}

// serving returns a process of serve that is ready.
func serving(t *testing.T, more ...string) (command *exec.Cmd, api string) {
	t.Helper()
	addr := awaittest.FreeAddress(t)
	command = program(t, append([]string{
		"serve", "--addr=" + addr, "--eventstore=" + nodetest.Start(t, node.Config{}).ConnectionString(), "--postgres=" + pgtest.Database(t),
		"--aws-endpoint=http://127.0.0.1:1", "--product-code=code", "--secret-file=" + secretIn(t), "--workers=1",
	}, more...)...)
	command.Stderr = t.Output()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill() })
	eventually(t, "serve is ready", func() error { return ready("http://"+addr, http.StatusOK) })
	return command, "http://" + addr
}

var errOtherAnswer = errors.New("another answer")

// ready returns nil when a server answers to whether it is ready with a status.
func ready(api string, want int) error {
	answer, err := http.Get(api + "/v1/ready")
	if err != nil {
		return err
	}
	_ = answer.Body.Close()
	if answer.StatusCode != want {
		return errOtherAnswer
	}
	return nil
}

// A process that is told to stop, by SIGTERM or by SIGHUP, goes on answering and says that it is not ready; a SIGTERM behind that ends
// it at once.
func TestSignals(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]syscall.Signal{"SIGTERM": syscall.SIGTERM, "SIGHUP": syscall.SIGHUP} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if signal.Ignored(first) { // under nohup, for the program as well
				t.Skipf("%s is ignored here", name)
			}
			command, api := serving(t, "--drain=1m")
			if err := command.Process.Signal(first); err != nil {
				t.Fatal(err)
			}
			eventually(t, "it says that it is not ready", func() error { return ready(api, http.StatusServiceUnavailable) })
			if err := command.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			_ = command.Wait()
			if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
				t.Errorf("a second signal: %v", command.ProcessState)
			}
		})
		t.Run(name+" alone", func(t *testing.T) {
			t.Parallel()
			if signal.Ignored(first) {
				t.Skipf("%s is ignored here", name)
			}
			command, _ := serving(t, "--drain=0s")
			if err := command.Process.Signal(first); err != nil {
				t.Fatal(err)
			}
			if err := command.Wait(); err != nil {
				t.Errorf("it ended with %v", err)
			}
		})
	}
}

// asSignalled makes the test binary ask itself to stop, and once more as soon as it knows.
const asSignalled = "LIVENESS_TEST_AS_SIGNALLED_PROGRAM"

// runSignalled does that. It returns only where the second signal did nothing.
func runSignalled() int {
	ctx, stop := untilSignalled()
	defer stop()
	for range 2 {
		if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
			return exitUsage
		}
		<-ctx.Done()
	}
	time.Sleep(time.Second) //nolint:forbidigo // the signal ends it before
	return exitFailure
}

// Whoever sees that a program takes its leave and has no patience is not to find the second signal lost in between.
func TestASecondSignalIsNotLost(t *testing.T) {
	t.Parallel()
	for range 20 {
		command := program(t)
		command.Env = append(os.Environ(), asSignalled+"=1")
		_ = command.Run() // it is ended
		if status, ok := command.ProcessState.Sys().(syscall.WaitStatus); !ok || status.Signal() != syscall.SIGTERM {
			t.Fatalf("a second signal: %v", command.ProcessState)
		}
	}
}

// A node of which one task fails takes its leave as one that is told to stop: it says that it is not ready, and answers what is under way.
func TestAFailingTaskDrains(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fails, under, answered := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var draining atomic.Bool
	serving := server.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(under)
		for !server.Draining(r.Context()) {
			pauseFor(r.Context(), time.Millisecond)
		}
		draining.Store(true)
		_, _ = w.Write([]byte("answered"))
	}), server.Limits{}, slog.New(slog.DiscardHandler))
	failed := errors.New("failed")
	ended := make(chan error, 1)
	go func() {
		ended <- runAll(t.Context(), func(ctx context.Context) error { return serving.Serve(ctx, listener) }, func(context.Context) error {
			<-fails
			return failed
		})
	}()
	go func() {
		defer close(answered)
		answer, err := http.Get("http://" + listener.Addr().String())
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Errorf("what was under way: %v, %v", answer, err)
			return
		}
		_ = answer.Body.Close()
	}()
	<-under
	close(fails)
	<-answered
	if err := <-ended; !errors.Is(err, failed) || !draining.Load() {
		t.Errorf("it ended with %v", err)
	}
}
