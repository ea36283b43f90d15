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
	"time"
)

// server is what answers checks: `liveness dev`, which is API, billing, event store node on disk, Postgres and the workers in one
// process, or `liveness serve` alone.
type server struct {
	*program
	addr string
	node string // address of the event store node
	key  string // of the demo customer, "" until the server has answered
	data string
}

// buildServer compiles the product once for a run.
func (b *bench) buildServer(ctx context.Context) (binary string, err error) {
	binary = filepath.Join(b.dir, "liveness")
	_, err = output(exec.CommandContext(ctx, "go", "build", "-o", binary, module+"cmd/liveness"))
	return binary, err
}

// startServer starts the product on a data directory; awaitAnswer tells when it serves.
func startServer(ctx context.Context, binary, data string, flags ...string) (*server, error) {
	var addrs [3]string
	for i := range addrs {
		var err error
		if addrs[i], err = freeAddress(ctx); err != nil {
			return nil, err
		}
	}
	flags = append([]string{"dev", "--addr", addrs[0], "--aws-addr", addrs[1], "--node-addr", addrs[2], "--data", data}, flags...)
	dev, err := startProgram(ctx, data+".log", nil, binary, flags...)
	if err != nil {
		return nil, err
	}
	return &server{program: dev, addr: addrs[0], node: addrs[2], data: data}, nil
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

// memory returns what the server and the processes in which it judges hold now and held at most, in MB: of what several
// hold together, each its share now, and all of it at most. Postgres, whose shared buffers are what they are set to, is not in it.
func (s *server) memory() (now, peak float64, err error) {
	processes, err := family(s.process.Process.Pid)
	if err != nil {
		return 0, 0, err
	}
	for _, process := range processes {
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
