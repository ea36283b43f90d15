// Package isolated judges images in processes of their own. Decoders and models are native code that strangers feed: what an
// image does to them it does to a process that holds no secret, no connection and no file, whose memory and time are
// bounded, and that is replaced when it crashes or hangs.
//
// A worker process is this program, started again with Argument. Image and answer pass through memory that both map; two
// pipes say that something is there. The process loads library and models, and gives up what it has of rights (sandbox_linux.go)
// before it is sent the first image. What it answers is believed no further than that it is an answer (answer.go).
package isolated

import (
	"errors"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
)

// Argument is the only argument of a program that is to be a worker process: main then leaves everything to Serve.
const Argument = "judge-images"

// IsWorker returns whether this process was started as a worker.
func IsWorker() bool { return len(os.Args) == 2 && os.Args[1] == Argument }

// ErrUnsupported says that this system cannot judge in processes of their own.
var ErrUnsupported = errors.New("judging in processes of their own needs Linux on amd64 or arm64")

// Config says what worker processes run.
type Config struct {
	// LibraryPath, Pack and Threads are those of inference.Config.
	LibraryPath string
	Pack        pack.Pack
	Threads     int
	// Libvips is the path of the shared library that decodes; without it the decoder is Go's.
	Libvips string
	// NeedLibvips refuses to decode with Go's decoder where libvips cannot be loaded.
	NeedLibvips bool
	// CheckTimeout is how long one check may take, 15 seconds by default: several times what the most expensive image that
	// is admitted takes on a busy machine. A process that takes longer is replaced.
	CheckTimeout time.Duration
	// Memory is how many bytes a process may take for an image beyond what it holds before the first, 768 MiB by default: twice
	// what the most expensive image that is admitted takes.
	Memory int64
	Log    *slog.Logger
}

func (cfg Config) withDefaults() Config {
	if cfg.Threads <= 0 {
		cfg.Threads = 1
	}
	if cfg.CheckTimeout <= 0 {
		cfg.CheckTimeout = 15 * time.Second
	}
	if cfg.Memory <= 0 {
		cfg.Memory = 768 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return cfg
}

// startTimeout is how long a process may take to load library and models.
const startTimeout = time.Minute

// settings are what a process is told at its start.
type settings struct {
	LibraryPath string
	Pack        pack.Pack
	Threads     int
	Libvips     string
	NeedLibvips bool
	Memory      int64
}

// started is what a process tells when it is ready for the first image.
type started struct {
	Decoder string
	// WithoutLibvips says why libvips, which was wanted, does not decode.
	WithoutLibvips string `json:",omitempty"`
	Sandbox        Sandbox
	// Failure says why the process cannot judge; the rest is empty then.
	Failure string `json:",omitempty"`
}

// Sandbox says what keeps a process from everything but judging.
type Sandbox struct {
	// Seccomp and Landlock are what the kernel enforces, in its own terms; empty where it does not.
	Seccomp, Landlock string
	// Missing says why one is not enforced.
	Missing []string `json:",omitempty"`
}

// String returns what encloses the processes and what does not.
func (s Sandbox) String() string {
	var words []string
	if s.Seccomp != "" {
		words = append(words, "seccomp "+s.Seccomp)
	}
	if s.Landlock != "" {
		words = append(words, "landlock "+s.Landlock)
	}
	for _, missing := range s.Missing {
		words = append(words, "without "+missing)
	}
	return strings.Join(words, ", ")
}

// Hook puts something between a worker process and its decoder: tests let images do to a process what no image should.
type Hook func(decode.Decoder) decode.Decoder
