package decode

import (
	"encoding/binary"
	"math"
	"strings"
	"unicode/utf16"
)

// profile is the ICC profile that a file says its colours by.
type profile struct {
	space string // "RGB ", "GRAY" or "CMYK"
	name  string
	// tables is set when the colours go through tables of colours, which only a colour engine can apply.
	tables bool
	// intent is the rendering intent that the tables are for.
	intent string
	// curves and toXYZ say the colours without tables; curves is nil when the profile has nothing but tables.
	curves []func(x float64) float64
	toXYZ  matrix3
	// visible is set when colours taken for sRGB would look different.
	visible bool
}

// fits reports whether the profile is one for images of as many colours.
func (p *profile) fits(colours int) bool {
	return p != nil && p.space == map[int]string{1: "GRAY", 3: "RGB ", 4: "CMYK"}[colours]
}

// readProfile reads an ICC profile, nil when it is none: a profile that nobody can read is as good as none.
func readProfile(data []byte) *profile {
	if len(data) < 132 || string(data[36:40]) != "acsp" {
		return nil
	}
	t := iccTags{}
	for i := range min(int(binary.BigEndian.Uint32(data[128:])), 100) {
		entry := 132 + 12*i
		if entry+12 > len(data) {
			return nil
		}
		from, size := int(binary.BigEndian.Uint32(data[entry+4:])), int(binary.BigEndian.Uint32(data[entry+8:]))
		if from < 0 || size < 8 || from > len(data) || size > len(data)-from {
			continue
		}
		t[string(data[entry:entry+4])] = data[from : from+size]
	}
	p := &profile{space: string(data[16:20]), name: t.text("desc"), intent: "relative", visible: true}
	switch m := t.matrix(); {
	case p.space == "GRAY":
		p.toXYZ, p.curves = sRGBMatrix, t.curves("kTRC", "kTRC", "kTRC")
	case p.space == "RGB " && m != nil:
		p.toXYZ, p.curves = *m, t.curves("rTRC", "gTRC", "bTRC")
	}
	switch {
	case t["A2B0"] != nil:
		p.tables, p.intent = true, "perceptual"
	case t["A2B1"] != nil:
		p.tables = true
	case p.curves == nil:
		return nil
	default:
		p.visible = p.differs()
	}
	return p
}

// iccTags are the elements of a profile by their signatures.
type iccTags map[string][]byte

// text returns a description in plain letters.
func (t iccTags) text(tag string) string {
	data := t[tag]
	var runes []rune
	switch {
	case len(data) >= 12 && string(data[:4]) == "desc":
		end := min(12+int(binary.BigEndian.Uint32(data[8:])), len(data))
		runes = []rune(string(data[12:max(end, 12)]))
	case len(data) >= 28 && string(data[:4]) == "mluc":
		from, size := int(binary.BigEndian.Uint32(data[24:])), int(binary.BigEndian.Uint32(data[20:]))
		if from < 0 || size < 0 || from > len(data) || size > len(data)-from {
			return ""
		}
		var units []uint16
		for i := from; i+1 < from+size; i += 2 {
			units = append(units, binary.BigEndian.Uint16(data[i:]))
		}
		runes = utf16.Decode(units)
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, string(runes[:min(len(runes), 60)]))
}

// matrix3 turns linear colours into XYZ or back.
type matrix3 [3][3]float64

func (m matrix3) times(v [3]float64) (out [3]float64) {
	for i, row := range m {
		out[i] = row[0]*v[0] + row[1]*v[1] + row[2]*v[2]
	}
	return out
}

// The matrices of sRGB, adapted to the white of profiles (D50).
var (
	sRGBMatrix = matrix3{
		{0.4360747, 0.3850649, 0.1430804},
		{0.2225045, 0.7168786, 0.0606169},
		{0.0139322, 0.0971045, 0.7141733},
	}
	sRGBInverse = matrix3{
		{3.1338561, -1.6168667, -0.4906146},
		{-0.9787684, 1.9161415, 0.0334540},
		{0.0719453, -0.2289914, 1.4052427},
	}
)

// matrix returns the primaries, nil when they are not all there.
func (t iccTags) matrix() *matrix3 {
	var m matrix3
	for column, tag := range []string{"rXYZ", "gXYZ", "bXYZ"} {
		data := t[tag]
		if len(data) < 20 || string(data[:4]) != "XYZ " {
			return nil
		}
		for row := range 3 {
			m[row][column] = fixed(data[8+4*row:])
		}
	}
	return &m
}

// fixed reads an s15Fixed16Number.
func fixed(data []byte) float64 { return float64(int32(binary.BigEndian.Uint32(data))) / (1 << 16) }

// curves returns the curves of three channels, nil when one of them cannot be read.
func (t iccTags) curves(tags ...string) (all []func(x float64) float64) {
	for _, tag := range tags {
		f := t.curve(tag)
		if f == nil {
			return nil
		}
		all = append(all, f)
	}
	return all
}

// curve returns what makes encoded values linear, nil when it cannot be read.
func (t iccTags) curve(tag string) func(x float64) float64 {
	data := t[tag]
	if len(data) < 12 {
		return nil
	}
	switch string(data[:4]) {
	case "curv":
		n := int(binary.BigEndian.Uint32(data[8:]))
		table := data[12:]
		switch {
		case n == 0:
			return func(x float64) float64 { return x }
		case n < 0 || n > len(table)/2:
			return nil
		case n == 1:
			gamma := float64(binary.BigEndian.Uint16(table)) / 256
			return func(x float64) float64 { return math.Pow(x, gamma) }
		}
		return func(x float64) float64 {
			at := x * float64(n-1)
			i := min(int(at), n-2)
			low, high := float64(binary.BigEndian.Uint16(table[2*i:])), float64(binary.BigEndian.Uint16(table[2*i+2:]))
			return (low + (high-low)*(at-float64(i))) / 0xFFFF
		}
	case "para":
		kind := int(binary.BigEndian.Uint16(data[8:]))
		counts := []int{1, 3, 4, 5, 7}
		if kind >= len(counts) || len(data) < 12+4*counts[kind] {
			return nil
		}
		var v [7]float64 // g, a, b, c, d, e, f
		for i := range counts[kind] {
			v[i] = fixed(data[12+4*i:])
		}
		return parametric(kind, v)
	}
	return nil
}

// parametric returns a curve of ICC.1 10.18.
func parametric(kind int, v [7]float64) func(x float64) float64 {
	g, a, b, c, d, e, f := v[0], v[1], v[2], v[3], v[4], v[5], v[6]
	switch kind {
	case 0:
		return func(x float64) float64 { return math.Pow(x, g) }
	case 1, 2:
		return func(x float64) float64 { return math.Pow(max(a*x+b, 0), g) + c } // c is 0 in kind 1
	}
	return func(x float64) float64 {
		if x < d {
			return c*x + f
		}
		return math.Pow(max(a*x+b, 0), g) + e
	}
}

// probes are colours that show what a profile changes: greys, skin, and strong colours.
var probes = [][3]float64{
	{64, 64, 64}, {128, 128, 128}, {200, 200, 200}, {224, 172, 150}, {120, 80, 60}, {220, 60, 50}, {60, 180, 70}, {60, 80, 200},
}

// visibleSteps is how many of the 255 steps of a channel a colour has to move until it is seen, or judged otherwise. The
// many spellings of sRGB differ by 1 or 2.
const visibleSteps = 4

// differs reports whether one of the probes is another colour in sRGB.
func (p *profile) differs() bool {
	for _, probe := range probes {
		var v [3]float64
		for i := range v {
			v[i] = p.curves[i](probe[i] / 255)
		}
		for i, got := range sRGBInverse.times(p.toXYZ.times(v)) {
			if !(math.Abs(255*encodeSRGB(got)-probe[i]) < visibleSteps) {
				return true
			}
		}
	}
	return false
}

// encodeSRGB is sRGB's own curve, from linear values.
func encodeSRGB(x float64) float64 {
	x = min(max(x, 0), 1)
	if x <= 0.0031308 {
		return 12.92 * x
	}
	return 1.055*math.Pow(x, 1/2.4) - 0.055
}
