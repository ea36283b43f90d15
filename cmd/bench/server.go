package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/procfs"
)

// server is `liveness dev` as a process: API, billing, event store node on disk, Postgres and the workers.
type server struct {
	process *exec.Cmd
	ended   chan error
	addr    string
	node    string // address of the event store node
	key     string // of the demo customer, "" until the server has answered
	data    string
	log     *os.File
}

// buildServer compiles the product once for a run.
func (b *bench) buildServer(ctx context.Context) (binary string, err error) {
	binary = filepath.Join(b.dir, "liveness")
	_, err = output(exec.CommandContext(ctx, "go", "build", "-o", binary, module+"cmd/liveness"))
	return binary, err
}

// startServer starts the product on a data directory; awaitAnswer tells when it serves.
func startServer(ctx context.Context, binary, data string, flags ...string) (*server, error) {
	s := &server{data: data, ended: make(chan error, 1)}
	var addrs [3]string
	for i := range addrs {
		var err error
		if addrs[i], err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	var err error
	if s.log, err = os.Create(data + ".log"); err != nil {
		return nil, err
	}
	s.addr, s.node = addrs[0], addrs[2]
	// It outlives the context: stop ends it as its user would, so that it can put things in order.
	flags = append([]string{"dev", "--addr", addrs[0], "--aws-addr", addrs[1], "--node-addr", addrs[2], "--data", data}, flags...)
	s.process = exec.CommandContext(context.WithoutCancel(ctx), binary, flags...)
	s.process.Stdout, s.process.Stderr = s.log, s.log
	if err := s.process.Start(); err != nil {
		return nil, errors.Join(err, s.log.Close())
	}
	go func() { s.ended <- s.process.Wait() }()
	return s, nil
}

func freeAddress(ctx context.Context) (string, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String(), nil
}

// awaitAnswer sends a check until it is answered with 200.
func (s *server) awaitAnswer(ctx context.Context, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		err := s.readKey()
		if err == nil {
			first := newConnection(s.addr, s.key, body)
			err = errors.Join(first.check(ctx), first.close())
		}
		if err == nil {
			return nil
		}
		select {
		case <-again.C:
		case ended := <-s.ended:
			s.ended <- ended
			return fmt.Errorf("the server has ended: %w\n%s", ended, s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer a check: %w\n%s", err, s.lastWords())
		}
	}
}

// readKey takes the key from where dev writes it down for its user.
func (s *server) readKey() error {
	content, err := os.ReadFile(filepath.Join(s.data, "demo-customer.json"))
	if err != nil {
		return err
	}
	var demo struct {
		Primary string `json:"primaryKey"`
	}
	if err := json.Unmarshal(content, &demo); err != nil {
		return err
	}
	if s.key = demo.Primary; s.key == "" {
		return errors.New("the demo customer has no key yet")
	}
	return nil
}

func (s *server) lastWords() []byte {
	content, _ := os.ReadFile(s.log.Name())
	return content[max(0, len(content)-3000):]
}

// memory returns what the server and the processes in which it judges hold now and held at most, in MB: of what several
// hold together, each its share now, and all of it at most. Postgres, whose shared buffers are what they are set to, is not in it.
func (s *server) memory() (now, peak float64, err error) {
	processes, err := procfs.AllProcs()
	if err != nil {
		return 0, 0, fmt.Errorf("memory can only be read on Linux: %w", err)
	}
	for _, process := range processes {
		stat, err := process.Stat()
		if err != nil || process.PID != s.process.Process.Pid && (stat.PPID != s.process.Process.Pid || stat.Comm != s.comm()) {
			continue // it has ended, or is another's or Postgres
		}
		held, err := process.ProcSMapsRollup()
		if err != nil {
			return 0, 0, err
		}
		status, err := process.NewStatus()
		if err != nil {
			return 0, 0, err
		}
		now += float64(held.Pss) / 1e6
		peak += float64(status.VmHWM) / 1e6
	}
	return now, peak, nil
}

// comm is what the kernel calls the server's processes.
func (s *server) comm() string {
	name := filepath.Base(s.process.Path)
	return name[:min(len(name), 15)]
}

// stop ends the server as Ctrl-C does.
func (s *server) stop() error {
	defer func() { _ = s.log.Close() }()
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	timeout := time.NewTimer(30 * time.Second)
	defer timeout.Stop()
	select {
	case err := <-s.ended:
		if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 130 {
			return nil
		}
		return err
	case <-timeout.C:
		return errors.Join(errors.New("the server did not end within 30 s"), s.process.Process.Kill(), <-s.ended)
	}
}
