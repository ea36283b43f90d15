package decode

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/png"
	"io"

	"github.com/pas-ta/liveness/inference/decode/jpeg"
	"github.com/pas-ta/liveness/inference/pixels"
)

// Stdlib decodes with image/png and, but for its inverse DCT, image/jpeg. It works on every platform
// and is the reference that other decoders are compared with.
type Stdlib struct {
	limits Limits
	heavy  *heavyGate
}

// NewStdlib returns a decoder with the given limits.
func NewStdlib(limits Limits) *Stdlib {
	limits = limits.WithDefaults()
	return &Stdlib{limits: limits, heavy: newHeavyGate(limits)}
}

// Name returns "go".
func (*Stdlib) Name() string { return "go" }

// Decode implements Decoder.
func (d *Stdlib) Decode(ctx context.Context, data []byte, stated Format) (*pixels.Image, error) {
	h, err := readHeader(data, stated, d.limits)
	if err != nil {
		return nil, err
	}
	return d.decode(ctx, data, h)
}

func (d *Stdlib) decode(ctx context.Context, data []byte, h header) (img *pixels.Image, err error) {
	leave, err := d.heavy.enter(ctx, h.decodedBytes())
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			leave()
		}
	}()
	// A panic of a decoder on hostile bytes must cost one answer, not the process.
	defer func() {
		if p := recover(); p != nil {
			img, err = nil, corrupted(fmt.Errorf("the decoder panicked: %v", p))
		}
	}()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	in := &contextReader{ctx: ctx, r: bytes.NewReader(data)}
	var src image.Image
	if h.format == JPEG {
		src, err = jpeg.Decode(in)
	} else {
		src, err = png.Decode(in)
	}
	if ctxErr := ctx.Err(); err != nil && ctxErr != nil {
		return nil, ctxErr
	}
	if err != nil {
		return nil, decoderError(err)
	}
	img, err = pixels.FromImage(src, h.orientation, leave)
	if err != nil {
		return nil, refuse(KindUnsupported, err,
			"The image uses a colour layout that is not supported: save it again as an ordinary 8-bit JPEG or PNG")
	}
	return img, nil
}

// contextReader ends a decode soon after its context: the decoders ask for input every few kilobytes. It offers nothing
// but Read, because the PNG and JPEG decoders read ahead on their own.
type contextReader struct {
	ctx context.Context
	r   io.Reader
}

func (r *contextReader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}
