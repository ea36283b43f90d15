//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/pas-ta/liveness/inference/pixels"
)

// TurboJPEG decodes ordinary JPEGs with libjpeg-turbo alone and leaves everything else to libvips, which calls the same code
// row by row, behind a cache of rows and in a pipeline that it builds for every image.
type TurboJPEG struct {
	rest    *Vips
	library *turboLibrary
}

// mostAtOnce is up to how many pixels a photo is decoded in one call, which ends when it is done, whether its caller has left
// or not: a tenth of a second at most. libvips looks at the context every few rows.
const mostAtOnce = 16e6

// OpenNative loads libvips from a shared library, once per process, and TurboJPEG where the system has it.
func OpenNative(libvips string, limits Limits) (Decoder, error) {
	vips, err := OpenVips(libvips, limits)
	if err != nil {
		return nil, err
	}
	if library := loadTurboJPEG(); library != nil {
		return &TurboJPEG{rest: vips, library: library}, nil
	}
	return vips, nil
}

// Name returns "libvips", which decides what an image is.
func (d *TurboJPEG) Name() string { return d.rest.Name() }

// Version returns the version of libvips and that libjpeg-turbo, which does not say its own, is there too.
func (d *TurboJPEG) Version() string { return d.rest.Version() + " with libjpeg-turbo" }

// errTurboJPEG is what TurboJPEG could not do with the bytes of an image, or would have done with a warning.
var errTurboJPEG = errors.New("TurboJPEG")

// Decode implements Decoder. What TurboJPEG stumbles over is libvips's to judge, so that the same files are refused in the
// same words with and without it; together that costs no more than an ordinary photo of twice the size.
func (d *TurboJPEG) Decode(ctx context.Context, data []byte, stated Format) (*pixels.Image, error) {
	h, err := readHeader(data, stated, d.rest.limits, nativeCosts)
	if err != nil {
		return nil, err
	}
	ordinary := h.format == JPEG && h.whole && h.plain && h.channels != 4 && !h.converted()
	if !ordinary || h.pixels() > mostAtOnce {
		return d.rest.decodeKnown(ctx, data, h)
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	img, err := d.decode(data, h)
	if errors.Is(err, errTurboJPEG) {
		return d.rest.decodeKnown(ctx, data, h)
	}
	return img, err
}

// What TurboJPEG calls its pixel formats and its flag to give up at the first warning, where libjpeg would make something up.
const (
	turboRGB           = 0
	turboGrey          = 6
	turboStopOnWarning = 8192
)

// decode decodes an ordinary JPEG straight into a pooled buffer.
func (d *TurboJPEG) decode(data []byte, h header) (*pixels.Image, error) {
	l := d.library
	handle := call(l.initDecompress)
	if handle == 0 {
		return nil, fmt.Errorf("%w: out of memory", errTurboJPEG)
	}
	defer call(l.destroy, handle)
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(&data[0])
	file, size := uintptr(unsafe.Pointer(&data[0])), uintptr(len(data))

	// A buffer has held another picture. It must not show through because libjpeg finds another size in the file than we do.
	var width, height, sampling, colours int32
	if int32(call(l.decompressHeader, handle, file, size, uintptr(unsafe.Pointer(&width)), uintptr(unsafe.Pointer(&height)),
		uintptr(unsafe.Pointer(&sampling)), uintptr(unsafe.Pointer(&colours)))) != 0 || int(width) != h.width || int(height) != h.height {
		return nil, fmt.Errorf("%w: the header", errTurboJPEG)
	}
	format := uintptr(turboRGB)
	if h.channels == 1 {
		format = turboGrey
	}
	buffer, err := d.rest.take(h.width * h.height * h.channels)
	if err != nil {
		return nil, err
	}
	pins.Pin(&buffer[0])
	if int32(call(l.decompress, handle, file, size, uintptr(unsafe.Pointer(&buffer[0])),
		uintptr(h.width), uintptr(h.width*h.channels), uintptr(h.height), format, turboStopOnWarning)) != 0 {
		d.rest.give(buffer)
		return nil, fmt.Errorf("%w: the pixels", errTurboJPEG)
	}
	return d.rest.image(buffer, h, h.channels)
}

// turboLibrary holds the addresses of the functions of TurboJPEG, the interface of libjpeg-turbo that is the same in every
// build of it and returns from errors.
type turboLibrary struct {
	initDecompress, decompressHeader, decompress, destroy uintptr
}

// loadTurboJPEG loads the system's TurboJPEG, once per process. It returns nil where there is none, or one from before 2.0,
// which does not give up at a warning.
var loadTurboJPEG = sync.OnceValue(func() *turboLibrary {
	for _, name := range []string{"libturbojpeg.so.0", "libturbojpeg.0.dylib", "/opt/homebrew/lib/libturbojpeg.0.dylib"} {
		handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
		if err != nil {
			continue
		}
		var l turboLibrary
		var since2 uintptr
		if functions(handle, map[string]*uintptr{
			"tjInitDecompress": &l.initDecompress, "tjDecompressHeader3": &l.decompressHeader,
			"tjDecompress2": &l.decompress, "tjDestroy": &l.destroy, "tjGetErrorCode": &since2,
		}) == nil {
			return &l
		}
	}
	return nil
})
