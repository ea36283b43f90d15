//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"syscall"
	"unsafe"

	"github.com/pas-ta/liveness/inference/pixels"
)

// Vips decodes with libvips (libjpeg-turbo, libspng), which is several times faster than the pure Go decoders. It
// decodes at full resolution and takes only what is without a flaw and of the common kinds: everything else (CMYK, 16
// bits per channel, whatever libvips warns about) goes to the pure Go decoder, so that both refuse the same images in
// the same words.
type Vips struct {
	limits  Limits
	library *vipsLibrary
	others  *Stdlib     // decodes what libvips is not used for
	buffers chan []byte // free pixel buffers
}

// maxPooled is the largest pixel buffer in bytes that is kept for the next image, enough for 12 megapixels. What rare
// larger images need goes back to the operating system at once: left to the garbage collector, a few of them one after
// the other would multiply the memory of the process.
const maxPooled = 36 << 20

// OpenVips loads libvips from a shared library, version 8.13 or later, once per process.
func OpenVips(path string, limits Limits) (*Vips, error) {
	library, err := loadVips(path)
	if err != nil {
		return nil, err
	}
	return &Vips{
		limits: limits.WithDefaults(), library: library, others: NewStdlib(limits),
		buffers: make(chan []byte, runtime.GOMAXPROCS(0)),
	}, nil
}

// Name returns "libvips".
func (*Vips) Name() string { return "libvips" }

// errNotNative sends an image to the pure Go decoder.
var errNotNative = errors.New("not decoded natively")

// Decode implements Decoder.
func (d *Vips) Decode(ctx context.Context, data []byte, stated Format) (*pixels.Image, error) {
	h, err := readHeader(data, stated, d.limits)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if h.components == 4 || h.depth == 16 {
		return d.others.decode(ctx, data, h)
	}
	img, err := d.decode(ctx, data, h)
	if errors.Is(err, errNotNative) {
		return d.others.decode(ctx, data, h)
	}
	return img, err
}

// decode runs one libvips pipeline on this thread and reads its strips into a
// pooled buffer. No object of libvips outlives it.
func (d *Vips) decode(ctx context.Context, data []byte, h header) (*pixels.Image, error) {
	// Regions belong to the thread that made them.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	l := d.library
	defer call(l.threadShutdown) // frees the caches of this thread
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(&data[0])

	source, err := l.open(data, h)
	if err != nil {
		return nil, err
	}
	defer call(l.objectUnref, source)
	bands := int(int32(call(l.imageBands, source)))
	const uchar = 0
	if int(int32(call(l.imageWidth, source))) != h.width || int(int32(call(l.imageHeight, source))) != h.height ||
		bands < 1 || bands > 4 || int32(call(l.imageFormat, source)) != uchar {
		return nil, errNotNative
	}

	buffer, err := d.take(h.width * h.height * bands)
	if err != nil {
		return nil, err
	}
	pins.Pin(&buffer[0])
	if err := l.read(ctx, source, buffer, h, bands); err != nil {
		d.give(buffer)
		return nil, err
	}
	channels := [3]int{0, 1, 2}
	if bands < 3 {
		channels = [3]int{}
	}
	if bands == 2 || bands == 4 {
		pixels.OverWhite(buffer, bands-1, 1)
	}
	img, err := pixels.Interleaved(buffer, h.width, h.height, h.width*bands, bands, channels, h.orientation,
		func() { d.give(buffer) })
	if err != nil {
		d.give(buffer)
		return nil, fmt.Errorf("read the pixels of libvips: %w", err)
	}
	return img, nil
}

// open makes a load operation and returns the image that it will produce. Only the header has been read then.
func (l *vipsLibrary) open(data []byte, h header) (image uintptr, err error) {
	loader := "jpegload_buffer"
	if h.format == PNG {
		loader = "pngload_buffer"
	}
	operation := call(l.operationNew, cString(loader))
	if operation == 0 {
		return 0, fmt.Errorf("%w: %s", errNotNative, l.lastError())
	}
	defer func() {
		call(l.unrefOutputs, operation)
		call(l.objectUnref, operation)
	}()

	blob := call(l.blobNew, 0, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
	var value gValue
	call(l.valueInit, uintptr(unsafe.Pointer(&value)), call(l.blobType))
	call(l.valueSetBoxed, uintptr(unsafe.Pointer(&value)), blob)
	call(l.setProperty, operation, cString("buffer"), uintptr(unsafe.Pointer(&value)))
	call(l.valueUnset, uintptr(unsafe.Pointer(&value)))
	call(l.areaUnref, blob)
	for _, argument := range [][2]string{{"access", "sequential"}, {"fail_on", "warning"}} {
		if call(l.setArgument, operation, cString(argument[0]), cString(argument[1])) != 0 {
			return 0, fmt.Errorf("%w: %s", errNotNative, l.lastError())
		}
	}
	if int32(call(l.objectBuild, operation)) != 0 {
		return 0, fmt.Errorf("%w: %s", errNotNative, l.lastError())
	}

	value = gValue{}
	call(l.valueInit, uintptr(unsafe.Pointer(&value)), call(l.imageType))
	call(l.getProperty, operation, cString("out"), uintptr(unsafe.Pointer(&value)))
	image = call(l.objectRef, call(l.valueGetObject, uintptr(unsafe.Pointer(&value))))
	call(l.valueUnset, uintptr(unsafe.Pointer(&value)))
	return image, nil
}

// gValue is GLib's GValue: a type and two words of contents.
type gValue [3]uint64

// rect is libvips's VipsRect.
type rect struct{ left, top, width, height int32 }

// stripHeight is how many rows are decoded between two looks at the context.
const stripHeight = 16

// read decodes the image into buffer, strip by strip.
func (l *vipsLibrary) read(ctx context.Context, source uintptr, buffer []byte, h header, bands int) error {
	target := call(l.imageFromMemory, uintptr(unsafe.Pointer(&buffer[0])), uintptr(len(buffer)),
		uintptr(h.width), uintptr(h.height), uintptr(bands), 0)
	if target == 0 {
		return fmt.Errorf("%w: %s", errNotNative, l.lastError())
	}
	defer call(l.objectUnref, target)
	from := call(l.regionNew, source)
	defer call(l.objectUnref, from)
	to := call(l.regionNew, target)
	defer call(l.objectUnref, to)
	for top := 0; top < h.height; top += stripHeight {
		if err := ctx.Err(); err != nil {
			return err
		}
		strip := rect{top: int32(top), width: int32(h.width), height: int32(min(stripHeight, h.height-top))}
		at := uintptr(unsafe.Pointer(&strip))
		if int32(call(l.regionImage, to, at)) != 0 ||
			int32(call(l.regionPrepareTo, from, to, at, 0, uintptr(top))) != 0 {
			return fmt.Errorf("%w: %s", errNotNative, l.lastError())
		}
	}
	return nil
}

// take returns a buffer of n bytes, of unknown contents.
func (d *Vips) take(n int) ([]byte, error) {
	if n > maxPooled {
		b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
		if err != nil {
			return nil, fmt.Errorf("get %d bytes for pixels: %w", n, err)
		}
		return b, nil
	}
	select {
	case b := <-d.buffers:
		if cap(b) >= n {
			return b[:n], nil
		}
	default:
	}
	return make([]byte, n), nil
}

// give keeps a buffer for the next image, or frees it when it is very large or enough are kept.
func (d *Vips) give(b []byte) {
	if len(b) > maxPooled {
		// It fails only for memory that was not mapped by take.
		_ = syscall.Munmap(b)
		return
	}
	select {
	case d.buffers <- b:
	default:
	}
}
