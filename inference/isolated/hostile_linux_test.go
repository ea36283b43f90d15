//go:build amd64 || arm64

package isolated_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/isolated"
	"github.com/pas-ta/liveness/inference/pixels"
)

// TestMain makes the test binary a worker process when it is started as one.
func TestMain(m *testing.M) {
	if isolated.IsWorker() {
		os.Exit(isolated.Serve(func(d decode.Decoder) decode.Decoder { return &hostile{Decoder: d} }))
	}
	os.Exit(m.Run())
}

// hostile is a decoder with a hole: what an image's comment says is done in the process.
type hostile struct {
	decode.Decoder
	poisoned bool
}

// Version tells that of the decoder behind it, which has one.
func (h *hostile) Version() string { return h.Decoder.(interface{ Version() string }).Version() }

// marked returns a JPEG with a comment that tells hostile what to do.
func marked(photo []byte, do string) []byte {
	comment := "do " + do + "."
	segment := append([]byte{0xFF, 0xFE, 0, byte(len(comment) + 2)}, comment...)
	return bytes.Join([][]byte{photo[:2], segment, photo[2:]}, nil)
}

func (h *hostile) Decode(ctx context.Context, data []byte, format decode.Format) (*pixels.Image, error) {
	_, mark, _ := bytes.Cut(data[:min(len(data), 60)], []byte("do "))
	do, _, _ := strings.Cut(string(mark), ".")
	switch {
	case h.poisoned || do == "crash":
		crash()
	case do == "poison":
		h.poisoned = true
	case do == "exit":
		os.Exit(0)
	case do == "panic":
		panic("an image did this")
	case do == "hang":
		for i := 0; ; i++ { // as a decoder that never ends
			_ = i
		}
	case do == "wait":
		for ctx.Err() == nil {
		}
		return nil, ctx.Err()
	case do == "hog":
		var held [][]byte
		for range 1 << 12 {
			held = append(held, bytes.Repeat([]byte{1}, 16<<20))
		}
		return nil, fmt.Errorf("%d pieces of 16 MB were to be had", len(held))
	case do == "garble":
		_, _ = unix.Write(4, bytes.Repeat([]byte{7}, 16))
	case do == "shrink":
		_ = unix.Ftruncate(3, 0)
	case do == "escape":
		return nil, &decode.Error{Kind: decode.KindCorrupted, Message: "could: " + strings.Join(escapes(), ", ") + "; knows: " + strings.Join(os.Environ(), " ")}
	case strings.HasPrefix(do, "say "):
		return nil, &decode.Error{Kind: decode.KindCorrupted, Message: do[len("say "):] + "\x1b[31m"}
	}
	return h.Decoder.Decode(ctx, data, format)
}

// crash has C code write where nothing is.
func crash() {
	memset, err := purego.Dlsym(purego.RTLD_DEFAULT, "memset")
	if err != nil {
		panic(err)
	}
	purego.SyscallN(memset, 16, 0, 64)
}

// inherited is a file that the program was started with, which is not closed by itself when it starts another.
const inherited = 77

// escapes returns what a process that judges can do and should not.
func escapes() (could []string) {
	for name, try := range map[string]func() error{
		"read a file":         func() error { _, err := os.ReadFile("/etc/hostname"); return err },
		"list a directory":    func() error { _, err := os.ReadDir("/"); return err },
		"look at a file":      func() error { return unix.Access("/etc/hostname", unix.F_OK) },
		"write a file":        func() error { return os.WriteFile("/tmp/liveness-escaped", nil, 0o600) },
		"start a program":     func() error { return exec.CommandContext(context.Background(), "/bin/true").Run() },
		"open a socket":       func() error { _, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0); return err },
		"open a local socket": func() error { _, err := unix.Socket(unix.AF_UNIX, unix.SOCK_DGRAM, 0); return err },
		"listen": func() error {
			_, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
			return err
		},
		"signal its parent": func() error { return unix.Kill(unix.Getppid(), 0) },
		"signal a thread of its parent": func() error {
			return unix.Tgkill(unix.Getppid(), unix.Getppid(), 0)
		},
		"trace its parent": func() error { return unix.PtraceAttach(unix.Getppid()) },
		"read its parent's memory": func() error {
			here, there := make([]byte, 8), []unix.RemoteIovec{{Base: 1 << 20, Len: 8}}
			_, err := unix.ProcessVMReadv(unix.Getppid(), []unix.Iovec{{Base: &here[0], Len: 8}}, there, 0)
			return err
		},
		"raise its limits": func() error {
			return unix.Prlimit(0, unix.RLIMIT_DATA, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}, nil)
		},
		"lift the seal of its memory": func() error { return unix.Ftruncate(3, 0) },
		"make a memory file":          func() error { _, err := unix.MemfdCreate("x", 0); return err },
		"make a namespace":            func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"mount":                       func() error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
		"make a process": func() error {
			child, _, errno := unix.RawSyscall(unix.SYS_CLONE, uintptr(unix.SIGCHLD), 0, 0)
			if errno != 0 {
				return errno
			}
			if child == 0 {
				_, _, _ = unix.RawSyscall(unix.SYS_EXIT_GROUP, 0, 0, 0)
			}
			return nil
		},
		"duplicate a file": func() error { _, err := unix.Dup(3); return err },
		"trace system calls": func() error {
			return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0)
		},
		"use what the program inherited": func() error {
			file := []unix.PollFd{{Fd: inherited}}
			if _, err := unix.Poll(file, 0); err != nil || file[0].Revents&unix.POLLNVAL != 0 {
				return unix.EBADF
			}
			return nil
		},
	} {
		if try() == nil {
			could = append(could, name)
		}
	}
	return could
}
