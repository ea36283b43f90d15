package localpostgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

const (
	// restartDelay is the first pause before a server that died is started again; it doubles with every failure in a row, up to
	// longestRestartDelay.
	restartDelay        = 100 * time.Millisecond
	longestRestartDelay = 5 * time.Second
	// firstFailures is how often in a row the first start is tried while processes of a killed server linger, for about 12 seconds.
	firstFailures = 7
	// runtimeLook is how often it is looked whether the socket and the programs are still there.
	runtimeLook = 2 * time.Second
)

// pauseAfter returns how long to wait after so many failures in a row.
func pauseAfter(failures int) time.Duration {
	return min(restartDelay<<min(failures-1, 10), longestRestartDelay)
}

// settings are the server's. They suit a machine that does other work as well.
func (c *Cluster) settings() []string {
	s := []string{
		"listen_addresses=",
		"unix_socket_directories=" + c.runtime.socketDir(),
		"unix_socket_permissions=0700",
		"port=" + port,
		"max_connections=100",
		"shared_buffers=64MB",
		"max_wal_size=256MB",
		"wal_level=minimal", // nothing replicates from here
		"max_wal_senders=0",
		"max_logical_replication_workers=0",
		"jit=off",
		"timezone=UTC",
		"log_timezone=UTC",
		// Errors reach the caller through the protocol. In the log they would
		// carry statements and values, and so personal data.
		"log_min_messages=log",
		"log_error_verbosity=terse",
		"log_min_error_statement=panic",
		"log_statement=none",
		"log_checkpoints=off",
		"log_line_prefix=",
	}
	if c.cfg.Disposable {
		return append(s, "fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off", "max_wal_size=64MB", "min_wal_size=32MB")
	}
	return append(s, "fsync=on", "synchronous_commit=on", "full_page_writes=on")
}

// supervise keeps a server running until ctx ends: one that ran once is started again for as long as it takes. The outcome of the
// first start goes to first, which must have room for it.
func (c *Cluster) supervise(ctx context.Context, first chan<- error) {
	defer close(c.done)
	reported := false
	report := func(err error) {
		if !reported {
			reported = true
			first <- err
		}
	}
	for failures := 0; ; {
		ready, err := c.serve(ctx, func() { report(nil) })
		if ctx.Err() != nil {
			report(context.Cause(ctx))
			return
		}
		if ready {
			failures = 0
		}
		failures++
		// A server that never came up will not come up by trying again, unless
		// the processes of a killed one just need a moment to notice and go.
		lingering := strings.Contains(c.log.last(), "is still in use")
		if !reported && (!lingering || failures > firstFailures) {
			err = fmt.Errorf("%w; if the data in %s is damaged, restore a copy, or move the directory away to begin an empty one", err, c.cfg.Dir)
			report(err)
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			return
		}
		c.cfg.Logger.Warn("PostgreSQL ended, starting it again", "error", err)
		select {
		case <-ctx.Done():
			report(context.Cause(ctx))
			return
		case <-time.After(pauseAfter(failures)):
		}
	}
}

// serve runs the server once, until it ends by itself or ctx does, which stops
// it. It calls onReady when the server answers, and tells whether it ever did.
func (c *Cluster) serve(ctx context.Context, onReady func()) (ready bool, err error) {
	if err := c.runtime.restore(c.account); err != nil {
		return false, err
	}
	arg, inherit, err := c.account.dataArg(c.cfg.Dir)
	if err != nil {
		return false, err
	}
	defer func() { _ = inherit.Close() }()
	args := []string{"-D", arg}
	for _, s := range c.settings() {
		args = append(args, "-c", s)
	}
	// Not bound to ctx: it would be killed, where it is to be asked to stop.
	cmd := c.account.command(context.WithoutCancel(ctx), inherit, c.runtime.program("postgres"), args...)
	c.log.forget()
	cmd.Stdout, cmd.Stderr = c.log, c.log
	if err := cmd.Start(); err != nil {
		return false, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	c.watchdog.guard(cmd.Process)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()

	ready = c.awaitReady(ctx, cmd.Process.Pid, ended)
	if ready {
		onReady()
	}
	err = c.awaitEnd(ctx, cmd.Process, ended)
	c.watchdog.guard(nil)
	return ready, c.explain(err)
}

// awaitEnd waits until the server has ended. It is ended when ctx is, and when its socket was cleaned away, without which nobody
// reaches it.
func (c *Cluster) awaitEnd(ctx context.Context, server *os.Process, ended <-chan error) error {
	look := time.NewTicker(runtimeLook)
	defer look.Stop()
	for stop := syscall.SIGINT; ; { // "fast": cut connections, write all, end
		select {
		case err := <-ended:
			return err
		case <-look.C:
			if c.runtime.intact() {
				continue
			}
			c.cfg.Logger.Warn("the temporary folder was cleaned; PostgreSQL is started again with what it needs there", "folder", c.runtime.path)
		case <-ctx.Done():
			if c.cfg.Disposable {
				stop = syscall.SIGQUIT // "immediate": just end
			}
		}
		_ = server.Signal(stop)
		return <-ended
	}
}

// awaitReady waits until the server takes connections; false when it or ctx
// ended first. An end that it consumed is put back for the caller.
func (c *Cluster) awaitReady(ctx context.Context, pid int, ended chan error) bool {
	for {
		// The server says so itself in its pid file. Trying to connect instead would fill its log with refusals.
		if p, err := readPIDFile(c.cfg.Dir); err == nil && p.pid == pid && p.ready {
			return true
		}
		select {
		case err := <-ended:
			ended <- err
			return false
		case <-ctx.Done():
			return false
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// explain adds the server's last words to the way it ended.
func (c *Cluster) explain(err error) error {
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay) {
		return fmt.Errorf("wait for PostgreSQL: %w", err)
	}
	said := c.log.last()
	if said == "" {
		said = "without a word"
	}
	if err == nil {
		err = errors.New("it was told to stop by someone else")
	}
	return fmt.Errorf("PostgreSQL ended (%w): %s", err, said)
}
