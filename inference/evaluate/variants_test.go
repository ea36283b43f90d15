package evaluate

import (
	"bytes"
	"image"
	"image/color"
	_ "image/jpeg"
	_ "image/png"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// marked is a grey picture, its corners red, green, blue and white from the left top clockwise.
func marked() *image.RGBA {
	m := image.NewRGBA(image.Rect(0, 0, 80, 60))
	for y := range 60 {
		for x := range 80 {
			c := color.RGBA{100, 100, 100, 255}
			switch {
			case x < 20 && y < 20:
				c = color.RGBA{200, 0, 0, 255}
			case x >= 60 && y < 20:
				c = color.RGBA{0, 200, 0, 255}
			case x >= 60 && y >= 40:
				c = color.RGBA{0, 0, 200, 255}
			case x < 20 && y >= 40:
				c = color.RGBA{200, 200, 200, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

func TestVariants(t *testing.T) {
	t.Parallel()
	const red, green, blue, white, grey = "red", "green", "blue", "white", "grey"
	want := map[string]struct {
		width, height int
		corners       [4]string // from the left top clockwise, a few pixels from the edge
	}{
		unchanged: {80, 60, [4]string{red, green, blue, white}}, "JPEG quality 95": {80, 60, [4]string{red, green, blue, white}},
		"JPEG quality 90": {80, 60, [4]string{red, green, blue, white}}, "JPEG quality 80": {80, 60, [4]string{red, green, blue, white}},
		"JPEG quality 70": {80, 60, [4]string{red, green, blue, white}}, "JPEG quality 50": {80, 60, [4]string{red, green, blue, white}},
		"JPEG quality 30": {80, 60, [4]string{red, green, blue, white}},
		"half size":       {40, 30, [4]string{red, green, blue, white}}, "quarter size": {20, 15, [4]string{red, green, blue, white}},
		"mirrored": {80, 60, [4]string{green, red, white, blue}}, "shifted 2 pixels left": {78, 60, [4]string{red, green, blue, white}},
		"shifted 2 pixels up": {80, 58, [4]string{red, green, blue, white}},
		"brightness 50 %":     {80, 60, [4]string{red, green, blue, white}}, "brightness 75 %": {80, 60, [4]string{red, green, blue, white}},
		"brightness 130 %": {80, 60, [4]string{red, green, blue, white}}, "brightness 160 %": {80, 60, [4]string{red, green, blue, white}},
		"greyscale":         {80, 60, [4]string{grey, white, grey, white}},
		"grey border, 10 %": {92, 72, [4]string{white, white, white, white}}, "black border, 10 %": {92, 72, [4]string{grey, grey, grey, grey}},
		"white border, 10 %": {92, 72, [4]string{white, white, white, white}},
		"turned by 90°":      {60, 80, [4]string{white, red, green, blue}}, "turned by 180°": {80, 60, [4]string{blue, white, red, green}},
		"turned by 270°": {60, 80, [4]string{green, blue, white, red}},
	}
	// A border's own shade: mid grey reads as white here, black as grey.
	named := func(c color.Color) string {
		r, g, b, _ := c.RGBA()
		most, least := max(r, g, b)>>8, min(r, g, b)>>8
		switch {
		case most-least < 40 && most > 85:
			return white
		case most-least < 40:
			return grey
		case r > g && r > b:
			return red
		case g > b:
			return green
		}
		return blue
	}
	for _, v := range variants() {
		expected, known := want[v.name]
		if !known {
			t.Errorf("%s is not expected", v.name)
			continue
		}
		delete(want, v.name)
		data, err := v.make(marked())
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		if _, known := decode.DetectFormat(data); !known {
			t.Errorf("%s is neither JPEG nor PNG", v.name)
		}
		m, _, err := image.Decode(bytes.NewReader(data))
		if err != nil {
			t.Fatalf("%s: %v", v.name, err)
		}
		w, h := m.Bounds().Dx(), m.Bounds().Dy()
		got := [4]string{named(m.At(2, 2)), named(m.At(w-3, 2)), named(m.At(w-3, h-3)), named(m.At(2, h-3))}
		if w != expected.width || h != expected.height || got != expected.corners {
			t.Errorf("%s: %d×%d %v, want %d×%d %v", v.name, w, h, got, expected.width, expected.height, expected.corners)
		}
	}
	for name := range want {
		t.Errorf("%s is missing", name)
	}
}

func TestBrightnessAndColourChange(t *testing.T) {
	t.Parallel()
	m := image.NewRGBA(image.Rect(0, 0, 1, 1))
	m.SetRGBA(0, 0, color.RGBA{200, 100, 40, 255})
	for name, want := range map[string]color.RGBA{
		"brightness 50 %": {100, 50, 20, 255}, "brightness 75 %": {150, 75, 30, 255}, "brightness 130 %": {255, 130, 52, 255},
		"brightness 160 %": {255, 160, 64, 255}, "greyscale": {123, 123, 123, 255}, // 0.299 · 200 + 0.587 · 100 + 0.114 · 40
	} {
		for _, v := range variants() {
			if v.name != name {
				continue
			}
			data, err := v.make(m)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := image.Decode(bytes.NewReader(data))
			if err != nil || color.RGBAModel.Convert(got.At(0, 0)) != want {
				t.Errorf("%s: %v, %v, want %v", name, got.At(0, 0), err, want)
			}
		}
	}
}

func TestUpright(t *testing.T) {
	t.Parallel()
	data, err := encodePNG(marked())
	if err != nil {
		t.Fatal(err)
	}
	m, err := upright(t.Context(), decode.NewStdlib(decode.Limits{}), data, 1<<20)
	if err != nil || !bytes.Equal(m.Pix, marked().Pix) {
		t.Errorf("the pixels are not those that were stored: %v", err)
	}
	if m, err = upright(t.Context(), decode.NewStdlib(decode.Limits{}), data, 1200); err != nil || m.Rect != image.Rect(0, 0, 40, 30) {
		t.Errorf("at most 1200 pixels: %v, %v", m.Rect, err)
	}
}
