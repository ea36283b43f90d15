//go:build amd64 || arm64

package isolated

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"

	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// The files of a worker process besides its standard output and error, which are the same.
const (
	requestsFile = 0
	memoryFile   = 3
	answersFile  = 4
)

// Serve is all that a worker process does: it judges images until the program closes the pipe or is gone. It returns the
// exit status. Hook is nil outside of tests.
func Serve(hook Hook) int {
	// A terminal's Ctrl-C and a service manager's stop reach all processes of the program, which lets checks end first.
	signal.Ignore(os.Interrupt, unix.SIGTERM, unix.SIGHUP)
	m, err := mapMemory(memoryFile)
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s is started by the program itself, to judge images: %v\n", Argument, err)
		return 1
	}
	s := &server{memory: m}
	if err := s.run(hook); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// server is what a worker process knows.
type server struct {
	memory *memory
}

func (s *server) run(hook Hook) error {
	for _, fd := range []int{requestsFile, answersFile} {
		if err := unix.SetNonblock(fd, false); err != nil {
			return fmt.Errorf("prepare a pipe: %w", err)
		}
	}
	first, ok, err := s.receive()
	if err != nil || !ok {
		return err
	}
	worker, ready := s.start(first, hook)
	if err := s.answer(first.check, ready); err != nil || worker == nil {
		return err
	}
	go exitWithProgram()
	for {
		request, ok, err := s.receive()
		if err != nil || !ok {
			return err
		}
		caller := &caller{Context: context.Background(), memory: s.memory, check: request.check}
		r, err := worker.Check(caller, s.memory.image()[:request.length], formats[request.format])
		if err := s.answer(request.check, newAnswer(r, err, caller.Err() != nil)); err != nil {
			return err
		}
	}
}

// exitWithProgram ends the process when the program has ended, also while an image holds it.
func exitWithProgram() {
	pipe := []unix.PollFd{{Fd: requestsFile}} // nothing is waited for but the other end's closing, which needs no asking
	for {
		if n, err := unix.Poll(pipe, -1); n > 0 || err != nil && !errors.Is(err, unix.EINTR) {
			os.Exit(0)
		}
	}
}

// start loads everything and gives up all rights. What it returns says whether that went well.
func (s *server) start(first message, hook Hook) (inference.Worker, started) {
	failed := func(err error) (inference.Worker, started) { return nil, started{Failure: err.Error()} }
	var told settings
	if err := json.Unmarshal(s.memory.image()[:first.length], &told); err != nil {
		return failed(fmt.Errorf("read the settings: %w", err))
	}
	decoder := decode.Decoder(decode.NewStdlib(decode.Limits{}))
	ready := started{}
	if told.Libvips != "" {
		native, err := decode.OpenNative(told.Libvips, decode.Limits{})
		switch {
		case err == nil:
			decoder = native
		case told.NeedLibvips:
			return failed(fmt.Errorf("open the libvips decoder: %w", err))
		default:
			ready.WithoutLibvips = err.Error()
		}
	}
	if hook != nil {
		decoder = hook(decoder)
	}
	worker, err := inference.OpenWorker(told.LibraryPath, told.Pack, decoder, told.Threads)
	if err != nil {
		return failed(err)
	}
	// Before the limit stops an allocation the garbage collector works harder.
	debug.SetMemoryLimit(told.Memory * 3 / 4)
	if ready.Sandbox, err = enter(told.Memory); err != nil {
		return failed(err)
	}
	ready.Decoder = worker.Decoder()
	return worker, ready
}

// receive waits for a message; there is none when the program has closed the pipe.
func (s *server) receive() (message, bool, error) {
	var b [messageSize]byte
	n, err := unix.Read(requestsFile, b[:])
	for errors.Is(err, unix.EINTR) {
		n, err = unix.Read(requestsFile, b[:])
	}
	switch {
	case err != nil:
		return message{}, false, fmt.Errorf("wait for an image: %w", err)
	case n == 0:
		return message{}, false, nil
	}
	m := readMessage(b)
	if n != messageSize || int(m.length) > len(s.memory.image()) || int(m.format) >= len(formats) {
		return message{}, false, fmt.Errorf("a message of %d bytes that makes no sense", n)
	}
	return m, true, nil
}

func (s *server) answer(check uint64, v any) error {
	n, err := put(s.memory.all[answerAt:imageAt], v)
	if err != nil {
		return err
	}
	_, err = unix.Write(answersFile, message{check: check, length: uint32(n)}.bytes())
	if errors.Is(err, unix.EPIPE) {
		return nil // the program is gone
	}
	return err
}

// caller is the context of a check in the process: the program says through the memory that the caller has left.
type caller struct {
	context.Context //nolint:containedctx // it is one
	memory          *memory
	check           uint64
}

// Err implements context.Context. Decoding and judging look at it between their steps; nothing waits for Done.
func (c *caller) Err() error {
	if c.memory.left().Load() == c.check {
		return context.Canceled
	}
	return nil
}
