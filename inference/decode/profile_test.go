package decode_test

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// An ICC profile is a header, a table of tags and their elements.
func iccProfile(space string, tags ...string) []byte {
	profile := make([]byte, 128)
	copy(profile[8:], "\x02\x40\x00\x00mntr"+space+"XYZ ")
	copy(profile[36:], "acsp")
	copy(profile[68:], "\x00\x00\xF6\xD6\x00\x01\x00\x00\x00\x00\xD3\x2D") // D50
	n := len(tags) / 2
	table := binary.BigEndian.AppendUint32(nil, uint32(n))
	at := 128 + 4 + 12*n
	var elements []byte
	for i := range n {
		element := tags[2*i+1]
		table = append(table, tags[2*i]...)
		table = binary.BigEndian.AppendUint32(table, uint32(at+len(elements)))
		table = binary.BigEndian.AppendUint32(table, uint32(len(element)))
		elements = append(elements, element...)
		for len(elements)%4 != 0 {
			elements = append(elements, 0)
		}
	}
	profile = slices.Concat(profile, table, elements)
	binary.BigEndian.PutUint32(profile, uint32(len(profile)))
	return profile
}

func iccText(s string) string {
	text := "desc\x00\x00\x00\x00" + string(binary.BigEndian.AppendUint32(nil, uint32(len(s)+1))) + s + "\x00"
	return text + string(make([]byte, 78))
}

func iccXYZ(v [3]float64) string {
	out := []byte("XYZ \x00\x00\x00\x00")
	for _, x := range v {
		out = binary.BigEndian.AppendUint32(out, uint32(int32(math.Round(x*65536))))
	}
	return string(out)
}

// sRGBCurve is sRGB's as a parametric curve.
func sRGBCurve() string {
	out := []byte("para\x00\x00\x00\x00\x00\x03\x00\x00")
	for _, v := range []float64{2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045} {
		out = binary.BigEndian.AppendUint32(out, uint32(int32(math.Round(v*65536))))
	}
	return string(out)
}

// tableCurve is a curve of 256 points.
func tableCurve(f func(x float64) float64) string {
	out := []byte("curv\x00\x00\x00\x00\x00\x00\x01\x00")
	for i := range 256 {
		out = binary.BigEndian.AppendUint16(out, uint16(math.Round(65535*f(float64(i)/255))))
	}
	return string(out)
}

func gammaCurve(gamma float64) string {
	return "curv\x00\x00\x00\x00\x00\x00\x00\x01" + string(binary.BigEndian.AppendUint16(nil, uint16(math.Round(gamma*256))))
}

func linear(x float64) float64 {
	if x <= 0.04045 {
		return x / 12.92
	}
	return math.Pow((x+0.055)/1.055, 2.4)
}

// Primaries as profiles hold them: adapted to D50.
var (
	sRGBPrimaries  = [3][3]float64{{0.4360747, 0.2225045, 0.0139322}, {0.3850649, 0.7168786, 0.0971045}, {0.1430804, 0.0606169, 0.7141733}}
	p3Primaries    = [3][3]float64{{0.5151, 0.2412, -0.0011}, {0.2920, 0.6922, 0.0419}, {0.1571, 0.0666, 0.7841}}
	adobePrimaries = [3][3]float64{{0.6097559, 0.3111242, 0.0194811}, {0.2052401, 0.6256560, 0.0608902}, {0.1492240, 0.0632197, 0.7448387}}
)

func matrixProfile(name string, primaries [3][3]float64, curve string) []byte {
	return iccProfile("RGB ", "desc", iccText(name), "wtpt", iccXYZ([3]float64{0.9642, 1, 0.8249}),
		"rXYZ", iccXYZ(primaries[0]), "gXYZ", iccXYZ(primaries[1]), "bXYZ", iccXYZ(primaries[2]),
		"rTRC", curve, "gTRC", curve, "bTRC", curve)
}

// swapped are the primaries of sRGB with red and blue exchanged.
var swapped = [3][3]float64{sRGBPrimaries[2], sRGBPrimaries[1], sRGBPrimaries[0]}

// tablesProfile goes through tables (lut16): curves, a grid of two points a channel, and none. It exchanges red and blue.
// Light is added, and ink takes light away, so that a grid that is interpolated between its corners is exact.
func tablesProfile(space, name string) []byte {
	n := len(strings.TrimSpace(space))
	lut := append([]byte("mft2\x00\x00\x00\x00"), byte(n), 3, 2, 0)
	for i := range 9 {
		v := uint32(0)
		if i%4 == 0 {
			v = 1 << 16
		}
		lut = binary.BigEndian.AppendUint32(lut, v)
	}
	lut = binary.BigEndian.AppendUint16(lut, 256)
	lut = binary.BigEndian.AppendUint16(lut, 2)
	for range n {
		for i := range 256 {
			x := float64(i) / 255
			v := linear(x)
			if n == 4 {
				v = 1 - linear(1-x) // how much of the light is gone
			}
			lut = binary.BigEndian.AppendUint16(lut, uint16(math.Round(65535*v)))
		}
	}
	for corner := range 1 << n {
		var xyz [3]float64
		for c, primary := range swapped {
			light := float64(corner >> (n - 1 - c) & 1)
			if n == 4 {
				light = (1 - light) * (1 - float64(corner&1))
			}
			for i := range xyz {
				xyz[i] += light * primary[i]
			}
		}
		for _, v := range xyz {
			lut = binary.BigEndian.AppendUint16(lut, uint16(math.Round(min(v, 1.99)*32768)))
		}
	}
	for range 3 {
		lut = append(lut, 0, 0, 0xFF, 0xFF)
	}
	return iccProfile(space, "desc", iccText(name), "wtpt", iccXYZ([3]float64{0.9642, 1, 0.8249}), "A2B0", string(lut))
}

// withProfile puts a profile into a JPEG, in pieces.
func withProfile(t testing.TB, data, profile []byte) []byte {
	t.Helper()
	const most = 2000
	pieces := slices.Collect(slices.Chunk(profile, most))
	var segments []byte
	for i, piece := range pieces {
		body := append([]byte("ICC_PROFILE\x00"), byte(i+1), byte(len(pieces)))
		body = append(body, piece...)
		segments = append(segments, 0xFF, 0xE2, byte((len(body)+2)>>8), byte(len(body)+2))
		segments = append(segments, body...)
	}
	return insert(t, data, 0xDB, segments...)
}

// withPNGProfile does the same for a PNG.
func withPNGProfile(data, profile []byte) []byte {
	var packed bytes.Buffer
	w := zlib.NewWriter(&packed)
	_, _ = w.Write(profile)
	_ = w.Close()
	return withChunk(data, "iCCP", append([]byte("test\x00\x00"), packed.Bytes()...))
}

// The colours of a picture whose profile exchanges red and blue.
func TestProfilesAreApplied(t *testing.T) {
	t.Parallel()
	exchanged := [4]int{2, 1, 0, 3}
	photo, pngs := encodeJPEG(t, picture(80, 48)), encodePNG(t, picture(80, 48))
	matrix := matrixProfile("exchanged", swapped, sRGBCurve())
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		wantQuadrants(t, mustDecode(t, d, withProfile(t, photo, matrix), decode.JPEG), exchanged, 8)
		wantQuadrants(t, mustDecode(t, d, withPNGProfile(pngs, matrix), decode.PNG), exchanged, 4)
		wantQuadrants(t, mustDecode(t, d, withPNGProfile(craftedPNG(70, 50, pngPalette, 8, false), matrix), decode.PNG), exchanged, 4)
		wantQuadrants(t, mustDecode(t, d, withPNGProfile(craftedPNG(70, 50, pngRGBA, 16, true), matrix), decode.PNG), exchanged, 4)
		// With the orientation, and in a file that has to be put right.
		sideways := withEXIF(withProfile(t, photo, matrix), 6)
		wantQuadrants(t, mustDecode(t, d, sideways[:len(sideways)-2], decode.JPEG), [4]int{0, 2, 3, 1}, 8)
		grey := withPNGProfile(craftedPNG(70, 50, pngGrey, 8, false), iccProfile("GRAY", "desc", iccText("linear"), "kTRC", gammaCurve(1)))
		if got := colourAt(mustDecode(t, d, grey, decode.PNG), 50, 40); got[0] < 238 || got[0] > 240 || got[0] != got[2] { // 220, linear
			t.Errorf("grey of a linear curve: %v", got)
		}
	})
	tables := withProfile(t, photo, tablesProfile("RGB ", "tables"))
	wantQuadrants(t, mustDecode(t, openVips(t, decode.Limits{}), tables, decode.JPEG), exchanged, 12)
}

// Adobe RGB and Display P3 hold colours that sRGB writes otherwise.
func TestWideColours(t *testing.T) {
	t.Parallel()
	photo := encodePNG(t, picture(80, 48))
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		for name, tc := range map[string]struct {
			profile []byte
			want    [3]float32 // of (200, 30, 30)
		}{
			"Display P3": {matrixProfile("Display P3", p3Primaries, sRGBCurve()), [3]float32{219, 0, 6}},
			"Adobe RGB":  {matrixProfile("Adobe RGB (1998)", adobePrimaries, gammaCurve(563./256)), [3]float32{233, 24, 24}},
		} {
			got := colourAt(mustDecode(t, d, withPNGProfile(photo, tc.profile), decode.PNG), 10, 10)
			for c := range got {
				if diff := got[c] - tc.want[c]; diff > 2 || diff < -2 {
					t.Errorf("%s: %v, want %v", name, got, tc.want)
					break
				}
			}
		}
	})
}

// sRGB is written in many ways; whoever sends it pays for none of them.
func TestSRGBIsLeftAlone(t *testing.T) {
	t.Parallel()
	photo := encodePNG(t, picture(80, 48))
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		plain := colourAt(mustDecode(t, d, photo, decode.PNG), 10, 10)
		for name, profile := range map[string][]byte{
			"parametric":     matrixProfile("sRGB", sRGBPrimaries, sRGBCurve()),
			"table":          matrixProfile("sRGB IEC61966-2.1", sRGBPrimaries, tableCurve(linear)),
			"gamma 2.2":      matrixProfile("gamma", sRGBPrimaries, gammaCurve(2.2)),
			"of another use": iccProfile("CMYK", "desc", iccText("CMYK")),
			"grey for RGB":   iccProfile("GRAY", "desc", iccText("grey"), "kTRC", gammaCurve(1)),
			"no tags":        iccProfile("RGB "),
			"nonsense":       bytes.Repeat([]byte("acsp"), 60),
		} {
			if got := colourAt(mustDecode(t, d, withPNGProfile(photo, profile), decode.PNG), 10, 10); got != plain {
				t.Errorf("%s: %v, want %v", name, got, plain)
			}
		}
	})
}
