package decode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image/jpeg"
	"image/png"
	"net/http"
	"strings"

	"github.com/pas-ta/liveness/inference/pixels"
)

// header is what is known of an image before its pixels are decoded.
type header struct {
	format        Format
	width, height int
	// components counts the colour components of a JPEG: 4 means CMYK. samples is how many samples a pixel has on
	// average, 1.5 with the usual subsampled chroma.
	components int
	samples    float64
	// progressive is true for a JPEG of several scans, interlaced for a PNG of several passes.
	progressive, interlaced bool
	// depth is the bits per channel, channels their number, of a PNG.
	depth, channels int
	orientation     pixels.Orientation
}

// readHeader checks everything that can be checked without decoding pixels.
func readHeader(data []byte, stated Format, limits Limits) (header, error) {
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
	h.format = stated
	if err := h.check(limits); err != nil {
		return header{}, err
	}
	h.orientation = readOrientation(data, stated)
	return h, nil
}

// check compares the size in the header with the limits.
func (h header) check(limits Limits) error {
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
	if h.decodedBytes() > int64(limits.MaxDecodedBytes) {
		return refuse(KindTooManyPixels, nil,
			"The image (%d×%d pixels) needs too much memory in this encoding: send it scaled down, or with 8 bits per channel and neither interlaced nor progressive",
			h.width, h.height)
	}
	return nil
}

// decodedBytes estimates the peak memory of a decode. The pure Go decoders set the figures; the native one needs less.
func (h header) decodedBytes() int64 {
	pixels := int64(h.width) * int64(h.height)
	if h.format == PNG || h.components == 0 {
		perPixel := int64(h.channels) * int64(h.depth) / 8
		if h.channels >= 2 {
			perPixel = 4 * max(1, int64(h.depth)/8) // Go keeps colour with an alpha channel
		}
		perPixel = max(perPixel, 1)
		if h.interlaced {
			perPixel *= 2 // a pass is decoded beside the whole image
		}
		return pixels * perPixel
	}
	perPixel := h.samples
	if h.components == 4 {
		perPixel += 4 // the planes are put together into one CMYK image
	}
	if h.progressive {
		perPixel += 4 * h.samples // a 32-bit coefficient per sample is kept between the scans
	}
	return int64(float64(pixels) * perPixel)
}

var pngMagic = []byte("\x89PNG\r\n\x1a\n")

// checkFormat compares the first bytes with the stated format. The name of what the bytes are instead goes into the
// message, because a wrong image_format is the most frequent mistake of a first integration.
func checkFormat(data []byte, stated Format) error {
	actual := sniff(data)
	switch {
	case actual == string(stated):
		return nil
	case actual == string(JPEG), actual == string(PNG):
		return refuse(KindNotStatedFormat, nil, "The image is not a %s but a %s: set image_format to %q",
			strings.ToUpper(string(stated)), strings.ToUpper(actual), actual)
	case actual != "":
		return refuse(KindNotStatedFormat, nil, "The image is not a %s but %s: convert it to JPEG or PNG",
			strings.ToUpper(string(stated)), actual)
	default:
		return refuse(KindNotAnImage, nil, "The bytes are not a %s image: send the bytes of a JPEG or PNG file, base64-encoded once",
			strings.ToUpper(string(stated)))
	}
}

// DetectFormat returns the format that the first bytes of a file belong to.
// ok is false when it is neither JPEG nor PNG.
func DetectFormat(data []byte) (f Format, ok bool) {
	f = Format(sniff(data))
	return f, f == JPEG || f == PNG
}

// sniff names the format that the first bytes belong to, "" when unknown.
func sniff(data []byte) string {
	switch {
	case bytes.HasPrefix(data, []byte{0xFF, 0xD8, 0xFF}):
		return string(JPEG)
	case bytes.HasPrefix(data, pngMagic):
		return string(PNG)
	case bytes.HasPrefix(data, []byte("II*\x00")), bytes.HasPrefix(data, []byte("MM\x00*")):
		return "TIFF"
	case len(data) >= 12 && string(data[4:8]) == "ftyp":
		switch string(data[8:12]) {
		case "heic", "heix", "mif1", "msf1", "hevc":
			return "HEIC"
		case "avif", "avis":
			return "AVIF"
		}
		return "a video"
	}
	kind := http.DetectContentType(data[:min(len(data), 512)])
	name, isImage := strings.CutPrefix(kind, "image/")
	switch {
	case isImage && name != "jpeg" && name != "png":
		return strings.ToUpper(strings.TrimPrefix(name, "x-"))
	case kind == "application/pdf":
		return "PDF"
	}
	return ""
}

// jpegHeader walks over the segments of a JPEG. The size, kind and number of components come from the frame header; the
// walk goes on to the end to count the scans, which costs about a millisecond for 10 MB.
func jpegHeader(data []byte, limits Limits) (header, error) {
	h := header{depth: 8}
	scans, at := 0, 2
	for {
		marker, next := nextMarker(data, at)
		if marker == 0 || marker == 0xD9 { // the data or the image ends
			break
		}
		at = next
		if marker == 0x01 || marker >= 0xD0 && marker <= 0xD8 {
			continue // stands alone, without a length
		}
		if at+2 > len(data) {
			break
		}
		length := int(binary.BigEndian.Uint16(data[at:]))
		if length < 2 {
			return header{}, corrupted(errors.New("a segment shorter than its length field"))
		}
		segment := data[at+2 : min(at+length, len(data))]
		switch {
		case marker == 0xDA:
			scans++
		case marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC:
			if len(segment) < 6 {
				return header{}, corrupted(errors.New("the frame header is cut off"))
			}
			if marker > 0xC2 {
				return header{}, refuse(KindUnsupported, nil,
					"The JPEG is lossless, hierarchical or arithmetic-coded: save it as an ordinary (baseline or progressive) JPEG")
			}
			if h.components == 0 { // a second frame is refused by the decoder
				h.height = int(binary.BigEndian.Uint16(segment[1:]))
				h.width = int(binary.BigEndian.Uint16(segment[3:]))
				h.components = int(segment[5])
				h.samples = samplesPerPixel(segment[6:], h.components)
				h.progressive = marker == 0xC2
				if err := h.check(limits); err != nil {
					return header{}, err
				}
			}
		}
		at += length
		if at >= len(data) {
			break
		}
	}
	if h.components == 0 {
		return header{}, corrupted(errors.New("no frame header"))
	}
	if scans > limits.MaxScans {
		return header{}, refuse(KindUnsupported, nil,
			"The JPEG has %d scans, at most %d are accepted: save it again as an ordinary JPEG", scans, limits.MaxScans)
	}
	// The decoder's own view of the header has the last word on what it can do.
	if _, err := jpeg.DecodeConfig(bytes.NewReader(data)); err != nil {
		return header{}, decoderError(err)
	}
	return h, nil
}

// samplesPerPixel adds up the sampling factors of a frame header's components. Factors that make no sense count as full
// resolution: the decoder refuses them later.
func samplesPerPixel(table []byte, components int) float64 {
	total, most := 0, 0
	for i := range components {
		if 3*i+1 >= len(table) {
			return float64(components)
		}
		factors := int(table[3*i+1]>>4) * int(table[3*i+1]&0xF)
		total += factors
		most = max(most, factors)
	}
	if most == 0 || total < most {
		return float64(components)
	}
	return float64(total) / float64(most)
}

// nextMarker finds the next marker at or after at and returns its code and the offset behind it, or 0 at the end of the
// data. Stuffed zero bytes and restart markers inside entropy-coded data are passed over.
func nextMarker(data []byte, at int) (code byte, next int) {
	for at < len(data) {
		i := bytes.IndexByte(data[at:], 0xFF)
		if i < 0 || at+i+1 >= len(data) {
			return 0, len(data)
		}
		at += i + 1
		switch c := data[at]; {
		case c == 0xFF:
			continue // fill byte: the next one may be the code
		case c == 0 || c >= 0xD0 && c <= 0xD7:
			at++
		default:
			return c, at + 1
		}
	}
	return 0, len(data)
}

// pngHeader reads the fixed IHDR chunk.
func pngHeader(data []byte) (header, error) {
	const ihdrEnd = 8 + 8 + 13
	if len(data) < ihdrEnd || string(data[12:16]) != "IHDR" {
		return header{}, corrupted(errors.New("no IHDR chunk"))
	}
	width, height := binary.BigEndian.Uint32(data[16:]), binary.BigEndian.Uint32(data[20:])
	if width == 0 || height == 0 || width > 1<<31-1 || height > 1<<31-1 {
		return header{}, corrupted(errors.New("a side of zero or over 2³¹−1"))
	}
	h := header{width: int(width), height: int(height), depth: int(data[24]), interlaced: data[28] == 1}
	switch data[25] {
	case 0, 3: // grey, palette
		h.channels = 1
	case 4:
		h.channels = 2
	case 2:
		h.channels = 3
	case 6:
		h.channels = 4
	}
	if _, err := png.DecodeConfig(bytes.NewReader(data)); err != nil {
		// A side of 30000 is only refused by the decoder on 32 bits; our own limit has the clearer message.
		if _, ok := errors.AsType[png.UnsupportedError](err); !ok {
			return header{}, decoderError(err)
		}
	}
	return h, nil
}

func corrupted(cause error) *Error {
	return refuse(KindCorrupted, cause,
		"The image is corrupted or cut off: check that the whole file was read and base64-encoded, then send it again")
}

// decoderError sorts what the pure Go decoders say into kinds.
func decoderError(err error) error {
	var jpegUnsupported jpeg.UnsupportedError
	var pngUnsupported png.UnsupportedError
	if errors.As(err, &jpegUnsupported) || errors.As(err, &pngUnsupported) {
		return refuse(KindUnsupported, err,
			"The image uses a feature of its format that is not supported: save it again as an ordinary 8-bit JPEG or PNG")
	}
	return corrupted(err)
}
