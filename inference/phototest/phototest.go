// Package phototest makes photos of the sizes that customers send, for benchmarks: a sample photo at another size, with
// the grain of a sensor, since enlarging alone leaves pictures that are smoother, and so cheaper to decode, than real ones.
package phototest

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"math/rand/v2"

	"golang.org/x/image/draw"
)

// Kind is a size and an encoding of a photo.
type Kind struct {
	Name          string
	Width, Height int    // pixels
	Format        string // "jpeg" or "png"
	Quality       int    // of the JPEG encoder, 1 to 100
	Grain         int    // largest noise added to a channel, in steps of 255
}

// Kinds are the photos that throughput is measured with, from small to large. The last has about 3 MB.
func Kinds() []Kind {
	return []Kind{
		{Name: "640x480.jpeg", Width: 640, Height: 480, Format: "jpeg", Quality: 85},
		{Name: "1280x960.jpeg", Width: 1280, Height: 960, Format: "jpeg", Quality: 85},
		{Name: "1920x1280.jpeg", Width: 1920, Height: 1280, Format: "jpeg", Quality: 85},
		{Name: "1280x960.png", Width: 1280, Height: 960, Format: "png"},
		{Name: "4000x3000.jpeg", Width: 4000, Height: 3000, Format: "jpeg", Quality: 90, Grain: 9},
	}
}

// Largest is a photo of 24 megapixels that just stays below the API's limit of 10 MB.
func Largest() Kind {
	return Kind{Name: "6000x4000.jpeg", Width: 6000, Height: 4000, Format: "jpeg", Quality: 93, Grain: 17}
}

// Make returns the sample photo as a photo of another kind. The same arguments give the same bytes.
func Make(sample []byte, kind Kind) ([]byte, error) {
	photo, _, err := image.Decode(bytes.NewReader(sample))
	if err != nil {
		return nil, fmt.Errorf("decode the sample photo: %w", err)
	}
	m := image.NewNRGBA(image.Rect(0, 0, kind.Width, kind.Height))
	draw.ApproxBiLinear.Scale(m, m.Bounds(), photo, photo.Bounds(), draw.Src, nil)
	if kind.Grain > 0 {
		addGrain(m, kind.Grain)
	}
	var out bytes.Buffer
	if kind.Format == "png" {
		err = png.Encode(&out, m)
	} else {
		err = jpeg.Encode(&out, m, &jpeg.Options{Quality: kind.Quality})
	}
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", kind.Name, err)
	}
	return out.Bytes(), nil
}

// addGrain changes the brightness of each pixel by at most grain.
func addGrain(m *image.NRGBA, grain int) {
	noise := rand.New(rand.NewPCG(1, 2))
	for i := 0; i < len(m.Pix); i += 4 {
		change := noise.IntN(2*grain+1) - grain
		for c := i; c < i+3; c++ {
			m.Pix[c] = uint8(min(max(int(m.Pix[c])+change, 0), 255))
		}
	}
}
