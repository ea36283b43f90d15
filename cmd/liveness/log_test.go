package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// notJSON returns the first line that is not a JSON object of the log; "" when there is none.
func notJSON(said []byte) string {
	for line := range bytes.Lines(said) {
		var record struct {
			Time       time.Time
			Level, Msg string
		}
		if err := json.Unmarshal(line, &record); err != nil || record.Time.IsZero() || record.Level == "" || record.Msg == "" {
			return string(line)
		}
	}
	return ""
}

// Whatever happens, the log is one JSON object a line: traces that cannot be sent, callers who speak no HTTP, all that is said at the
// start and the end, on both outputs.
func TestTheLogIsOneJSONObjectALine(t *testing.T) {
	t.Parallel()
	c := startWatched(t, "LIVENESS_LOG_FORMAT=json", "LIVENESS_LOG_LEVEL=debug", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_BSP_SCHEDULE_DELAY=50")
	if _, _, err := postCheck(t.Context(), http.DefaultClient, c.apis[0].addr, c.demo.Primary, "", smallFace(t)); err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", c.apis[0].addr)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprint(conn, "no HTTP\r\n\r\n")
	_ = conn.Close()
	for _, p := range []*process{c.apis[0], c.workers[0]} {
		eventually(t, "what "+p.name+" says of traces", func() error {
			said, err := os.ReadFile(p.log)
			if err == nil && !bytes.Contains(said, []byte("traces cannot be sent")) {
				err = errNotYet
			}
			return err
		})
	}
	for _, p := range c.processes() {
		said, err := os.ReadFile(p.log)
		if err != nil || len(said) == 0 {
			t.Errorf("%s says nothing: %v", p.name, err)
		}
		if line := notJSON(said[:bytes.LastIndexByte(said, '\n')+1]); line != "" {
			t.Errorf("%s says %q", p.name, line)
		}
		if p.name == "serve" && !bytes.Contains(said, []byte(`"duration_ms":`)) {
			t.Error("a request does not say how long it took, in milliseconds")
		}
	}
}

// A program that refuses to start says why as JSON too.
func TestMistakesAreJSON(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"serve", "--nonsense", "--log-format", "json"}, {"--log-format=json", "nonsense"}, {"--log-format=json", "serve"},
		{"--log-format=json", "node", "--addr", "nowhere", "--data", t.TempDir()}, {"--log-format=json", "work", "--mail-from", "x"},
	} {
		var out, errOut bytes.Buffer
		if code := run(args, &out, &errOut); code == 0 || errOut.Len() == 0 {
			t.Errorf("%v: exit status %d, %q", args, code, &errOut)
		}
		if line := notJSON(errOut.Bytes()); line != "" {
			t.Errorf("%v says %q", args, line)
		}
	}
}

// asNoisy makes the test binary write to standard error past every logger, as libraries do.
const asNoisy = "LIVENESS_TEST_AS_NOISY_PROGRAM"

// runNoisy does that.
func runNoisy() int {
	stderr, restore, err := takeStderr()
	if err != nil {
		return exitFailure
	}
	defer restore()
	_, _ = syscall.Write(2, []byte("a library in C\nwrites two lines\n"))
	log.Print("the standard library's logger")
	newLogger(stderr, formatJSON, "info").Info("the log itself", "took", 1500*time.Microsecond, "every", time.Hour)
	_, _ = syscall.Write(2, []byte("no line feed at the end"))
	return 0
}

// What libraries write to standard error is a record of the log, to the last line.
func TestLibrariesSpeakJSON(t *testing.T) {
	t.Parallel()
	command := exec.CommandContext(t.Context(), os.Args[0])
	command.Env = append(os.Environ(), asNoisy+"=1")
	var said bytes.Buffer
	command.Stderr = &said
	if err := command.Run(); err != nil {
		t.Fatal(errors.Join(err, errors.New(said.String())))
	}
	if line := notJSON(said.Bytes()); line != "" {
		t.Errorf("there is %q", line)
	}
	for _, want := range []string{"a library in C", "writes two lines", "the standard library's logger", `"took_ms":1.5,"every_ms":3600000}`, "no line feed at the end"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("there is no %q in\n%s", want, &said)
		}
	}
}
