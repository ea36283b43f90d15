package server_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
	"github.com/pas-ta/liveness/commands/commandstest"
)

// withHandles makes the test binary serve with no more file handles than it says, at an address that it prints.
const withHandles = "LIVENESS_TEST_HANDLES"

func TestMain(m *testing.M) {
	if os.Getenv(withHandles) != "" {
		os.Exit(serveWithHandles())
	}
	os.Exit(m.Run())
}

func serveWithHandles() int {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 40, Max: 40})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Fprintln(os.Stdout, listener.Addr())
	limits := server.Limits{ReadHeader: time.Hour, Idle: time.Hour}
	served := server.New(http.NotFoundHandler(), limits, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	served.StrictTransport()
	served.RefuseWith(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = fmt.Fprintf(w, "%q %s is refused", r.Method, r.URL)
	}))
	_ = served.Serve(context.Background(), listener)
	return 1
}

// Callers for whom there is no file handle are refused, not left waiting; the log says so, and once handles are free again callers
// are answered.
func TestCallersAreRefusedWhileNoFileHandleIsLeft(t *testing.T) {
	t.Parallel()
	command, log := exec.CommandContext(t.Context(), os.Args[0]), &commandstest.Lines{}
	command.Env, command.Stderr = append(os.Environ(), withHandles+"=1"), log
	out, err := command.StdoutPipe()
	if err == nil {
		err = command.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		_ = command.Process.Kill()
		_ = command.Wait()
	}()
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err, log)
	}
	address = strings.TrimSpace(address)
	began := time.Now()
	var silent []net.Conn
	for range 60 {
		silent = append(silent, dial(t, address))
	}
	for request, says := range map[string]string{
		"":                                    `"" / is refused`,
		"GET /there HTTP/1.1\r\nHost: x":      `"" / is refused`,
		"GET /v1 HTTP/1.1\r\nHost: x\r\n\r\n": `"GET" /v1 is refused`,
		"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nbeginning": `"POST" / is refused`,
	} {
		var (
			answer *http.Response
			body   []byte
		)
		for began := time.Now(); string(body) != says && time.Since(began) < timeout; { // where it arrives too late it is refused unread
			conn := dial(t, address)
			_, _ = io.WriteString(conn, request)
			if answer, err = http.ReadResponse(bufio.NewReader(conn), nil); err != nil {
				t.Fatal(err)
			}
			if body, err = io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusServiceUnavailable || !answer.Close {
				t.Fatalf("%q is answered %s, %q, %v; want 503", request, answer.Status, body, err)
			}
		}
		if string(body) != says {
			t.Errorf("%q is answered %q, want %q", request, body, says)
		}
		for _, header := range []string{"Retry-After", "Date", "Strict-Transport-Security"} {
			if answer.Header.Get(header) == "" {
				t.Errorf("a refusal lacks %s: %v", header, answer.Header)
			}
		}
	}
	most := 1 + int(time.Since(began)/(10*time.Second))
	if got := log.String(); strings.Count(got, "no file handle is left") == 0 || strings.Count(got, "no file handle is left") > most {
		t.Errorf("the log says %q, want once in ten seconds that no file handle is left", got)
	}
	for _, conn := range silent {
		_ = conn.Close()
	}
	for began := time.Now(); ; {
		status, err := ask(dial(t, address), "")
		if err == nil && status == http.StatusNotFound {
			return
		}
		if time.Since(began) > timeout {
			t.Fatalf("callers are still refused: %d, %v", status, err)
		}
	}
}
