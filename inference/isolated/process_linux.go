//go:build amd64 || arm64

package isolated

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// process is a worker process as the program sees it. It judges one image at a time.
type process struct {
	command  *exec.Cmd
	memory   *memory
	requests *os.File
	answers  *os.File
	said     *said
	ended    chan struct{} // closed when the process has ended
	checks   uint64
	started
}

// Why a process ended.
type cause string

const (
	crashed cause = "crashed" // by itself, or the kernel ended it
	hung    cause = "hung"    // it was ended because it took too long
	garbled cause = "garbled" // it was ended because it answered what no worker does
)

// endedError says that a process has ended, or has to.
type endedError struct {
	cause cause
	err   error
}

func (e *endedError) Error() string {
	return fmt.Sprintf("the judging process has %s: %v", e.cause, e.err)
}
func (e *endedError) Unwrap() error { return e.err }

// startProcess starts a process and waits until it is ready for the first image.
func startProcess(ctx context.Context, cfg Config) (_ *process, err error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find the program itself: %w", err)
	}
	m, memoryFile, err := newMemory()
	if err != nil {
		return nil, err
	}
	p := &process{memory: m, said: &said{}, ended: make(chan struct{})}
	theirRequests, ours, err := os.Pipe()
	if err != nil {
		m.unmap()
		return nil, errors.Join(fmt.Errorf("make a pipe: %w", err), memoryFile.Close())
	}
	answers, theirAnswers, err := os.Pipe()
	if err != nil {
		m.unmap()
		return nil, errors.Join(fmt.Errorf("make a pipe: %w", err), memoryFile.Close(), theirRequests.Close(), ours.Close())
	}
	p.requests, p.answers = ours, answers
	// It ends with its pipe, not with the context of whoever needed it first.
	p.command = exec.CommandContext(context.WithoutCancel(ctx), program, Argument)
	p.command.Env = environment()
	p.command.Dir = "/"
	p.command.Stdin, p.command.Stdout, p.command.Stderr = theirRequests, p.said, p.said
	p.command.ExtraFiles = []*os.File{memoryFile, theirAnswers}
	p.command.WaitDelay = time.Second
	// What the program itself was started with, by a service manager or a shell, would otherwise pass on.
	_ = unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) // Linux before 5.11 lacks it
	err = p.command.Start()
	err = errors.Join(err, theirRequests.Close(), theirAnswers.Close(), memoryFile.Close())
	if p.command.Process == nil {
		close(p.ended)
		p.close()
		return nil, fmt.Errorf("start a judging process: %w", err)
	}
	go func() {
		_ = p.command.Wait() // ProcessState says how it ended
		close(p.ended)
	}()
	if err == nil {
		err = p.greet(ctx, cfg)
	}
	if err != nil {
		p.kill()
		return nil, fmt.Errorf("start a judging process: %w", err)
	}
	return p, nil
}

// environment is what of the program's own environment a process needs: where libraries are looked for. Secrets may stand in
// all the rest.
func environment() []string {
	environment := []string{"GOMAXPROCS=1"} // and one more for its worker, see tuning.ReserveProcessors
	if path, given := os.LookupEnv("LD_LIBRARY_PATH"); given {
		environment = append(environment, "LD_LIBRARY_PATH="+path)
	}
	return environment
}

// greet tells the process what to load and waits until it has.
func (p *process) greet(ctx context.Context, cfg Config) error {
	n, err := put(p.memory.image(), settings{
		LibraryPath: cfg.LibraryPath, Pack: cfg.Pack, Threads: cfg.Threads,
		Libvips: cfg.Libvips, NeedLibvips: cfg.NeedLibvips, Memory: cfg.Memory,
	})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = p.command.Process.Kill() })
	defer stop()
	text, err := p.ask(message{length: uint32(n)}, startTimeout)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err != nil {
		return err
	}
	p.memory.forget(n)
	if err := json.Unmarshal(text, &p.started); err != nil {
		return fmt.Errorf("read what it says: %w", err)
	}
	if p.Failure != "" {
		return errors.New(p.Failure)
	}
	return nil
}

// ask sends a message and returns a copy of the answer, which the process could otherwise still change.
func (p *process) ask(m message, timeout time.Duration) ([]byte, error) {
	if err := p.answers.SetReadDeadline(time.Now().Add(timeout)); err != nil {
		return nil, &endedError{crashed, err}
	}
	if _, err := p.requests.Write(m.bytes()); err != nil {
		return nil, p.gone(err)
	}
	var b [messageSize]byte
	n, err := p.answers.Read(b[:])
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &endedError{hung, fmt.Errorf("no answer within %v", timeout)}
	case err != nil:
		return nil, p.gone(err)
	}
	answered := readMessage(b)
	if n != messageSize || answered.check != m.check || int(answered.length) > imageAt-answerAt {
		return nil, &endedError{garbled, errGarbled}
	}
	return bytes.Clone(p.memory.all[answerAt : answerAt+int(answered.length)]), nil
}

// gone says how a process ended that no longer answers.
func (p *process) gone(err error) error {
	patience := time.NewTimer(time.Second) // its pipes close before it can be asked how it ended
	defer patience.Stop()
	select {
	case <-p.ended:
		err = errors.New(p.command.ProcessState.String())
	case <-patience.C:
	}
	return &endedError{crashed, err}
}

// check judges an image.
func (p *process) check(ctx context.Context, data []byte, format uint32, timeout time.Duration) (inference.Result, error) {
	p.checks++
	m := message{check: p.checks, length: uint32(copy(p.memory.image(), data)), format: format}
	// The number keeps a caller who leaves late from ending the next check.
	told := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(told)
		p.memory.left().Store(m.check)
	})
	text, err := p.ask(m, timeout)
	if !stop() {
		<-told // the memory is unmapped when the process has ended: to write into it then would end the program
	}
	if err != nil {
		return inference.Result{}, err
	}
	p.memory.forget(int(m.length))
	a, err := readAnswer(text)
	switch {
	case err != nil:
		return inference.Result{}, &endedError{garbled, err}
	case a.Cancelled && ctx.Err() == nil:
		return inference.Result{}, &endedError{garbled, errGarbled}
	case a.Cancelled:
		return inference.Result{}, ctx.Err()
	}
	return a.unwrap()
}

// closeTimeout is how long a process may take to notice that it is no longer needed.
const closeTimeout = 2 * time.Second

// close ends a process that has nothing to do.
func (p *process) close() {
	_ = p.requests.Close() // which the process waits on; it fails only for what is closed
	patience := time.NewTimer(closeTimeout)
	defer patience.Stop()
	select {
	case <-p.ended:
	case <-patience.C:
	}
	p.kill()
}

// kill ends a process at once and frees what the program holds of it.
func (p *process) kill() {
	if p.command.Process != nil {
		_ = p.command.Process.Kill() // it may have ended
	}
	<-p.ended
	_ = p.requests.Close()
	_ = p.answers.Close()
	p.memory.unmap()
}

// said keeps the first words of a process that says something, which a worker does only when it dies.
type said struct {
	mu    sync.Mutex
	words []byte
}

// Write implements io.Writer.
func (s *said) Write(words []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.words = append(s.words, words[:min(len(words), 400-len(s.words))]...)
	return len(words), nil
}

// String returns the words as a log can show them.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Map(onlyPrintable, strings.ToValidUTF8(string(s.words), ""))
}

// formatNumber returns what a message calls a format; an unknown one is refused as a JPEG is that is none.
func formatNumber(format decode.Format) uint32 {
	for i, f := range formats {
		if f == format {
			return uint32(i)
		}
	}
	return 0
}
