package decode_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// tiffAs is an EXIF block whose orientation is written as a type of number, in a byte order, behind another entry.
func tiffAs(order binary.AppendByteOrder, kind uint16, orientation uint32) []byte {
	block := []byte("MM")
	if order.String() == binary.LittleEndian.String() {
		block = []byte("II")
	}
	block = order.AppendUint32(order.AppendUint16(block, 42), 8)
	block = order.AppendUint16(block, 2)
	block = append(order.AppendUint32(order.AppendUint16(order.AppendUint16(block, 0x0110), 2), 3), "X1\x00\x00"...) // the model
	block = order.AppendUint32(order.AppendUint16(order.AppendUint16(block, 0x0112), kind), 1)
	switch kind {
	case 1:
		block = append(block, byte(orientation), 0, 0, 0)
	case 3, 8:
		block = order.AppendUint16(order.AppendUint16(block, uint16(orientation)), 0)
	default:
		block = order.AppendUint32(block, orientation)
	}
	return order.AppendUint32(block, 0)
}

func app(marker byte, body ...[]byte) []byte {
	all := slices.Concat(body...)
	return append([]byte{0xFF, marker, byte((len(all) + 2) >> 8), byte(len(all) + 2)}, all...)
}

// rawProfileOf is an EXIF block as ImageMagick puts it into a text chunk.
func rawProfileOf(block []byte) []byte {
	digits := hex.EncodeToString(block)
	text := fmt.Sprintf("\nexif\n%8d\n", len(block))
	for len(digits) > 72 {
		text, digits = text+digits[:72]+"\n", digits[72:]
	}
	return []byte(text + digits + "\n")
}

func deflated(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	_, err := w.Write(text)
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Senders write the orientation in many ways; a photo on its side is judged wrongly.
func TestOrientationIsReadAsSendersWriteIt(t *testing.T) {
	t.Parallel()
	plainJPEG, plainPNG := encodeJPEG(t, picture(80, 48)), encodePNG(t, picture(80, 48))
	mark, six := []byte("Exif\x00\x00"), tiff(6)
	inJPEG := func(head ...[]byte) []byte {
		return slices.Concat(append([][]byte{plainJPEG[:2]}, append(head, plainJPEG[2:])...)...)
	}
	exif := app(0xE1, mark, six)
	frame := bytes.Index(plainJPEG, []byte{0xFF, 0xC0})
	files := map[string][]byte{
		"JPEG fill bytes":                inJPEG([]byte{0xFF, 0xFF, 0xFF}, exif),
		"JPEG stray bytes":               inJPEG(app(0xFE, []byte("a comment")), []byte{0, 0, 0}, exif),
		"JPEG stray text":                inJPEG(app(0xFE, []byte("a comment")), []byte("stray"), exif),
		"JPEG behind other segments":     inJPEG(app(0xE0, []byte("JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00")), app(0xE2, []byte("MPF\x00")), app(0xFE, []byte("a comment")), exif),
		"JPEG behind XMP":                inJPEG(app(0xE1, []byte("http://ns.adobe.com/xap/1.0/\x00<x/>")), exif),
		"JPEG behind a thumbnail's":      inJPEG(app(0xE1, []byte("http://ns.adobe.com/xap/1.0/\x00"), app(0xE1, mark, tiff(3))), exif),
		"JPEG behind a block without it": inJPEG(app(0xE1, mark, tiffAs(binary.BigEndian, 3, 0)), exif),
		"JPEG behind a broken block":     inJPEG(app(0xE1, mark, []byte("II*\x00\xff\xff\xff\x7f")), exif),
		"JPEG behind an empty block":     inJPEG(app(0xE1, mark), exif),
		"JPEG the first of two":          inJPEG(exif, app(0xE1, mark, tiff(3))),
		"JPEG behind the frame header":   slices.Concat(plainJPEG[:frame], exif, plainJPEG[frame:]),
		"JPEG with another picture":      slices.Concat(inJPEG(exif), withEXIF(plainJPEG, 3)),
		"JPEG with 0xFF in the mark":     inJPEG(app(0xE1, []byte("Exif\x00\xff"), six)),
		"PNG eXIf":                       withChunk(plainPNG, "eXIf", six),
		"PNG eXIf with a JPEG's mark":    withChunk(plainPNG, "eXIf", slices.Concat(mark, six)),
		"PNG eXIf at the end":            slices.Concat(plainPNG[:len(plainPNG)-12], withChunk(plainPNG, "eXIf", six)[33:33+12+len(six)], plainPNG[len(plainPNG)-12:]),
		"PNG tEXt":                       withChunk(plainPNG, "tEXt", slices.Concat([]byte("Raw profile type exif\x00"), rawProfileOf(slices.Concat(mark, six)))),
		"PNG tEXt APP1":                  withChunk(plainPNG, "tEXt", slices.Concat([]byte("Raw profile type APP1\x00"), rawProfileOf(slices.Concat(mark, six)))),
		"PNG tEXt without the mark":      withChunk(plainPNG, "tEXt", slices.Concat([]byte("Raw profile type exif\x00"), rawProfileOf(six))),
		"PNG zTXt":                       withChunk(plainPNG, "zTXt", slices.Concat([]byte("Raw profile type exif\x00\x00"), deflated(t, rawProfileOf(slices.Concat(mark, six))))),
		"PNG iTXt":                       withChunk(plainPNG, "iTXt", slices.Concat([]byte("Raw profile type exif\x00\x00\x00en\x00\x00"), rawProfileOf(slices.Concat(mark, six)))),
		"PNG iTXt packed":                withChunk(plainPNG, "iTXt", slices.Concat([]byte("Raw profile type exif\x00\x01\x00en\x00\x00"), deflated(t, rawProfileOf(slices.Concat(mark, six))))),
		"PNG eXIf before tEXt":           withChunk(withChunk(plainPNG, "eXIf", six), "tEXt", slices.Concat([]byte("Raw profile type exif\x00"), rawProfileOf(tiff(3)))),
	}
	for _, order := range []binary.AppendByteOrder{binary.BigEndian, binary.LittleEndian} {
		for name, kind := range map[string]uint16{"BYTE": 1, "SHORT": 3, "LONG": 4, "SSHORT": 8, "SLONG": 9} {
			block := tiffAs(order, kind, 6)
			files["JPEG "+name+" "+order.String()] = inJPEG(app(0xE1, mark, block))
			files["PNG "+name+" "+order.String()] = withChunk(plainPNG, "eXIf", block)
		}
	}
	upright := map[string][]byte{
		"JPEG 0":               inJPEG(app(0xE1, mark, tiff(0))),
		"JPEG LONG 65542":      inJPEG(app(0xE1, mark, tiffAs(binary.LittleEndian, 4, 6+1<<16))),
		"JPEG behind the scan": slices.Concat(plainJPEG[:len(plainJPEG)-2], exif, plainJPEG[len(plainJPEG)-2:]),
		"JPEG inside XMP":      inJPEG(app(0xE1, []byte("http://ns.adobe.com/xap/1.0/\x00"), exif)),
		"JPEG cut off mark":    inJPEG(app(0xE1, []byte("Exif\x00"))),
		"JPEG without entries": inJPEG(app(0xE1, mark, []byte("MM\x00*\x00\x00\x00\x08\xff\xff"))),
		"PNG other text":       withChunk(plainPNG, "tEXt", slices.Concat([]byte("Comment\x00"), rawProfileOf(six))),
		"PNG no digits":        withChunk(plainPNG, "tEXt", []byte("Raw profile type exif\x00\nexif\n 8\nnothing")),
		"PNG no lines":         withChunk(plainPNG, "tEXt", []byte("Raw profile type exif\x00")),
		"PNG not packed":       withChunk(plainPNG, "zTXt", []byte("Raw profile type exif\x00\x00nothing")),
		"PNG empty iTXt":       withChunk(plainPNG, "iTXt", []byte("Raw profile type exif\x00\x01")),
	}
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		for name, data := range files {
			t.Run(name, func(t *testing.T) { wantOrder(t, d, data, [4]int{2, 0, 3, 1}) })
		}
		for name, data := range upright {
			t.Run(name+" is upright", func(t *testing.T) { wantOrder(t, d, data, [4]int{0, 1, 2, 3}) })
		}
	})
}

func wantOrder(t *testing.T, d decode.Decoder, data []byte, order [4]int) {
	t.Helper()
	format, ok := decode.DetectFormat(data)
	if !ok {
		t.Fatal("neither JPEG nor PNG")
	}
	wantQuadrants(t, mustDecode(t, d, data, format), order, 8)
}

// What a file says beside its pixels is bounded as they are: a megabyte of it would unpack to a gigabyte.
func TestMetadataDoesNotUnpackToMoreThanAPhoto(t *testing.T) { //nolint:paralleltest // it looks at the memory of the process
	plainJPEG, plainPNG := encodeJPEG(t, picture(80, 48)), encodePNG(t, picture(80, 48))
	zeros := func(n int) []byte { return bytes.Repeat([]byte("0"), n) }
	text := pngChunk("zTXt", slices.Concat([]byte("Raw profile type exif\x00\x00"), deflated(t, slices.Concat([]byte("\nexif\n9\n"), zeros(256<<10)))))
	noText := pngChunk("zTXt", slices.Concat([]byte("Raw profile type exif\x00\x00"), deflated(t, zeros(256<<10))))
	profile := pngChunk("iCCP", slices.Concat([]byte("x\x00\x00"), deflated(t, zeros(4<<20))))
	behindIHDR := func(chunk []byte, times int) []byte {
		return slices.Concat(plainPNG[:33], bytes.Repeat(chunk, times), plainPNG[33:])
	}
	files := map[string][]byte{
		"PNG texts":           behindIHDR(text, 3000),
		"PNG texts of none":   behindIHDR(noText, 3000),
		"PNG profiles":        behindIHDR(profile, 250),
		"JPEG of many blocks": slices.Concat(plainJPEG[:2], bytes.Repeat(app(0xE1, []byte("Exif\x00\x00"), tiff(0)), 30000), plainJPEG[2:]),
	}
	d := decode.NewStdlib(decode.Limits{})
	for name, data := range files {
		t.Run(name, func(t *testing.T) {
			format, _ := decode.DetectFormat(data)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if img, err := d.Decode(t.Context(), data, format); err == nil {
				img.Release()
			}
			runtime.ReadMemStats(&after)
			const most = 64 << 20
			if taken := after.TotalAlloc - before.TotalAlloc; taken > most {
				t.Errorf("a file of %d kB takes %d MB", len(data)>>10, taken>>20)
			}
		})
	}
}
