//go:build !((darwin || linux) && (amd64 || arm64))

package decode

import (
	"context"
	"errors"

	"github.com/pas-ta/liveness/inference/pixels"
)

// Vips is not available on this platform.
type Vips struct{}

// OpenVips returns an error: use NewStdlib on this platform.
func OpenVips(string, Limits) (*Vips, error) {
	return nil, errors.New("libvips cannot be loaded on this platform")
}

// OpenNative returns an error: use NewStdlib on this platform.
func OpenNative(path string, limits Limits) (Decoder, error) { return OpenVips(path, limits) }

// Name returns "libvips".
func (*Vips) Name() string { return "libvips" }

// Decode returns an error.
func (*Vips) Decode(context.Context, []byte, Format) (*pixels.Image, error) {
	return nil, errors.New("libvips cannot be loaded on this platform")
}
