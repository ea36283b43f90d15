package localpostgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// pidFile is what a running server writes into its data directory.
type pidFile struct {
	pid       int
	socketDir string
	ready     bool
}

func readPIDFile(dir string) (pidFile, error) {
	b, err := os.ReadFile(filepath.Join(dir, "postmaster.pid"))
	if err != nil {
		return pidFile{}, err
	}
	lines := strings.Split(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil {
		return pidFile{}, fmt.Errorf("postmaster.pid: %w", err)
	}
	p := pidFile{pid: pid}
	const socketLine, statusLine = 4, 7
	if len(lines) > socketLine {
		p.socketDir = strings.TrimSpace(lines[socketLine])
	}
	if len(lines) > statusLine {
		p.ready = strings.TrimSpace(lines[statusLine]) == "ready"
	}
	return p, nil
}

// Running returns the address of a database in the cluster that another process
// runs on dir. The error is fs.ErrNotExist when none runs.
func Running(dir, database string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	p, err := readPIDFile(dir)
	if err != nil {
		return "", fmt.Errorf("find the PostgreSQL that runs on %s: %w", dir, err)
	}
	if p.socketDir == "" || !serves(p.pid, dir) {
		return "", fmt.Errorf("find the PostgreSQL that runs on %s: %w", dir, fs.ErrNotExist)
	}
	return connString(p.socketDir, database), nil
}

// stopOrphan stops a server that a killed process left on the data directory, and removes what it left behind. This
// process holds the directory's lock, so the server cannot be in use by another one.
func (c *Cluster) stopOrphan(ctx context.Context) error {
	dir := c.cfg.Dir
	p, err := readPIDFile(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("data directory: %w", err)
	}
	if err == nil && serves(p.pid, dir) {
		c.cfg.Logger.Warn("stopping a PostgreSQL that an earlier process left running", "pid", p.pid)
		if err := stopProcess(ctx, p.pid, dir); err != nil {
			return err
		}
	}
	// The file of a server that is no more. PostgreSQL itself would refuse to
	// start when the id in it has come to belong to some other process.
	if err := os.Remove(filepath.Join(dir, "postmaster.pid")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove a stale postmaster.pid: %w", err)
	}
	if runtime := filepath.Dir(p.socketDir); strings.HasPrefix(filepath.Base(runtime), runtimePrefix) {
		_ = os.RemoveAll(runtime)
	}
	return nil
}

// stopProcess asks a server to stop, and after a while does so the hard way.
func stopProcess(ctx context.Context, pid int, dir string) error {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if err := syscall.Kill(pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop the PostgreSQL with process id %d: %w", pid, err)
		}
		deadline := time.Now().Add(20 * time.Second)
		for serves(pid, dir) && time.Now().Before(deadline) {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case <-time.After(20 * time.Millisecond):
			}
		}
		if !serves(pid, dir) {
			return nil
		}
	}
	return fmt.Errorf("the PostgreSQL with process id %d on %s does not stop", pid, dir)
}
