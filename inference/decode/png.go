package decode

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

var pngMagic = []byte("\x89PNG\r\n\x1a\n")

// maxProfileBytes is the largest colour profile that is unpacked from a PNG. Those of printing presses have up to 2 MB.
const maxProfileBytes = 4 << 20

// pngHeader reads everything but the pixels, and hands on the chunks that decide them: a text or a time that is damaged,
// and an end that is missing, take nothing away from the picture.
func pngHeader(data []byte) (header, error) {
	h := header{format: PNG, parts: [][]byte{pngMagic}}
	var pixels [][]byte
	size, profiled, ended := 0, false, false
	for at := len(pngMagic); !ended; {
		// Behind the pixels, what is missing is no more than a text or the end.
		rest := len(data) - at
		if rest < 12 {
			if size > 0 {
				break
			}
			return header{}, truncated(errors.New("the file ends in a chunk"))
		}
		length, kind := int(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+8])
		if at == len(pngMagic) {
			switch {
			case kind == "CgBI":
				return header{}, unsupported("The image is an iOS-optimised PNG, as Xcode packs them into apps, which no browser shows: send the original PNG, or a JPEG")
			case kind != "IHDR":
				return header{}, damaged(errors.New("no IHDR chunk"))
			}
		}
		if length < 0 || length > rest-12 {
			if size > 0 && isAncillary(kind) {
				break
			}
			return header{}, truncated(fmt.Errorf("the file ends in chunk %q", kind))
		}
		chunk, body := data[at:at+12+length], data[at+8:at+8+length]
		at += len(chunk)
		sound := crc32.ChecksumIEEE(chunk[4:8+length]) == binary.BigEndian.Uint32(chunk[8+length:])
		if !sound && !isAncillary(kind) {
			return header{}, damaged(fmt.Errorf("chunk %q has another checksum", kind))
		}
		switch kind {
		case "IHDR":
			if err := h.readIHDR(body); err != nil {
				return header{}, err
			}
			h.parts = append(h.parts, chunk)
		case "PLTE":
			h.parts = append(h.parts, chunk)
		case "tRNS":
			if sound {
				h.parts, h.transparent = append(h.parts, chunk), true
			}
		case "iCCP":
			// One alone counts, as for libpng: each of them unpacks to a thousand times its size.
			if sound && size == 0 && !profiled {
				profiled = true
				if profile := iccpProfile(body); profile != nil {
					h.profile = readProfile(profile)
					h.parts = append(h.parts, chunk)
				}
			}
		case "IDAT":
			pixels = append(pixels, body)
			size += length
		case "IEND":
			ended = true
		default:
			if !isAncillary(kind) {
				return header{}, damaged(fmt.Errorf("chunk %q is not known", kind))
			}
		}
	}
	if size == 0 {
		return header{}, truncated(errors.New("no pixels"))
	}
	// One chunk of pixels instead of many: a file of chunks of a byte each would cost more to read than to decode.
	sum := crc32.NewIEEE()
	start := append(binary.BigEndian.AppendUint32(nil, uint32(size)), "IDAT"...)
	_, _ = sum.Write(start[4:]) // never fails
	for _, p := range pixels {
		_, _ = sum.Write(p)
	}
	h.parts = append(append(h.parts, start), pixels...)
	h.parts = append(h.parts, append(sum.Sum(nil), "\x00\x00\x00\x00IEND\xAE\x42\x60\x82"...))
	return h, nil
}

// isAncillary reports whether a picture can be shown without knowing a chunk.
func isAncillary(kind string) bool { return kind[0]&0x20 != 0 }

// readIHDR reads size and kind.
func (h *header) readIHDR(body []byte) error {
	if len(body) != 13 || h.channels != 0 {
		return damaged(errors.New("an IHDR chunk of another length, or a second one"))
	}
	width, height := binary.BigEndian.Uint32(body), binary.BigEndian.Uint32(body[4:])
	if width == 0 || height == 0 || width > 1<<31-1 || height > 1<<31-1 {
		return damaged(errors.New("a side of zero or over 2³¹−1"))
	}
	h.width, h.height, h.depth, h.interlaced = int(width), int(height), int(body[8]), body[12] == 1
	h.palette = body[9] == 3
	h.channels = map[byte]int{0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[body[9]]
	depths := map[byte][]byte{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}[body[9]]
	if !bytes.Contains(depths, body[8:9]) || body[10] != 0 || body[11] != 0 || body[12] > 1 {
		return damaged(fmt.Errorf("kind %d with %d bits, compression %d, filter %d, interlace %d", body[9], body[8], body[10], body[11], body[12]))
	}
	return nil
}

// iccpProfile unpacks a colour profile, nil when that fails.
func iccpProfile(body []byte) []byte {
	_, packed, ok := bytes.Cut(body, []byte{0})
	if !ok || len(packed) < 1 || packed[0] != 0 {
		return nil
	}
	r, err := zlib.NewReader(bytes.NewReader(packed[1:]))
	if err != nil {
		return nil
	}
	profile, err := io.ReadAll(io.LimitReader(r, maxProfileBytes))
	if err != nil {
		return nil
	}
	return profile
}
