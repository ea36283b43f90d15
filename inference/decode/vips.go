//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"unsafe"

	"github.com/pas-ta/liveness/inference/pixels"
)

// Vips decodes with libvips (libjpeg-turbo, libspng, Little CMS), which is several times faster than the pure Go decoders
// and shows what browsers show. It decodes at full resolution.
type Vips struct {
	limits  Limits
	library *vipsLibrary
	buffers chan []byte // free pixel buffers of ordinary images
	large   mappings
}

// maxPooled is the largest pixel buffer in bytes that is kept for good, enough for 12 megapixels.
const maxPooled = 36 << 20

// OpenVips loads libvips from a shared library, once per process.
func OpenVips(path string, limits Limits) (*Vips, error) {
	library, err := loadVips(path)
	if err != nil {
		return nil, err
	}
	return &Vips{
		limits: limits.WithDefaults(), library: library,
		buffers: make(chan []byte, runtime.GOMAXPROCS(0)),
	}, nil
}

// Name returns "libvips".
func (*Vips) Name() string { return "libvips" }

// Version returns the version of the library, "8.17.3" for instance.
func (d *Vips) Version() string { return d.library.release }

// errVips is what libvips could not do with the bytes of an image.
var errVips = errors.New("libvips")

// Decode implements Decoder.
func (d *Vips) Decode(ctx context.Context, data []byte, stated Format) (*pixels.Image, error) {
	h, err := readHeader(data, stated, d.limits, nativeCosts)
	if err != nil {
		return nil, err
	}
	return d.decodeKnown(ctx, data, h)
}

// decodeKnown decodes an image whose header has been read and is admitted.
func (d *Vips) decodeKnown(ctx context.Context, data []byte, h header) (*pixels.Image, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	img, err := d.decode(ctx, data, h)
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if errors.Is(err, errVips) {
		return nil, h.failed(err)
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

	image, err := l.open(ctx, data, h)
	if err != nil {
		return nil, err
	}
	defer image.close(l)
	s, err := l.strips(image.pointer, h)
	if err != nil {
		return nil, err
	}
	buffer, err := d.take(h.width * h.height * s.kept)
	if err != nil {
		return nil, err
	}
	pins.Pin(&buffer[0])
	if err := l.read(ctx, image.pointer, buffer, s); err != nil {
		d.give(buffer)
		return nil, err
	}
	return d.image(buffer, h, s.kept)
}

// image returns what lies in a buffer of take, which goes back when it is released: 1 channel, grey, or 3, RGB.
func (d *Vips) image(buffer []byte, h header, channels int) (*pixels.Image, error) {
	at := [3]int{0, 1, 2}
	if channels == 1 {
		at = [3]int{}
	}
	img, err := pixels.Interleaved(buffer, h.width, h.height, h.width*channels, channels, at, h.orientation, func() { d.give(buffer) })
	if err != nil {
		d.give(buffer)
		return nil, fmt.Errorf("read the decoded pixels: %w", err)
	}
	return img, nil
}

// vipsImage is an image of libvips whose pixels are made when they are read.
type vipsImage struct {
	pointer uintptr
	source  *vipsSource // nil when it is read where the file lies
}

func (i *vipsImage) close(l *vipsLibrary) {
	if i.pointer != 0 {
		call(l.objectUnref, i.pointer)
	}
	if i.source != nil {
		i.source.close(l)
	}
}

// open returns the image that a file holds, in sRGB or CMYK. Only its header has been read then. An ordinary JPEG is read
// where it lies, everything else piece by piece, so that decoding ends soon after ctx does: libvips decodes an image of
// several passes as a whole before its first row.
func (l *vipsLibrary) open(ctx context.Context, data []byte, h header) (_ *vipsImage, err error) {
	arguments := [][2]string{{"access", "sequential"}, {"fail_on", "warning"}}
	image := &vipsImage{}
	defer func() {
		if err != nil {
			image.close(l)
		}
	}()
	if h.format == JPEG && h.whole && h.plain {
		blob := call(l.blobNew, 0, uintptr(unsafe.Pointer(&data[0])), uintptr(len(data)))
		defer call(l.areaUnref, blob)
		image.pointer, err = l.run("jpegload_buffer", input{"buffer", l.blobType, l.valueSetBoxed, blob}, arguments)
	} else {
		loader, end := "jpegload_source", endOfImage
		switch {
		case h.format == PNG:
			loader, end = "pngload_source", nil
		case h.whole:
			end = prefetched
		}
		image.source = l.newSource(h.reader(ctx, end))
		image.pointer, err = l.run(loader, input{"source", l.sourceType, l.valueSetObject, image.source.pointer}, arguments)
	}
	if err != nil || !h.converted() {
		return image, err
	}
	inSRGB, err := l.run("icc_transform", input{"in", l.imageType, l.valueSetObject, image.pointer}, [][2]string{
		{"output_profile", "srgb"}, {"embedded", "true"}, {"intent", h.profile.intent}, {"depth", "8"},
	})
	if err == nil {
		call(l.objectUnref, image.pointer) // the other one holds it
		image.pointer = inSRGB
	}
	return image, nil // a profile that cannot be applied is as good as none
}

// input is the property that an operation works on.
type input struct {
	name          string
	typeOf, setTo uintptr // functions: the GType, and what puts such a thing into a GValue
	value         uintptr
}

// run builds an operation and returns the image that it will produce.
func (l *vipsLibrary) run(name string, in input, arguments [][2]string) (image uintptr, err error) {
	operation := call(l.operationNew, cString(name))
	if operation == 0 {
		return 0, fmt.Errorf("%w: %s", errVips, l.lastError())
	}
	defer func() {
		call(l.unrefOutputs, operation)
		call(l.objectUnref, operation)
	}()
	var value gValue
	call(l.valueInit, uintptr(unsafe.Pointer(&value)), call(in.typeOf))
	call(in.setTo, uintptr(unsafe.Pointer(&value)), in.value)
	call(l.setProperty, operation, cString(in.name), uintptr(unsafe.Pointer(&value)))
	call(l.valueUnset, uintptr(unsafe.Pointer(&value)))
	for _, argument := range arguments {
		if call(l.setArgument, operation, cString(argument[0]), cString(argument[1])) != 0 {
			return 0, fmt.Errorf("%w: %s", errVips, l.lastError())
		}
	}
	if int32(call(l.objectBuild, operation)) != 0 {
		return 0, fmt.Errorf("%w: %s", errVips, l.lastError())
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

// strips is how the rows of an image come and what is kept of them.
type strips struct {
	width, height int
	bands         int  // channels as they come
	kept          int  // channels that are kept: 1, grey, or 3, RGB
	wide          bool // they come with 16 bits
	cmyk          bool
}

// strips asks libvips what it makes of an image.
func (l *vipsLibrary) strips(image uintptr, h header) (strips, error) {
	s := strips{
		width: int(int32(call(l.imageWidth, image))), height: int(int32(call(l.imageHeight, image))),
		bands: int(int32(call(l.imageBands, image))), kept: 3,
	}
	const uchar, ushort = 0, 2
	format := int32(call(l.imageFormat, image))
	s.wide = format == ushort
	s.cmyk = s.bands == 4 && h.format == JPEG
	if s.bands <= 2 {
		s.kept = 1
	}
	if s.width != h.width || s.height != h.height || s.bands < 1 || s.bands > 4 || format != uchar && format != ushort {
		return strips{}, fmt.Errorf("%w: %d×%d pixels of %d bands, format %d", errVips, s.width, s.height, s.bands, format)
	}
	return s, nil
}

// read decodes the image into buffer, strip by strip.
func (l *vipsLibrary) read(ctx context.Context, image uintptr, buffer []byte, s strips) error {
	into, rows := buffer, s.height
	direct := s.bands == s.kept && !s.wide
	if !direct {
		rows = min(stripHeight, s.height)
		size := s.width * rows * s.bands
		if s.wide {
			size *= 2
		}
		into = make([]byte, size)
	}
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(&into[0])
	format := uintptr(0)
	if s.wide {
		format = 2
	}
	target := call(l.imageFromMemory, uintptr(unsafe.Pointer(&into[0])), uintptr(len(into)),
		uintptr(s.width), uintptr(rows), uintptr(s.bands), format)
	if target == 0 {
		return fmt.Errorf("%w: %s", errVips, l.lastError())
	}
	defer call(l.objectUnref, target)
	from := call(l.regionNew, image)
	defer call(l.objectUnref, from)
	to := call(l.regionNew, target)
	defer call(l.objectUnref, to)
	for top := 0; top < s.height; top += stripHeight {
		if err := ctx.Err(); err != nil {
			return err
		}
		strip := rect{top: int32(top), width: int32(s.width), height: int32(min(stripHeight, s.height-top))}
		place := strip
		if !direct {
			place.top = 0
		}
		if int32(call(l.regionImage, to, uintptr(unsafe.Pointer(&place)))) != 0 ||
			int32(call(l.regionPrepareTo, from, to, uintptr(unsafe.Pointer(&strip)), 0, uintptr(place.top))) != 0 {
			return fmt.Errorf("%w: %s", errVips, l.lastError())
		}
		if !direct {
			s.keep(buffer[top*s.width*s.kept:][:int(strip.height)*s.width*s.kept], into)
		}
	}
	return nil
}

// keep turns pixels as they come, which it changes, into those that are kept.
func (s strips) keep(kept, come []byte) {
	n := len(kept) / s.kept
	if s.wide {
		for i := range n * s.bands {
			come[i] = come[2*i+1] // little-endian
		}
	}
	come = come[:n*s.bands]
	switch {
	case s.cmyk: // without a profile, as browsers do it
		for i := range n {
			ink, rgb := come[4*i:4*i+4], kept[3*i:3*i+3]
			white := 255 - uint32(ink[3])
			for c := range rgb {
				rgb[c] = byte((255 - uint32(ink[c])) * white / 255)
			}
		}
		return
	case s.bands == s.kept:
		copy(kept, come)
		return
	}
	pixels.OverWhite(come, s.kept, 1)
	if s.kept == 1 {
		for i := range kept {
			kept[i] = come[2*i]
		}
		return
	}
	for i := range n {
		from, to := come[4*i:4*i+4], kept[3*i:3*i+3]
		to[0], to[1], to[2] = from[0], from[1], from[2]
	}
}

// take returns a buffer of n bytes, of unknown contents.
func (d *Vips) take(n int) ([]byte, error) {
	if n > maxPooled {
		return d.large.take(n)
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

// give keeps a buffer for the next image, or frees it when enough are kept.
func (d *Vips) give(b []byte) {
	if len(b) > maxPooled {
		d.large.give(b)
		return
	}
	select {
	case d.buffers <- b:
	default:
	}
}
