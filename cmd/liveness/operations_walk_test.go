package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/awaittest"
)

// documentBlock returns the first block of commands of docs/operations.md behind a text.
func documentBlock(t *testing.T, behind string) string {
	t.Helper()
	return documentBlockIn(t, "sh", behind)
}

func documentBlockIn(t *testing.T, language, behind string) string {
	t.Helper()
	document, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(document), behind)
	_, rest, fenced := strings.Cut(rest, "```"+language+"\n")
	block, _, ends := strings.Cut(rest, "```\n")
	if !found || !fenced || !ends {
		t.Fatalf("docs/operations.md has no commands behind %q", behind)
	}
	return block
}

// emptyMachine is the section that leads to a service in parts.
const emptyMachine = "## From an empty machine to a service in parts"

// walk runs commands of the document in a directory, with free ports in the place of the documented ones.
type walk struct {
	dir      string
	database string
	ports    map[string]string
}

func newWalk(t *testing.T) *walk {
	t.Helper()
	server := administeredPostgres(t)
	server.run(t, documentBlockIn(t, "sql", emptyMachine))
	return newWalkOn(t, server.address("liveness", "liveness"))
}

// newWalkOn prepares a walk with a database that is there.
func newWalkOn(t *testing.T, database string) *walk {
	t.Helper()
	takeProduct(t)
	w := &walk{dir: programDir(t), database: database, ports: map[string]string{}}
	for _, port := range []string{"2113", "8080", "8081", "8082"} {
		_, w.ports[port], _ = net.SplitHostPort(awaittest.FreeAddress(t))
	}
	return w
}

// here puts the walk's own ports and database in the place of the documented ones.
func (w *walk) here(script string) string {
	own := []string{"postgres://liveness:change-me@127.0.0.1:5432/liveness?sslmode=disable", w.database}
	for documented, free := range w.ports {
		own = append(own, "127.0.0.1:"+documented, "127.0.0.1:"+free)
	}
	return strings.NewReplacer(own...).Replace(script) // in one pass: a free port may begin like a documented one
}

// run runs a script as a person's shell does. What it leaves running ends when stop is called.
func (w *walk) run(t *testing.T, script string) (stop func()) {
	t.Helper()
	script = w.here(script)
	output, err := os.Create(filepath.Join(w.dir, "output"))
	if err != nil {
		t.Fatal(err)
	}
	shell := exec.Command("bash", "-euc", script+"\nwait")
	shell.Dir, shell.Stdout, shell.Stderr = w.dir, output, output
	shell.Env = append(os.Environ(), "PATH="+w.dir+":"+os.Getenv("PATH"))
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that all that it starts ends with it
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGTERM)
		ended := time.AfterFunc(30*time.Second, func() { _ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL) })
		_ = shell.Wait()
		ended.Stop()
		_ = output.Close()
		if content, err := os.ReadFile(output.Name()); err == nil && t.Failed() {
			t.Logf("the parts said:\n%s", content)
		}
	}
	t.Cleanup(stop)
	return stop
}

var errUnhealthy = errors.New("the service is not healthy yet")

// healthy returns nil once the service behind a documented port says that it, and every part of it that work reports, is well.
func (w *walk) healthy(ctx context.Context, port string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://127.0.0.1:"+w.ports[port]+"/v1/health", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	var health struct {
		Status string `json:"status"`
	}
	if err := json.NewDecoder(response.Body).Decode(&health); err != nil {
		return err
	}
	if health.Status != "ok" {
		return fmt.Errorf("%w: %s", errUnhealthy, health.Status)
	}
	return nil
}

// TestOperationsWalk runs the commands with which docs/operations.md leads from an empty machine to two serve, two work, a node and the
// simulator, as they stand there.
func TestOperationsWalk(t *testing.T) {
	t.Parallel()
	w := newWalk(t)
	stop := w.run(t, documentBlock(t, emptyMachine))
	for _, port := range []string{"8080", "8082"} {
		eventually(t, "serve at "+port, func() error { return w.healthy(t.Context(), port) })
	}
	stop()
}
