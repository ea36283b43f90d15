// Package decode turns the bytes of one JPEG or PNG into pixels that the models can be fed from, and refuses everything
// else with an error that says what the sender has to change.
//
// Cost is decided before it is paid: the number of bytes, the size in the header, the memory the pixels need and the
// number of scans are checked before the first large allocation. The pixels stay in the layout of the decoder (planar
// YCbCr for most JPEG files) and unrotated; a pixels.Image carries the address arithmetic that makes them upright, so
// that neither a rotation nor a colour conversion of the whole picture is ever made.
package decode

import (
	"context"
	"fmt"

	"github.com/pas-ta/liveness/inference/pixels"
)

// Format is the encoding that the sender states for an image.
type Format string

// The two accepted encodings.
const (
	JPEG Format = "jpeg"
	PNG  Format = "png"
)

// ParseFormat turns the text of a request or a file extension ("jpeg", "jpg", "png") into a Format.
func ParseFormat(s string) (Format, error) {
	switch s {
	case "jpeg", "jpg":
		return JPEG, nil
	case "png":
		return PNG, nil
	}
	return "", fmt.Errorf("unknown image format %q: use \"jpeg\" or \"png\"", s)
}

// Limits bound what one decode may cost. A zero field means its default.
type Limits struct {
	// MaxBytes is the largest encoded image, in bytes. Default 10 MiB.
	MaxBytes int
	// MaxPixels is the largest width times height. Default 50 × 2²⁰, which
	// lets the 8192 × 6144 of a 50-megapixel telephone through.
	MaxPixels int
	// MinSide is the shortest side in pixels that is worth detecting a face in. Default 32.
	MinSide int
	// MaxDecodedBytes bounds the memory that decoding needs, in bytes, estimated from the header: 16-bit, interlaced and
	// progressive files need a multiple of what their pixel count suggests. Default 4.5 × MaxPixels; an ordinary photo
	// of MaxPixels bounds it too, and the time that decoding takes.
	MaxDecodedBytes int
	// MaxScans is the largest number of scans of a JPEG. Encoders write about 10. Default 64.
	MaxScans int
}

// WithDefaults returns l with every zero field set to its default.
func (l Limits) WithDefaults() Limits {
	set := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	set(&l.MaxBytes, 10<<20)
	set(&l.MaxPixels, 50<<20)
	set(&l.MinSide, 32)
	set(&l.MaxDecodedBytes, 9*l.MaxPixels/2)
	set(&l.MaxScans, 64)
	return l
}

// Decoder turns the bytes of one image into pixels. An implementation is safe
// for concurrent use and never panics, whatever the bytes are.
type Decoder interface {
	// Name identifies the decoder in logs, health reports and benchmarks.
	Name() string
	// Decode returns the image, or an *Error when the bytes are at fault, or the error of ctx. The caller calls Release
	// on the image when it is done with it; data must not change until then.
	Decode(ctx context.Context, data []byte, stated Format) (*pixels.Image, error)
}
