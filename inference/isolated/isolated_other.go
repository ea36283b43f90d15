//go:build !(linux && (amd64 || arm64))

package isolated

import (
	"context"
	"fmt"
	"os"

	"github.com/pas-ta/liveness/inference"
)

// Workers cannot be had on this system.
type Workers struct{}

// New returns ErrUnsupported.
func New(Config) (*Workers, error) { return nil, ErrUnsupported }

// Start returns ErrUnsupported.
func (*Workers) Start(context.Context) (inference.Worker, error) { return nil, ErrUnsupported }

// Check returns ErrUnsupported.
func (*Workers) Check() error { return ErrUnsupported }

// Sandbox returns that there is none.
func (*Workers) Sandbox() Sandbox { return Sandbox{} }

// Ends returns nothing.
func (*Workers) Ends() map[string]int64 { return nil }

// Serve returns that it cannot.
func Serve(Hook) int {
	fmt.Fprintln(os.Stderr, ErrUnsupported)
	return 1
}
