package main

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"golang.org/x/sys/unix"
)

// longestLine is how much of a line on standard error is one record.
const longestLine = 64 << 10

// drainTimeout is how long the end of the program waits for what was said last. A child that keeps standard error open would have it
// wait for ever.
const drainTimeout = time.Second

// takeStderr puts a pipe in the place of standard error, and makes a record of the log of each line that comes through it: from
// libraries in C, which know no logger of ours, from gRPC's and the standard library's own. It returns the true standard error, for the
// log itself, and what ends this. Only a crash of the Go runtime is still written as text: nobody is left then to read the pipe.
func takeStderr() (stderr *os.File, restore func(), err error) {
	kept, err := unix.FcntlInt(2, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, nil, fmt.Errorf("keep standard error: %w", err)
	}
	stderr = os.NewFile(uintptr(kept), "stderr")
	read, write, err := os.Pipe()
	if err == nil {
		err = unix.Dup3(int(write.Fd()), 2, 0)
		_ = write.Close()
	}
	if err == nil {
		err = debug.SetCrashOutput(stderr, debug.CrashOptions{})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("take standard error: %w", err)
	}
	log := newLogger(stderr, formatJSON, "debug")
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		lines := bufio.NewReaderSize(read, longestLine)
		for {
			line, _, err := lines.ReadLine()
			if err != nil {
				return
			}
			if len(line) > 0 {
				log.Warn("a library has written to standard error", slog.String("text", string(line)))
			}
		}
	}()
	return stderr, func() {
		if unix.Dup3(kept, 2, 0) != nil {
			return
		}
		select {
		case <-ended:
		case <-time.After(drainTimeout):
		}
	}, nil
}
