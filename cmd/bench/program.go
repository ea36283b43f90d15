package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// program is a role of the product as a process.
type program struct {
	process *exec.Cmd
	ended   chan error
	log     *os.File
}

// startProgram starts a role; what it says goes to a file. More of its environment may be given.
func startProgram(ctx context.Context, log string, environment []string, binary string, args ...string) (*program, error) {
	p := &program{ended: make(chan error, 1)}
	var err error
	if p.log, err = os.Create(log); err != nil {
		return nil, err
	}
	// It outlives the context: stop ends it as its user would, so that it can put things in order.
	p.process = exec.CommandContext(context.WithoutCancel(ctx), binary, args...)
	p.process.Env = append(os.Environ(), environment...)
	p.process.Stdout, p.process.Stderr = p.log, p.log
	if err := p.process.Start(); err != nil {
		return nil, errors.Join(err, p.log.Close())
	}
	go func() { p.ended <- p.process.Wait() }()
	return p, nil
}

func (p *program) lastWords() []byte {
	content, _ := os.ReadFile(p.log.Name())
	return content[max(0, len(content)-3000):]
}

// stop ends the program as Ctrl-C does.
func (p *program) stop() error {
	defer func() { _ = p.log.Close() }()
	if err := p.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	select {
	case err := <-p.ended:
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 130 {
			return nil
		}
		return err
	case <-timeout.C:
		return errors.Join(errors.New("the program did not end within 30 s"), p.process.Process.Kill(), <-p.ended)
	}
}

// family returns a process and those of the same program that it has started: the processes in which a server judges, the
// sessions of Postgres.
func family(pid int) ([]procfs.Proc, error) {
	all, err := procfs.AllProcs()
	if err != nil {
		return nil, fmt.Errorf("processes can only be looked at on Linux: %w", err)
	}
	parent, err := procfs.NewProc(pid)
	if err != nil {
		return nil, err
	}
	own, err := parent.Stat()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(all, func(p procfs.Proc) bool {
		stat, err := p.Stat()
		return err != nil || p.PID != pid && (stat.PPID != pid || stat.Comm != own.Comm)
	}), nil
}

// processorTime returns how many seconds of a processor a process and its family have used.
func processorTime(pid int) (seconds float64, err error) {
	processes, err := family(pid)
	for _, p := range processes {
		stat, err := p.Stat()
		if err != nil {
			continue // it has ended meanwhile
		}
		seconds += stat.CPUTime()
	}
	return seconds, err
}
