package evaluate

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"math"

	"golang.org/x/image/draw"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// variant is a change to a picture that leaves what it shows as it is: a verdict should not depend on it.
type variant struct {
	name  string
	group string
	make  func(m *image.RGBA) ([]byte, error)
}

// unchanged is the variant that others are compared with: the upright picture, stored without loss.
const unchanged = "unchanged"

// variants lists all changes, unchanged first.
func variants() []variant {
	lossless := func(name, group string, change func(*image.RGBA) *image.RGBA) variant {
		return variant{name, group, func(m *image.RGBA) ([]byte, error) { return encodePNG(change(m)) }}
	}
	all := []variant{{unchanged, "", encodePNG}}
	for _, quality := range []int{95, 90, 80, 70, 50, 30} {
		all = append(all, variant{fmt.Sprintf("JPEG quality %d", quality), "compression", func(m *image.RGBA) ([]byte, error) {
			var out bytes.Buffer
			err := jpeg.Encode(&out, m, &jpeg.Options{Quality: quality})
			return out.Bytes(), err
		}})
	}
	all = append(all,
		lossless("half size", "size", func(m *image.RGBA) *image.RGBA { return shrunk(m, 2) }),
		lossless("quarter size", "size", func(m *image.RGBA) *image.RGBA { return shrunk(m, 4) }),
		lossless("mirrored", "position", func(m *image.RGBA) *image.RGBA {
			right := m.Rect.Dx() - 1
			return moved(m, m.Rect.Size(), func(x, y int) (int, int) { return right - x, y })
		}),
		lossless("shifted 2 pixels left", "position", func(m *image.RGBA) *image.RGBA {
			return moved(m, m.Rect.Size().Sub(image.Pt(2, 0)), func(x, y int) (int, int) { return x + 2, y })
		}),
		lossless("shifted 2 pixels up", "position", func(m *image.RGBA) *image.RGBA {
			return moved(m, m.Rect.Size().Sub(image.Pt(0, 2)), func(x, y int) (int, int) { return x, y + 2 })
		}))
	for _, percent := range []int{50, 75, 130, 160} {
		all = append(all, lossless(fmt.Sprintf("brightness %d %%", percent), "light", func(m *image.RGBA) *image.RGBA {
			return recoloured(m, func(r, g, b uint8) (uint8, uint8, uint8) {
				gain := func(v uint8) uint8 { return uint8(min(int(v)*percent/100, 255)) }
				return gain(r), gain(g), gain(b)
			})
		}))
	}
	all = append(all, lossless("greyscale", "colour", func(m *image.RGBA) *image.RGBA {
		return recoloured(m, func(r, g, b uint8) (uint8, uint8, uint8) {
			y, _, _ := color.RGBToYCbCr(r, g, b)
			return y, y, y
		})
	}))
	for _, border := range []struct {
		name  string
		shade uint8
	}{{"grey", 128}, {"black", 0}, {"white", 255}} {
		all = append(all, lossless(border.name+" border, 10 %", "border", func(m *image.RGBA) *image.RGBA { return framed(m, border.shade) }))
	}
	for _, degrees := range []int{90, 180, 270} {
		all = append(all, lossless(fmt.Sprintf("turned by %d°", degrees), "turned", func(m *image.RGBA) *image.RGBA {
			return turned(m, degrees)
		}))
	}
	return all
}

// turned turns a picture clockwise by a multiple of a quarter turn.
func turned(m *image.RGBA, degrees int) *image.RGBA {
	right, bottom, size := m.Rect.Dx()-1, m.Rect.Dy()-1, m.Rect.Size()
	switch degrees {
	case 90:
		return moved(m, image.Pt(size.Y, size.X), func(x, y int) (int, int) { return y, bottom - x })
	case 180:
		return moved(m, size, func(x, y int) (int, int) { return right - x, bottom - y })
	case 270:
		return moved(m, image.Pt(size.Y, size.X), func(x, y int) (int, int) { return right - y, x })
	}
	return m
}

func encodePNG(m *image.RGBA) ([]byte, error) {
	var out bytes.Buffer
	err := (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(&out, m)
	return out.Bytes(), err
}

func shrunk(m *image.RGBA, by int) *image.RGBA {
	out := image.NewRGBA(image.Rect(0, 0, max(m.Rect.Dx()/by, 1), max(m.Rect.Dy()/by, 1)))
	draw.CatmullRom.Scale(out, out.Rect, m, m.Rect, draw.Src, nil)
	return out
}

// moved returns the picture whose pixel at x, y is the one of m at from(x, y).
func moved(m *image.RGBA, size image.Point, from func(x, y int) (int, int)) *image.RGBA {
	out := image.NewRGBA(image.Rectangle{Max: size})
	for y := range size.Y {
		for x := range size.X {
			fx, fy := from(x, y)
			copy(out.Pix[out.PixOffset(x, y):][:4], m.Pix[m.PixOffset(fx, fy):][:4])
		}
	}
	return out
}

func recoloured(m *image.RGBA, change func(r, g, b uint8) (uint8, uint8, uint8)) *image.RGBA {
	out := image.NewRGBA(m.Rect)
	for i := 0; i < len(m.Pix); i += 4 {
		out.Pix[i], out.Pix[i+1], out.Pix[i+2] = change(m.Pix[i], m.Pix[i+1], m.Pix[i+2])
		out.Pix[i+3] = 0xFF
	}
	return out
}

// framed lays a border of a tenth of the shorter side around the picture.
func framed(m *image.RGBA, shade uint8) *image.RGBA {
	border := max(min(m.Rect.Dx(), m.Rect.Dy())/10, 1)
	out := image.NewRGBA(image.Rect(0, 0, m.Rect.Dx()+2*border, m.Rect.Dy()+2*border))
	draw.Draw(out, out.Rect, image.NewUniform(color.Gray{Y: shade}), image.Point{}, draw.Src)
	draw.Draw(out, m.Rect.Add(image.Pt(border, border)), m, image.Point{}, draw.Src)
	return out
}

// upright decodes a picture as the product does and returns its pixels, at most of so many, averaged down if there are more.
func upright(ctx context.Context, decoder decode.Decoder, data []byte, most int) (*image.RGBA, error) {
	format, known := decode.DetectFormat(data)
	if !known {
		format = decode.JPEG
	}
	img, err := decoder.Decode(ctx, data, format)
	if err != nil {
		return nil, err
	}
	defer img.Release()
	out := image.NewRGBA(img.Bounds())
	var sampler pixels.Sampler
	const rows = 64 // at a time, so that no whole picture of floats is held
	strip := pixels.Tensor{Data: make([]float32, 3*rows*img.Width()), Width: img.Width(), Height: rows, Order: pixels.RGB, Scale: 1}
	plane := rows * img.Width()
	for top := 0; top < img.Height(); top += rows {
		window := image.Rect(0, top, img.Width(), min(top+rows, img.Height()))
		sampler.Bilinear(img, window, strip, window.Dx(), window.Dy())
		to := out.Pix[out.PixOffset(0, top):]
		for i := range window.Dx() * window.Dy() {
			for channel := range 3 {
				to[4*i+channel] = uint8(strip.Data[channel*plane+i])
			}
			to[4*i+3] = 0xFF
		}
	}
	return atMost(out, most), nil
}

// atMost reduces a picture of more than so many pixels.
func atMost(m *image.RGBA, most int) *image.RGBA {
	scale := math.Sqrt(float64(most) / float64(m.Rect.Dx()*m.Rect.Dy()))
	if scale >= 1 {
		return m
	}
	out := image.NewRGBA(image.Rect(0, 0, max(int(float64(m.Rect.Dx())*scale), 1), max(int(float64(m.Rect.Dy())*scale), 1)))
	draw.CatmullRom.Scale(out, out.Rect, m, m.Rect, draw.Src, nil)
	return out
}
