package decode

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// Markers of ITU-T T.81 and JFIF that say something of a picture.
const (
	markerSOF0  = 0xC0 // baseline; SOF1 is sequential too, SOF2 progressive
	markerSOF2  = 0xC2
	markerDHT   = 0xC4
	markerJPG   = 0xC8
	markerDAC   = 0xCC
	markerSOF15 = 0xCF
	markerRST0  = 0xD0
	markerRST7  = 0xD7
	markerSOI   = 0xD8
	markerEOI   = 0xD9
	markerSOS   = 0xDA
	markerDQT   = 0xDB
	markerDNL   = 0xDC
	markerDRI   = 0xDD
	markerAPP0  = 0xE0
	markerAPP2  = 0xE2
	markerAPP14 = 0xEE
	markerAPP15 = 0xEF
	markerCOM   = 0xFE
)

// component is a colour component of a JPEG's frame: how many samples it has of each group of pixels.
type component struct {
	id   byte
	h, v int
}

func (c component) samples() int { return c.h * c.v }

// scan is one pass over the coefficients of some components of a JPEG.
type scan struct {
	components []int // indices of the frame's components
	first      int   // coefficients that it codes, in zigzag order
	last       int
	refines    bool // it adds a bit to coefficients that earlier scans have coded
}

// jpegWalk goes over the segments of a JPEG and sorts them into those that decide the pixels and those that do not. What
// it finds in an order, a spelling or a place that decoders stumble over, although every pixel is there, it puts right in
// what it hands on.
type jpegWalk struct {
	data []byte
	h    header

	kept   [][]byte // segments that decide the pixels
	keptTo int      // where in data the last of kept ends, -1 when it is not of data
	frame  []byte   // the frame header in kept, a copy
	mended bool     // kept differs from data in more than what decoders pass over
	ended  bool     // a marker follows the last scan
	ahead  bool     // what follows a scan that holds all there is does not matter

	jfif    bool
	adobe   int // the transform of Adobe's segment, -1 without one
	profile map[byte][]byte
	parts   byte // of the profile
	// sent is, for each component and coefficient, 1 more than the lowest bit that scans have coded, 0 before the first.
	sent [4][64]int
}

func walkFor(data []byte) jpegWalk { return jpegWalk{data: data, h: header{format: JPEG}, adobe: -1} }

// jpegHeader reads everything but the pixels. The walk ends with the first scan when that holds all there is, else at the
// end of the image, which costs about a millisecond for 10 MB.
func jpegHeader(data []byte, limits Limits) (header, error) {
	w := walkFor(data)
	if err := w.segments(limits); err != nil {
		return header{}, err
	}
	if err := w.complete(); err != nil {
		return header{}, err
	}
	w.finish()
	return w.h, nil
}

// segments walks to the end of what is needed.
func (w *jpegWalk) segments(limits Limits) error {
	for at := 2; ; {
		code, start, next := nextMarker(w.data, at)
		if start > at {
			w.mended = true // stray bytes, or markers that have no place here
		}
		switch {
		case code == 0:
			return nil
		case code == markerEOI:
			w.ended = true
			return nil
		case code == markerSOI && len(w.h.scans) > 0:
			w.mended = true // the next image of a file whose first one does not say where it ends
			return nil
		case code == markerSOI || code == 0x01:
			w.mended = true
			at = next
			continue
		}
		if next+2 > len(w.data) {
			return truncated(errors.New("the file ends in a segment"))
		}
		length := int(binary.BigEndian.Uint16(w.data[next:]))
		if length < 2 {
			return damaged(errors.New("a segment shorter than its length field"))
		}
		end := next + length
		if end > len(w.data) {
			return truncated(errors.New("the file ends in a segment"))
		}
		body := w.data[next+2 : end]
		if code == markerSOS {
			after, err := w.scan(start, end, body, limits)
			if err != nil || w.h.whole {
				return err
			}
			at = after
			continue
		}
		if err := w.segment(code, start, end, body); err != nil {
			return err
		}
		at = end
	}
}

// segment takes note of one segment that is not a scan.
func (w *jpegWalk) segment(code byte, start, end int, body []byte) error {
	switch {
	case code == markerDQT || code == markerDHT || code == markerDRI:
		w.keep(start, end)
	case code >= markerSOF0 && code <= markerSOF15 && code != markerJPG && code != markerDAC:
		return w.frameHeader(code, start, end, body)
	case code == markerAPP0 && bytes.HasPrefix(body, []byte("JFIF\x00")):
		w.jfif = true
		w.mended = w.mended || len(body) < 6 || body[5] != 1 // a version that libjpeg warns of
	case code == markerAPP14 && len(body) >= 12 && bytes.HasPrefix(body, []byte("Adobe")):
		w.adobe = int(body[11])
	case code == markerAPP2 && len(body) > 14 && bytes.HasPrefix(body, []byte("ICC_PROFILE\x00")):
		w.keep(start, end)
		if w.profile == nil {
			w.profile, w.parts = map[byte][]byte{}, body[13]
		}
		if w.profile[body[12]] == nil {
			w.profile[body[12]] = body[14:]
		}
	case code == markerDNL && w.h.height == 0 && len(w.h.scans) > 0:
		w.lines(body)
	case code >= markerAPP0 && code <= markerAPP15, code == markerCOM, code == markerDNL, code == markerDAC:
	default:
		w.mended = true // reserved: decoders give up on it
	}
	return nil
}

// keep hands on a part of the data, together with the last one where they lie side by side.
func (w *jpegWalk) keep(from, to int) {
	if n := len(w.kept); n > 0 && w.keptTo == from {
		w.kept[n-1] = w.data[from-len(w.kept[n-1]) : to]
	} else {
		w.kept = append(w.kept, w.data[from:to])
	}
	w.keptTo = to
}

// replace hands on something else than the data says, and returns it.
func (w *jpegWalk) replace(by []byte) []byte {
	w.kept, w.keptTo = append(w.kept, by), -1
	return by
}

// frameHeader reads size and components.
func (w *jpegWalk) frameHeader(code byte, start, end int, body []byte) error {
	if len(body) < 6 || len(body) < 6+3*int(body[5]) {
		return damaged(errors.New("a frame header that is too short"))
	}
	if w.frame != nil {
		w.keep(start, end) // decoders refuse a second one
		return nil
	}
	if kind := map[byte]string{0xC3: "lossless", 0xC9: "arithmetic-coded", 0xCA: "arithmetic-coded", 0xCB: "lossless"}[code]; kind != "" {
		return unsupported("The JPEG is %s, which browsers do not show either: save it as an ordinary (baseline or progressive) JPEG", kind)
	}
	if code > markerSOF2 {
		return unsupported("The JPEG is hierarchical, which browsers do not show either: save it as an ordinary (baseline or progressive) JPEG")
	}
	if body[0] != 8 {
		return unsupported("The JPEG has %d bits per channel, only 8 are shown by browsers: save it with 8", body[0])
	}
	h := &w.h
	h.depth, h.channels, h.progressive = 8, int(body[5]), code == markerSOF2
	h.height, h.width = int(binary.BigEndian.Uint16(body[1:])), int(binary.BigEndian.Uint16(body[3:]))
	if h.channels != 1 && h.channels != 3 && h.channels != 4 {
		return unsupported("The JPEG has %d colour components, only 1 (grey), 3 (colour) and 4 (CMYK) are accepted: save it as a colour JPEG", h.channels)
	}
	if h.width == 0 {
		return unsupported("The width is missing: the JPEG says that it is 0 pixels wide. Save it again with an image editor")
	}
	for i := range h.channels {
		c := component{body[6+3*i], int(body[7+3*i] >> 4), int(body[7+3*i] & 0xF)}
		if c.h < 1 || c.h > 4 || c.v < 1 || c.v > 4 {
			return damaged(fmt.Errorf("sampling factors %d×%d", c.h, c.v))
		}
		h.components = append(h.components, c)
	}
	if h.channels == 1 {
		h.components[0].h, h.components[0].v = 1, 1 // T.81 A.2.2: factors of a single component mean nothing
	}
	if err := h.checkSampling(); err != nil {
		return err
	}
	w.frame = w.replace(bytes.Clone(w.data[start:end]))
	return nil
}

// checkSampling refuses what neither libjpeg nor any browser shows.
func (h header) checkSampling() error {
	mostH, mostV := h.mostSamples()
	for _, c := range h.components {
		if mostH%c.h != 0 || mostV%c.v != 0 {
			return unsupported("The JPEG has chroma sampled %s, in no whole proportion: save it again with the usual sampling (4:2:0 or 4:4:4)", h.sampling())
		}
	}
	return nil
}

// mostSamples returns the largest sampling factors of the components: those of a component at full resolution.
func (h header) mostSamples() (mostH, mostV int) {
	for _, c := range h.components {
		mostH, mostV = max(mostH, c.h), max(mostV, c.v)
	}
	return mostH, mostV
}

// sampling spells the sampling factors as cjpeg does.
func (h header) sampling() string {
	var all []string
	for _, c := range h.components {
		all = append(all, fmt.Sprintf("%dx%d", c.h, c.v))
	}
	return strings.Join(all, ",")
}

// scan takes note of a scan and of the coded data behind it, and returns where the data ends.
func (w *jpegWalk) scan(start, end int, body []byte, limits Limits) (after int, err error) {
	h := &w.h
	if w.frame == nil {
		return 0, damaged(errors.New("a scan before the frame header"))
	}
	if len(body) < 1 || len(body) < 4+2*int(body[0]) || body[0] == 0 || int(body[0]) > h.channels {
		return 0, damaged(errors.New("a scan header of another length than its components need"))
	}
	if len(h.scans) == limits.MaxScans {
		return 0, unsupported("The JPEG has more than %d scans: save it again as an ordinary JPEG", limits.MaxScans)
	}
	n := int(body[0])
	s := scan{last: 63}
	blocks := 0 // of a unit
	for i := range n {
		found := -1
		for j, c := range h.components {
			if c.id == body[1+2*i] && found < 0 {
				found = j
			}
		}
		if found < 0 {
			return 0, damaged(errors.New("a scan of a component that the frame does not have"))
		}
		s.components = append(s.components, found)
		blocks += h.components[found].samples()
	}
	if n > 1 && blocks > 10 { // T.81 B.2.3
		return 0, unsupported("The JPEG has chroma sampled %s, in larger units than the format allows: save it again with the usual sampling (4:2:0 or 4:4:4)", h.sampling())
	}
	parameters := body[1+2*n : 4+2*n]
	low := 0
	if h.progressive {
		s.first, s.last, s.refines = int(parameters[0]), int(parameters[1]), parameters[2]>>4 != 0
		low = int(parameters[2] & 0xF)
		if s.first > s.last || s.last > 63 {
			return 0, damaged(errors.New("a scan of coefficients that do not exist"))
		}
	}
	for _, c := range s.components {
		for k := s.first; k <= s.last; k++ {
			w.sent[c][k] = low + 1
		}
	}
	h.scans = append(h.scans, s)
	h.whole = !h.progressive && len(h.scans) == 1 && n == h.channels
	if h.whole && w.ahead {
		return end, nil
	}

	code, dataEnd, next := nextMarker(w.data, end)
	if !h.progressive && !bytes.Equal(parameters, []byte{0, 63, 0}) {
		// Some cameras leave zeros where a sequential JPEG has nothing to choose; decoders read it without looking.
		w.mended = true
		mended := w.replace(bytes.Clone(w.data[start:end]))
		copy(mended[len(mended)-len(body)+1+2*n:], []byte{0, 63, 0})
		w.kept, w.keptTo = append(w.kept, w.data[end:dataEnd]), dataEnd
	} else {
		w.keep(start, dataEnd)
	}
	if h.whole {
		w.ended = code != 0
		if code == markerDNL && h.height == 0 && next+4 <= len(w.data) {
			w.lines(w.data[next+2:])
		}
	}
	return dataEnd, nil
}

// lines takes the height from where a sender writes it that does not know it when it begins.
func (w *jpegWalk) lines(body []byte) {
	if len(body) < 2 {
		return
	}
	w.h.height = int(binary.BigEndian.Uint16(body))
	copy(w.frame[5:7], body[:2]) // behind marker, length and precision
	w.mended = true
}

// complete refuses what a scan is missing of.
func (w *jpegWalk) complete() error {
	h := w.h
	if w.frame == nil || len(h.scans) == 0 {
		return truncated(errors.New("no scan"))
	}
	if h.height == 0 {
		return unsupported("The height is missing: the JPEG says neither in its frame header nor in a DNL segment how many rows it has. Save it again with an image editor")
	}
	for i := range h.components {
		for k, sent := range w.sent[i] {
			// A file that says where it ends may leave out what it does not need; one that does not is cut short.
			if sent == 0 && k == 0 || sent != 1 && !w.ended {
				h.cut = !w.ended
				return h.failed(fmt.Errorf("component %d lacks coefficient %d", i, k))
			}
		}
	}
	return nil
}

// finish puts together what decoders are given.
func (w *jpegWalk) finish() {
	h := &w.h
	h.profile = readProfile(w.iccProfile())
	if c := h.components; h.channels == 3 && !w.jfif {
		h.rgb = w.adobe == 0 || w.adobe < 0 && string([]byte{c[0].id, c[1].id, c[2].id}) == "RGB"
	}
	if h.channels == 4 && w.adobe < 0 {
		w.mended = true
		w.adobe = 0 // CMYK, which everybody stores inverted
		if c := h.components; c[0].samples() == c[3].samples() && c[1].samples() < c[0].samples() && c[2].samples() < c[0].samples() {
			w.adobe = 2 // two components of lower resolution can only be chroma: YCCK
		}
	}
	// Decoders take a transform that they do not know for the usual one, with a warning.
	if usual := max(1, h.channels-2); h.channels != 1 && w.adobe > 0 && w.adobe != usual {
		w.mended = true
		w.adobe = usual
	}
	front := []byte{0xFF, markerSOI}
	if w.jfif {
		front = append(front, 0xFF, markerAPP0, 0, 16, 'J', 'F', 'I', 'F', 0, 1, 1, 0, 0, 1, 0, 1, 0, 0)
	}
	if w.adobe >= 0 {
		front = append(front, 0xFF, markerAPP14, 0, 14, 'A', 'd', 'o', 'b', 'e', 0, 100, 0, 0, 0, 0, byte(w.adobe))
	}
	// Frames of MJPEG leave out the tables that every decoder is supposed to know. A file's own ones come later and count.
	front = append(front, standardTables...)
	h.cut = !w.ended
	h.plain = !w.mended && w.ended
	h.parts = append([][]byte{front}, w.kept...)
}

// iccProfile returns the colour profile, nil when there is none or a part of it is missing.
func (w *jpegWalk) iccProfile() []byte {
	if w.parts == 1 {
		return w.profile[1]
	}
	var all []byte
	for i := range int(w.parts) {
		part := w.profile[byte(i+1)]
		if part == nil {
			return nil
		}
		all = append(all, part...)
	}
	return all
}

// nextMarker finds the next marker at or after at: its code, where it begins and where what belongs to it begins. The code
// is 0, and start the end of the data, when there is none. Fill bytes, stuffed zero bytes and restart markers are passed over.
func nextMarker(data []byte, at int) (code byte, start, next int) {
	for at < len(data) {
		i := bytes.IndexByte(data[at:], 0xFF)
		if i < 0 {
			break
		}
		start = at + i
		at = start + 1
		for at < len(data) && data[at] == 0xFF {
			at++
		}
		if at == len(data) {
			break
		}
		c := data[at]
		at++
		if c != 0 && (c < markerRST0 || c > markerRST7) {
			return c, start, at
		}
	}
	return 0, len(data), len(data)
}

// standardTables is a DHT segment with the tables of T.81 K.3.
var standardTables = func() []byte {
	tables, err := hex.DecodeString("FFC401A2" +
		"0000010501010101010100000000000000000102030405060708090A0B10000201030302040305050404" +
		"0000017D01020300041105122131410613516107227114328191A1082342B1C11552D1F0243362728209" +
		"0A161718191A25262728292A3435363738393A434445464748494A535455565758595A63646566676869" +
		"6A737475767778797A838485868788898A92939495969798999AA2A3A4A5A6A7A8A9AAB2B3B4B5B6B7B8" +
		"B9BAC2C3C4C5C6C7C8C9CAD2D3D4D5D6D7D8D9DAE1E2E3E4E5E6E7E8E9EAF1F2F3F4F5F6F7F8F9FA0100" +
		"030101010101010101010000000000000102030405060708090A0B110002010204040304070504040001" +
		"0277000102031104052131061241510761711322328108144291A1B1C109233352F0156272D10A162434" +
		"E125F11718191A262728292A35363738393A434445464748494A535455565758595A636465666768696A" +
		"737475767778797A82838485868788898A92939495969798999AA2A3A4A5A6A7A8A9AAB2B3B4B5B6B7B8" +
		"B9BAC2C3C4C5C6C7C8C9CAD2D3D4D5D6D7D8D9DAE2E3E4E5E6E7E8E9EAF2F3F4F5F6F7F8F9FA")
	if err != nil {
		panic(err)
	}
	return tables
}()
