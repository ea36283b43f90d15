package main

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// variables are the lines of a block that set what the commands of others read.
func variables(block string) string {
	var set strings.Builder
	for line := range strings.Lines(block) {
		if strings.HasPrefix(line, "export ") {
			set.WriteString(line)
		}
	}
	return set.String()
}

// beside runs a script to its end, while others of the walk go on.
func (w *walk) beside(t *testing.T, script string) {
	t.Helper()
	shell := exec.CommandContext(t.Context(), "bash", "-euc", w.here(script))
	shell.Dir, shell.Env = w.dir, append(os.Environ(), "PATH="+w.dir+":"+os.Getenv("PATH"))
	if said, err := shell.CombinedOutput(); err != nil {
		t.Fatalf("%v:\n%s", err, said)
	}
}

// visitor returns a browser at the service behind the documented port 8080.
func (w *walk) visitor(t *testing.T) visitor {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	at := &runningDev{api: "http://127.0.0.1:" + w.ports["8080"], aws: "http://127.0.0.1:" + w.ports["8081"]}
	return visitor{t: t, dev: at, client: &http.Client{Jar: jar}}
}

// person returns what the account screen says of who is logged in.
func (v visitor) person() string {
	v.t.Helper()
	answer, err := v.client.Get(v.dev.api + "/console/api/account")
	if err != nil {
		v.t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return string(text)
}

// TestRestoreWalk backs a service up and brings it back in an empty directory and an empty database, by the commands of docs/operations.md
// as they stand there: who had an account logs in and reads their own name, and the audit finds nothing.
func TestRestoreWalk(t *testing.T) {
	t.Parallel()
	start := documentBlock(t, emptyMachine)
	before := newWalk(t)
	stop := before.run(t, start)
	eventually(t, "serve", func() error { return before.healthy(t.Context(), "8080") })
	visitor := before.visitor(t)
	visitor.register(erased)
	visitor.post("/console/activate", "/console/activate", "token", visitor.mailed(erased.Email, "Verify"), "password", erasedPassword)
	before.beside(t, variables(start)+documentBlock(t, "**Backing up**"))
	stop()

	after := newWalk(t)
	if err := os.CopyFS(filepath.Join(after.dir, "backup"), os.DirFS(filepath.Join(before.dir, "backup"))); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(after.dir, "backup", "secret"), 0o600); err != nil { // what is copied here is readable by others
		t.Fatal(err)
	}
	stop = after.run(t, variables(start)+documentBlock(t, "**Restoring**")+"liveness serve --addr 127.0.0.1:8080 &\ntouch ./done\n")
	eventually(t, "the restored service", func() error { _, err := os.Stat(filepath.Join(after.dir, "done")); return err })
	returning := after.visitor(t)
	eventually(t, "serve", func() error { return ready(returning.dev.api, http.StatusOK) })
	returning.post("/console/dashboard", "/console/login", "email", erased.Email, "password", erasedPassword)
	if text := returning.person(); !strings.Contains(text, erased.FirstName) {
		t.Errorf("who logs in again is %s", text)
	}
	stop()
}
