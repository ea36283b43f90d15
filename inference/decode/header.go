package decode

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/pas-ta/liveness/inference/pixels"
)

// header is what is known of an image before its pixels are decoded.
type header struct {
	format        Format
	width, height int
	depth         int // bits per channel
	channels      int // colour components of a JPEG, 4 of them being CMYK; channels of a PNG, 1 when it has a palette

	components       []component // of a JPEG
	scans            []scan
	progressive, rgb bool
	// whole is true for a JPEG whose first scan holds all there is: its rows come out while it is read.
	whole bool

	interlaced, palette, transparent bool // of a PNG

	profile     *profile // nil without a colour profile that can be read
	orientation pixels.Orientation

	// parts are the file without what says nothing of the pixels, and put right where decoders stumble. For a JPEG, its
	// end is missing: see jpegEnd.
	parts [][]byte
	plain bool // libvips can be given the file of a JPEG as it is
	cut   bool // no marker says that the last scan of a JPEG is over
}

// readHeader checks everything that can be checked without decoding pixels, for a decoder with the given costs.
func readHeader(data []byte, stated Format, limits Limits, c costs) (header, error) {
	if len(data) == 0 {
		return header{}, refuse(KindEmpty, nil, "The image is empty: send the bytes of a JPEG or PNG file")
	}
	if len(data) > limits.MaxBytes {
		return header{}, refuse(KindTooManyBytes, nil,
			"The image has %.1f MB, at most %.0f MB are accepted: send it smaller or more strongly compressed",
			float64(len(data))/(1<<20), float64(limits.MaxBytes)/(1<<20))
	}
	if err := checkFormat(data, stated); err != nil {
		return header{}, err
	}
	var h header
	var err error
	if stated == JPEG {
		h, err = jpegHeader(data, limits)
	} else {
		h, err = pngHeader(data)
	}
	if err != nil {
		return header{}, err
	}
	if err := h.check(limits, c); err != nil {
		return header{}, err
	}
	h.orientation = readOrientation(data, stated)
	return h, nil
}

// check compares the size and what it costs with the limits.
func (h header) check(limits Limits, c costs) error {
	if h.width < limits.MinSide || h.height < limits.MinSide {
		return refuse(KindTooSmall, nil,
			"The image has %d×%d pixels, too small to show a face: send at least %d×%d, better 480×640",
			h.width, h.height, limits.MinSide, limits.MinSide)
	}
	// Divided, not multiplied: the product of two header fields overflows an int where it has 32 bits.
	if h.width > limits.MaxPixels/h.height {
		return refuse(KindTooManyPixels, nil,
			"The image has %d×%d pixels, at most %.0f megapixels are accepted: send it scaled down",
			h.width, h.height, float64(limits.MaxPixels)/1e6)
	}
	if c.exceeds(h, limits) {
		return refuse(KindTooManyPixels, nil,
			"The image (%d×%d pixels%s) costs too much to decode: send it scaled down, or as an ordinary baseline JPEG",
			h.width, h.height, h.kind())
	}
	return nil
}

// kind names what makes an image costlier than its size says.
func (h header) kind() string {
	text := ""
	if h.channels == 4 && h.format == JPEG {
		text += ", CMYK"
	}
	if len(h.scans) > 1 {
		text += fmt.Sprintf(", %d scans", len(h.scans))
	}
	if h.depth == 16 {
		text += ", 16-bit"
	}
	if h.interlaced {
		text += ", interlaced"
	}
	if h.converted() {
		text += ", with a colour profile"
	}
	return text
}

// converted reports whether the colours are others than those of sRGB.
func (h header) converted() bool { return h.profile.fits(h.colours()) && h.profile.visible }

// colours is how many channels of colour a pixel has, without transparency.
func (h header) colours() int {
	switch {
	case h.palette:
		return 3
	case h.format == PNG:
		return h.channels - (h.channels+1)%2
	}
	return h.channels
}

// What a JPEG is ended with where it is handed on in parts.
var (
	endOfImage = []byte{0xFF, markerEOI}
	// prefetched is what libjpeg reads ahead of the last code of a scan. With it, and nothing behind it, a scan that is
	// complete is decoded, and one that is not makes libjpeg ask for what is not there: no code begins with so many ones.
	// Behind an end-of-image marker it would only make up the rest.
	prefetched = bytes.Repeat([]byte{0xFF, 0}, 8)
)

// reader reads the parts of the file, and ends it with what is given, until ctx is done.
func (h header) reader(ctx context.Context, end []byte) io.Reader {
	r := &partsReader{ctx: ctx, parts: append(slices.Clip(h.parts), end)}
	if h.format == JPEG && !h.whole {
		total := 0
		for _, p := range h.parts {
			total += len(p)
		}
		r.most = max(total/512, 64)
	}
	return r
}

// partsReader reads slices one after the other. It is by asking for more that a decoder in C notices that its caller has
// left; a few bytes can stand for a pass over all pixels, so that most limits how many are given at once.
type partsReader struct {
	ctx   context.Context
	parts [][]byte
	most  int // 0 for no limit
}

// Read fills p as far as most lets it: libspng takes less for the end of the file.
func (r *partsReader) Read(p []byte) (n int, err error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	if r.most > 0 {
		p = p[:min(len(p), r.most)]
	}
	for n < len(p) && len(r.parts) > 0 {
		taken := copy(p[n:], r.parts[0])
		n += taken
		if r.parts[0] = r.parts[0][taken:]; len(r.parts[0]) == 0 {
			r.parts = r.parts[1:]
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// failed says what is wrong with an image that a decoder did not get through.
func (h header) failed(cause error) *Error {
	if h.cut {
		return truncated(cause)
	}
	return damaged(cause)
}
