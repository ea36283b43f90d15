package main

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf16"

	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/parts"
	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
)

// sharedImage returns a reference image. They lie beside the repository and are no part of it; another place is named by
// LIVENESS_TEST_SHARED. Without them the test is skipped by name, and fails in CI.
func sharedImage(t *testing.T, name string) []byte {
	t.Helper()
	file := filepath.Join(cmp.Or(os.Getenv("LIVENESS_TEST_SHARED"), "../../../shared"), "images", name)
	data, err := os.ReadFile(file)
	switch {
	case err == nil:
		return data
	case os.Getenv("CI") != "":
		t.Fatal(err)
	}
	t.Skipf("NOT TESTED: %v; put the reference images beside the repository or name their folder by LIVENESS_TEST_SHARED", err)
	return nil
}

// jpegFile is a JPEG taken apart at its markers, so that senders' ways of writing one can be made without touching a pixel.
type jpegFile struct {
	segments [][]byte // up to the scan
	scan     []byte   // the scan's header and everything behind
}

func takeApart(photo []byte) jpegFile {
	var f jpegFile
	at := 2
	for photo[at+1] != 0xDA {
		next := at + 2 + int(binary.BigEndian.Uint16(photo[at+2:]))
		f.segments = append(f.segments, photo[at:next])
		at = next
	}
	f.scan = photo[at:]
	return f
}

// with returns the file whose segments are each replaced by what edit returns of them.
func (f jpegFile) with(edit func(segment []byte) []byte) []byte {
	out := []byte{0xFF, 0xD8}
	for _, segment := range f.segments {
		out = append(out, edit(segment)...)
	}
	return append(out, f.scan...)
}

func isEXIF(segment []byte) bool {
	return segment[1] == 0xE1 && bytes.HasPrefix(segment[4:], []byte("Exif"))
}

// withEXIF returns the file whose EXIF segment is replaced.
func (f jpegFile) withEXIF(edit func(exif []byte) []byte) []byte {
	return f.with(func(segment []byte) []byte {
		if isEXIF(segment) {
			return edit(segment)
		}
		return segment
	})
}

func (f jpegFile) without(marker byte) []byte {
	return f.with(func(segment []byte) []byte {
		if segment[1] == marker {
			return nil
		}
		return segment
	})
}

// orientation replaces the orientation entry: its type, count and value.
func (f jpegFile) orientation(kind, value byte) []byte {
	return f.withEXIF(func(exif []byte) []byte {
		at := bytes.Index(exif, []byte{0x12, 0x01, 3, 0, 1, 0, 0, 0}) // little-endian, SHORT, one value
		edited := bytes.Clone(exif)
		edited[at+2], edited[at+8] = kind, value
		return edited
	})
}

// in front returns the file with bytes in front of its EXIF segment.
func (f jpegFile) inFrontOfEXIF(b ...byte) []byte {
	return f.withEXIF(func(exif []byte) []byte { return append(b, exif...) })
}

// wideQuantisers writes quantisation tables with 16 bits for each value.
func wideQuantisers(segment []byte) []byte {
	if segment[1] != 0xDB {
		return segment
	}
	body := []byte{}
	for tables := segment[4:]; len(tables) >= 65; tables = tables[65:] {
		body = append(body, 0x10|tables[0])
		for _, quantiser := range tables[1:65] {
			body = append(body, 0, quantiser)
		}
	}
	return append(binary.BigEndian.AppendUint16([]byte{0xFF, 0xDB}, uint16(len(body)+2)), body...)
}

// withoutHeight writes 0 for the height into the frame header.
func withoutHeight(segment []byte) []byte {
	if segment[1] != 0xC0 {
		return segment
	}
	edited := bytes.Clone(segment)
	edited[5], edited[6] = 0, 0
	return edited
}

// withDNL says the height in a segment behind the scan.
func withDNL(f jpegFile) []byte {
	var height []byte
	edited := f.with(func(segment []byte) []byte {
		if segment[1] == 0xC0 {
			height = segment[5:7]
		}
		return withoutHeight(segment)
	})
	end := len(edited) - 2
	return slices.Concat(edited[:end], []byte{0xFF, 0xDC, 0, 4}, height, edited[end:])
}

// verdictOf is an answer of the API.
type verdictOf struct {
	Data  v1.Verdict
	Error struct{ Code, Message string }
}

const bodyOfPhoto = `{"details": true, "image": %q, "image_format": "jpeg"}`

// intake is a photo or a body as real senders make them, and what it must give.
type intake struct {
	photo  []byte // sent as a JPEG
	body   []byte // sent as it is, instead of a photo
	within float64
	// refused is the code of the refusal, "" for one that is judged within `within` of the photo as it was made; says is in
	// its text.
	refused, says string
}

// Photos and bodies as real senders make them: whatever shows the same face is judged as it is, with both decoders, and
// whatever is refused is told why. The edits are those of bytes alone, no pixel is encoded again.
func TestIntake(t *testing.T) {
	t.Parallel()
	photo := sharedImage(t, "image_T1.jpg")
	file := takeApart(photo)
	const same, turned = 0.02, 0.05
	text := base64.StdEncoding.EncodeToString(photo)
	body := fmt.Sprintf(bodyOfPhoto, text)
	all := map[string]intake{
		"orientation-long":       {photo: file.orientation(4, 6), within: same},
		"orientation-slong":      {photo: file.orientation(9, 6), within: same},
		"fill-bytes-before-exif": {photo: file.inFrontOfEXIF(0xFF, 0xFF, 0xFF), within: same},
		"zero-bytes-before-exif": {photo: file.inFrontOfEXIF(0, 0, 0), within: same},
		"exif-stripped-sideways": {photo: file.without(0xE1), within: turned},
		"exif-says-upside-down":  {photo: file.orientation(3, 8), within: turned},
		"exif-says-nothing":      {photo: file.orientation(3, 0), within: turned},
		"exif-says-half-a-turn":  {photo: file.orientation(3, 3), within: turned},
		"no-end-of-image":        {photo: photo[:len(photo)-2], within: same},
		"no-huffman-tables":      {photo: file.without(0xC4), within: same},
		"quantisers-of-16-bits":  {photo: file.with(wideQuantisers), within: same},
		"height-behind-the-scan": {photo: withDNL(file), within: same},
		"height-nowhere":         {photo: file.with(withoutHeight), refused: "invalid_image", says: "height"},
		"HEIC":                   {photo: []byte("\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic\x00\x00\x00\x08mdat"), refused: "invalid_image", says: "HEIC"},
		"WebP":                   {photo: []byte("RIFF\x24\x00\x00\x00WEBPVP8 \x18\x00\x00\x00\x30\x01\x00\x9d\x01\x2a"), refused: "invalid_image", says: "WEBP"},
		"JPEG-in-TIFF":           {photo: slices.Concat([]byte("II*\x00\x08\x00\x00\x00"), photo), refused: "invalid_image", says: "TIFF"},
		"iOS-optimised-PNG":      {body: fmt.Appendf(nil, strings.Replace(bodyOfPhoto, "jpeg", "png", 1), base64.StdEncoding.EncodeToString([]byte("\x89PNG\r\n\x1a\n\x00\x00\x00\x04CgBI\x50\x00\x20\x06\x2c\xb8\x77\x66\x00\x00\x00\x0dIHDR"))), refused: "invalid_image", says: "iOS-optimised PNG"},
		"cut-in-the-scan":        {photo: photo[:len(photo)*3/4], refused: "invalid_image", says: "truncated"},
		"trailing-bytes":         {photo: slices.Concat(photo, make([]byte, 4096), []byte("MotionPhoto_Data")), within: same},
		"body-plain":             {body: []byte(body), within: same},
		"body-utf8-bom":          {body: []byte("\ufeff" + body), within: same},
		"body-utf16":             {body: inUTF16(binary.LittleEndian, "\ufeff"+body), refused: "invalid_request", says: "UTF-8"},
		"body-utf16-be":          {body: inUTF16(binary.BigEndian, "\ufeff"+body), refused: "invalid_request", says: "UTF-8"},
		"body-utf16-no-mark":     {body: inUTF16(binary.LittleEndian, body), refused: "invalid_request", says: "UTF-8"},
		"body-format-jpg":        {body: []byte(strings.Replace(body, `"jpeg"`, `"jpg"`, 1)), within: same},
		"body-format-upper-case": {body: []byte(strings.Replace(body, `"jpeg"`, `"JPEG"`, 1)), within: same},
		"body-format-media-type": {body: []byte(strings.Replace(body, `"jpeg"`, `"image/jpeg"`, 1)), within: same},
		"body-format-PNG":        {body: []byte(strings.Replace(body, `"jpeg"`, `"PNG"`, 1)), refused: "invalid_image", says: `image_format to "jpeg"`},
		"body-format-unknown":    {body: []byte(strings.Replace(body, `"jpeg"`, `"webp"`, 1)), refused: "invalid_request", says: `"jpeg" or "png"`},
		"body-data-address":      {body: []byte(strings.Replace(body, text, "data:image/jpeg;base64,"+text, 1)), refused: "invalid_image", says: "data:"},
		"body-URL-safe":          {body: []byte(strings.Replace(body, text, base64.URLEncoding.EncodeToString(photo), 1)), refused: "invalid_image", says: "URL-safe"},
		"body-wrapped":           {body: []byte(strings.Replace(body, text, text[:76]+`\r\n`+text[76:], 1)), within: same},
		"body-wrapped-raw":       {body: []byte(strings.Replace(body, text, text[:76]+"\n"+text[76:], 1)), refused: "invalid_request", says: "base64 -w0"},
		"several-exif-blocks":    {photo: file.withEXIF(func(exif []byte) []byte { return slices.Concat(exif, exif) }), within: same},
		"other-segments-in-front": {photo: file.withEXIF(func(exif []byte) []byte {
			return slices.Concat([]byte("\xff\xe2\x00\x06MPF\x00\xff\xfe\x00\x03x"), exif)
		}), within: same},
	}
	for name, decoder := range intakeDecoders(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			api := newCheckable(t, inference.Config{Workers: 1, Decoder: decoder})
			_, want := api.judge(t, []byte(body))
			for _, kind := range slices.Sorted(maps.Keys(all)) {
				in := all[kind]
				if in.photo != nil {
					in.body = fmt.Appendf(nil, bodyOfPhoto, base64.StdEncoding.EncodeToString(in.photo))
				}
				status, got := api.judge(t, in.body)
				t.Logf("%-24s %-8s %d likelihood %.3f valid %v %s %s", kind, name, status, got.Data.IsFakeLikelihood, got.Data.IsValidFace, got.Error.Code, got.Error.Message)
				switch {
				case in.refused != "" && (status != http.StatusBadRequest || got.Error.Code != in.refused || !strings.Contains(got.Error.Message, in.says)):
					t.Errorf("%s: %d %s %q, want 400 %s that says %q", kind, status, got.Error.Code, got.Error.Message, in.refused, in.says)
				case in.refused == "" && (status != http.StatusOK || math.Abs(got.Data.IsFakeLikelihood-want.Data.IsFakeLikelihood) > in.within ||
					got.Data.IsValidFace != want.Data.IsValidFace || got.Data.Details.Box != want.Data.Details.Box):
					t.Errorf("%s: %d likelihood %.3f, valid %v, %+v, %s; want %.3f within %v, valid %v, %+v", kind, status, got.Data.IsFakeLikelihood,
						got.Data.IsValidFace, got.Data.Details, got.Error.Message, want.Data.IsFakeLikelihood, in.within, want.Data.IsValidFace, want.Data.Details)
				}
			}
		})
	}
}

func (c *checkable) judge(t *testing.T, body []byte) (status int, v verdictOf) {
	t.Helper()
	answer := c.send(http.MethodPost, v1.PathCheck, body)
	if err := json.Unmarshal(answer.Body.Bytes(), &v); err != nil {
		t.Fatalf("%s: %v", answer.Body, err)
	}
	return answer.Code, v
}

func intakeDecoders(t *testing.T) map[string]decode.Decoder {
	t.Helper()
	path, err := parts.New(parts.Options{}).Libvips(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	native, err := decode.OpenNative(path, decode.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]decode.Decoder{"go": decode.NewStdlib(decode.Limits{}), "libvips": native}
}

func inUTF16(order binary.AppendByteOrder, text string) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(text)) {
		out = order.AppendUint16(out, unit)
	}
	return out
}

// Health says which decoder judges, and in which version: the first question when two nodes seem to differ.
func TestHealthNamesTheDecoder(t *testing.T) {
	t.Parallel()
	for name, decoder := range intakeDecoders(t) {
		engine := newCheckable(t, inference.Config{Workers: 1, Decoder: decoder}).engine
		component := decoderComponent(engine)
		version, err := component.Version(t.Context())
		if !strings.HasPrefix(version, name+" ") || !strings.ContainsAny(version, "0123456789") || err != nil || component.Probe(t.Context()) != nil {
			t.Errorf("the decoder %s is named %q, %v", name, version, err)
		}
	}
}
