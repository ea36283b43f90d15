package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// previousProgram builds the program as it was before its database was last changed. Where the history is not at hand, as in a
// shallow clone, there is none to try.
func previousProgram(t *testing.T) string {
	t.Helper()
	if os.Getenv("LIVENESS_UPGRADE") == "" {
		t.Skip("builds a whole program: LIVENESS_UPGRADE=1 has it run, as `task upgrade` and CI do")
	}
	git := func(args ...string) (string, error) {
		out, err := exec.CommandContext(t.Context(), "git", args...).Output()
		return strings.TrimSpace(string(out)), err
	}
	top, err := git("rev-parse", "--show-toplevel")
	if err != nil {
		t.Skipf("there is no history here: %v", err)
	}
	const migrations = "adapters/postgres/migrations/"
	changes, err := git("-C", top, "log", "--format=%H", "--", migrations)
	if err != nil {
		t.Fatal(err)
	}
	previous := ""
	for change := range strings.FieldsSeq(changes) {
		files, err := git("-C", top, "ls-tree", "--name-only", change+"^", migrations)
		if err == nil && migratable(files) {
			previous = change + "^"
			break
		}
	}
	if previous == "" {
		t.Skip("the history does not reach back to before the last migration")
	}
	dir := t.TempDir()
	sources, err := exec.CommandContext(t.Context(), "git", "-C", top, "archive", "--format=tar", previous).Output()
	if err != nil {
		t.Fatal(err)
	}
	unpack := exec.CommandContext(t.Context(), "tar", "-x", "-C", dir)
	unpack.Stdin = bytes.NewReader(sources)
	if out, err := unpack.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	program := filepath.Join(dir, "previous")
	build := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-o", program, "./cmd/liveness")
	build.Dir = dir
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build %s: %v: %s", previous, err, out)
	}
	t.Logf("the previous program is that of %s", previous)
	return program
}

// migratable returns whether migrations are numbered one after the other. Of two that were made at the same time, for a few commits
// both had one number; such a program starts nowhere.
func migratable(files string) bool {
	count := 0
	for file := range strings.FieldsSeq(files) {
		count++
		if !strings.HasPrefix(filepath.Base(file), fmt.Sprintf("%04d_", count)) {
			return false
		}
	}
	return count > 0
}

// replace ends a process as an operator does, and has it run as another program from then on.
func (p *process) replace(t *testing.T, program string) {
	t.Helper()
	p.mu.Lock()
	p.program = program
	p.mu.Unlock()
	before := p.awaitPID(t)
	if err := syscall.Kill(before, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	eventually(t, p.name+" to run another program", func() error {
		if now := p.pid(); now == 0 || now == before {
			return errNotYet
		}
		return nil
	})
}

// An installation is upgraded process by process while checks go on, and back: the program from before the last migration and this
// one work side by side on one database and one log, and every acknowledged check is counted once.
func TestThePreviousProgramRunsBesideThisOne(t *testing.T) {
	t.Parallel()
	previous := previousProgram(t)
	c := clusterPlan{apis: 2, workers: 2, program: previous}.start(t)
	subscription, firstMonth := c.subscription(t), domain.MonthOf(time.Now())
	ctx, stopLoad := context.WithCancel(t.Context())
	defer stopLoad()
	load := c.repeatChecks(ctx, t, subscription)
	for _, step := range []struct {
		process *process
		program string
	}{
		{c.workers[0], os.Args[0]}, {c.apis[0], os.Args[0]}, {c.workers[1], os.Args[0]}, {c.apis[1], os.Args[0]}, // and back, in part
		{c.workers[0], previous}, {c.apis[0], previous},
	} {
		step.process.replace(t, step.program)
		for _, api := range c.apis {
			c.awaitServing(t, api)
		}
		before := load.served()
		eventually(t, "checks beside "+step.process.name, func() error {
			if load.served() < before+20 {
				return errNotYet
			}
			return nil
		})
	}
	stopLoad()
	load.clients.Wait()
	counted := c.countedChecks(t, subscription, monthsFrom(firstMonth)...)
	differences := load.differences(counted)
	if modelled := c.modelledCalls(t, subscription, counted); modelled != int64(len(counted)) {
		t.Errorf("the read model counts %d calls, the log %d", modelled, len(counted))
	}
	for _, difference := range append(differences, c.audited(t)...) {
		t.Error(difference)
	}
	t.Logf("acknowledged %d, counted %d, %d differences", load.served(), len(counted), len(differences))
}
