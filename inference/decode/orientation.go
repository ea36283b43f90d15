package decode

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"io"
	"iter"

	"github.com/bep/imagemeta"

	"github.com/pas-ta/liveness/inference/pixels"
)

// readOrientation returns how an image has to be turned by its EXIF data, 1 when that says nothing. Of several blocks the
// first that states an orientation counts, as in browsers. Broken metadata is not the sender's concern as long as the
// pixels are whole, so every error means that a block says nothing.
//
// A file has room for a million blocks, and a packed one unpacks to a thousand times its size: only the first few are read.
func readOrientation(data []byte, format Format) pixels.Orientation {
	blocks := jpegEXIF(data)
	if format == PNG {
		blocks = pngEXIF(data)
	}
	read := 0
	for block := range blocks {
		if o := exifOrientation(block); o > 0 {
			return o
		}
		if read++; read == maxBlocks {
			break
		}
	}
	return 1
}

// maxBlocks is how many blocks of metadata are read: photos have one, edited ones a second.
const maxBlocks = 16

var exifMark = []byte("Exif\x00")

// jpegEXIF gives the TIFF block of each EXIF segment before the first scan. Fill bytes and stray ones between segments are
// passed over, as libjpeg does; what follows the scan belongs to other pictures: previews, motion photos, gain maps.
func jpegEXIF(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for at := 2; ; {
			marker, _, next := nextMarker(data, at)
			if marker == 0 || marker == 0xD9 || marker == 0xDA || next+2 > len(data) {
				return
			}
			at = next
			if marker == 0x01 || marker == 0xD8 {
				continue // stands alone, without a length
			}
			length := int(binary.BigEndian.Uint16(data[at:]))
			segment := data[min(at+2, len(data)):min(at+max(length, 2), len(data))]
			if marker == 0xE1 && bytes.HasPrefix(segment, exifMark) && len(segment) > len(exifMark)+1 && !yield(segment[len(exifMark)+1:]) {
				return
			}
			at += max(length, 2)
		}
	}
}

// pngEXIF gives the TIFF blocks of the eXIf chunk and, behind it, of the text chunks that programs wrote before there was
// one. These are unpacked one after the other, when they are wanted.
func pngEXIF(data []byte) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var texts []rawProfile
		for kind, chunk := range pngChunks(data) {
			switch kind {
			case "eXIf":
				if !yield(withoutMark(chunk)) {
					return
				}
			case "tEXt", "zTXt", "iTXt":
				if text, ok := findRawProfile(kind, chunk); ok && len(texts) < maxBlocks {
					texts = append(texts, text)
				}
			}
		}
		for _, text := range texts {
			if !yield(withoutMark(text.block())) {
				return
			}
		}
	}
}

// pngChunks gives type and contents of each chunk; the last one may be cut off.
func pngChunks(data []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		const head, checksum = 8, 4
		for at := len(pngMagic); at+head <= len(data); {
			length, kind := int64(binary.BigEndian.Uint32(data[at:])), string(data[at+4:at+head])
			end := min(int64(at+head)+length, int64(len(data)))
			if !yield(kind, data[at+head:end]) || kind == "IEND" {
				return
			}
			at = int(min(end+checksum, int64(len(data))))
		}
	}
}

// withoutMark drops what only a JPEG segment has in front of its TIFF block; some writers keep it elsewhere.
func withoutMark(block []byte) []byte {
	if bytes.HasPrefix(block, exifMark) && len(block) > len(exifMark) {
		return block[len(exifMark)+1:]
	}
	return block
}

// maxProfileText is how much of a text chunk is unpacked: an EXIF block, which has 64 KB at most, in hexadecimal.
const maxProfileText = 256 << 10

// rawProfile is a text chunk with an EXIF block, as ImageMagick, exiftool and others write it: named by the keyword, as a line with
// the kind, one with the length, and hexadecimal digits.
type rawProfile struct {
	text   []byte
	packed bool
}

// findRawProfile returns what is behind the keyword of such a chunk; ok is false for other texts.
func findRawProfile(kind string, chunk []byte) (_ rawProfile, ok bool) {
	keyword, text, _ := bytes.Cut(chunk, []byte{0})
	if !bytes.EqualFold(keyword, []byte("Raw profile type exif")) && !bytes.EqualFold(keyword, []byte("Raw profile type APP1")) {
		return rawProfile{}, false
	}
	packed := kind == "zTXt"
	if kind == "iTXt" && len(text) > 2 {
		packed = text[0] == 1
		_, text, _ = bytes.Cut(text[2:], []byte{0}) // the language
		_, text, _ = bytes.Cut(text, []byte{0})     // the keyword in that language
	} else if packed && len(text) > 0 {
		text = text[1:] // the method, of which there is one
	}
	return rawProfile{text, packed}, true
}

// block returns the EXIF block, empty when there is none.
func (p rawProfile) block() []byte {
	text := p.text
	if p.packed {
		r, err := zlib.NewReader(bytes.NewReader(text))
		if err != nil {
			return nil
		}
		// What could be unpacked counts.
		text, _ = io.ReadAll(io.LimitReader(r, maxProfileText))
	}
	lines := bytes.SplitN(bytes.TrimLeft(text, "\n"), []byte("\n"), 3)
	if len(lines) < 3 {
		return nil
	}
	digits := bytes.Join(bytes.Fields(lines[2][:min(len(lines[2]), maxProfileText)]), nil)
	block := make([]byte, len(digits)/2)
	n, _ := hex.Decode(block, digits)
	return block[:n]
}

// exifOrientation reads the orientation out of a TIFF block, whichever type of number it is written as, and returns 0 when
// it states none.
func exifOrientation(block []byte) (o pixels.Orientation) {
	defer func() { _ = recover() }() // a fault of the reader on hostile bytes must not cost the photo
	// The error is of no interest: what was read up to it counts.
	_, _ = imagemeta.Decode(imagemeta.Options{
		R:           bytes.NewReader(block),
		ImageFormat: imagemeta.TIFF,
		Sources:     imagemeta.EXIF,
		ShouldHandleTag: func(tag imagemeta.TagInfo) bool {
			return tag.Namespace == "IFD0" && tag.Tag == "Orientation"
		},
		HandleTag: func(tag imagemeta.TagInfo) error {
			var value int64
			switch v := tag.Value.(type) {
			case uint8:
				value = int64(v)
			case uint16:
				value = int64(v)
			case uint32:
				value = int64(v)
			case int32:
				value = int64(v)
			}
			if value >= 1 && value <= 8 {
				o = pixels.Orientation(value)
			}
			return imagemeta.ErrStopWalking
		},
		LimitNumTags: 500,
	})
	return o
}
