package decode

import (
	"context"
	"errors"
	"fmt"
	"image"
	"image/png"
	"runtime"
	"strings"

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

// Version returns the version of Go, "go1.26.8" for instance.
func (*Stdlib) Version() string { return runtime.Version() }

// withoutVips ends a refusal for what only libvips can do.
const withoutVips = " This node runs without libvips, which can show it: save the image again as an ordinary 8-bit sRGB JPEG"

// Decode implements Decoder.
func (d *Stdlib) Decode(ctx context.Context, data []byte, stated Format) (img *pixels.Image, err error) {
	h, err := readHeader(data, stated, d.limits, goCosts)
	if err != nil {
		return nil, err
	}
	if err := h.checkStdlib(); err != nil {
		return nil, err
	}
	leave, err := d.heavy.enter(ctx, int64(h.goBytes()))
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
			img, err = nil, h.failed(fmt.Errorf("the decoder panicked: %v", p))
		}
	}()
	var src image.Image
	if h.format == JPEG {
		src, err = jpeg.Decode(h.reader(ctx, endOfImage))
	} else {
		src, err = png.Decode(h.reader(ctx, nil))
	}
	if ctxErr := ctx.Err(); err != nil && ctxErr != nil {
		return nil, ctxErr
	}
	if err != nil {
		return nil, h.stdlibError(err)
	}
	orientation := h.orientation
	if h.converted() {
		orientation = 1 // it is turned when its colours are right
	}
	img, err = pixels.FromImage(src, orientation, leave)
	if err != nil {
		return nil, refuse(KindUnsupported, err, "The image uses a colour layout that is not known."+withoutVips)
	}
	if h.converted() {
		return h.profile.apply(ctx, img, h.orientation, leave)
	}
	return img, nil
}

// checkStdlib refuses what the pure Go decoders cannot show.
func (h header) checkStdlib() error {
	if h.converted() && h.profile.curves == nil {
		name := "the profile \"" + h.profile.name + "\""
		switch {
		case strings.Contains(h.profile.name, "XYB"):
			name = "an XYB profile"
		case h.channels == 4:
			name = "a CMYK profile"
		}
		return unsupported("The image's colours are coded by %s."+withoutVips, name)
	}
	if h.format != JPEG {
		return nil
	}
	c := h.components
	ok := true
	switch h.channels {
	case 3:
		ok = c[0].v <= 2 && c[0].h%c[1].h == 0 && c[0].v%c[1].v == 0 && c[1].h == c[2].h && c[1].v == c[2].v && c[0].h != 3
	case 4:
		ok = c[0].h == c[0].v && c[0].h <= 2 && c[1].samples() == 1 && c[2].samples() == 1 && c[3].h == c[0].h && c[3].v == c[0].v
	}
	switch {
	case ok:
		return nil
	case h.channels == 4:
		return unsupported("The JPEG is CMYK, sampled %s."+withoutVips, h.sampling())
	}
	return unsupported("The JPEG has chroma sampled %s."+withoutVips, h.sampling())
}

// stdlibError sorts what the pure Go decoders say into kinds.
func (h header) stdlibError(err error) error {
	var jpegUnsupported jpeg.UnsupportedError
	var pngUnsupported png.UnsupportedError
	if errors.As(err, &jpegUnsupported) || errors.As(err, &pngUnsupported) {
		return refuse(KindUnsupported, err, "The image uses a feature of its format that is not known (%s)."+withoutVips,
			strings.TrimPrefix(strings.TrimPrefix(err.Error(), "unsupported JPEG feature: "), "png: unsupported feature: "))
	}
	return h.failed(err)
}
