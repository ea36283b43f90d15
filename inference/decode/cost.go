package decode

// costs estimates from its header what decoding an image takes with one decoder: bytes of memory at the peak, and work.
// The prices below are measured (BenchmarkCost), each in the unit of its decoder: what a pixel (libvips) or a sample (Go)
// of a baseline JPEG takes. A profile of primaries and curves has no price: half of all telephones write one into ordinary
// photos of any size.
type costs struct {
	bytes, work func(h header) float64
	// mostBytes and mostWork are, for each of the most pixels that are admitted, what an ordinary photo of that size costs:
	// nothing shall cost more.
	mostBytes, mostWork float64
}

var (
	// Three bytes are a pixel of RGB. The work includes reading 10 MB of coded data.
	nativeCosts = costs{bytes: header.nativeBytes, work: header.nativeWork, mostBytes: 3, mostWork: 1.25}
	// A byte and a half are a pixel of a JPEG with the usual chroma, and three one whose profile has been applied. The three
	// samples of one with full chroma are the work.
	goCosts = costs{bytes: header.goBytes, work: header.goWork, mostBytes: 4.5, mostWork: 3}
)

// exceeds reports whether an image would cost more than the limits allow.
func (c costs) exceeds(h header, limits Limits) bool {
	most := float64(limits.MaxPixels)
	return c.bytes(h) > min(float64(limits.MaxDecodedBytes), most*c.mostBytes) || c.work(h) > most*c.mostWork
}

// headBytes is how much of an image Work looks at.
const headBytes = 1 << 20

// Work estimates what decoding an image takes, in pixels of a baseline JPEG, for whoever has to know it before an image is
// decoded. It is 0 when the first megabyte does not tell: with the size alone in front, a file of a few scans could hold any
// number of them behind it.
func Work(data []byte) float64 {
	head := data[:min(len(data), headBytes)]
	h := header{format: PNG}
	switch format, _ := DetectFormat(head); format {
	case JPEG:
		w := walkFor(head)
		w.ahead = true
		if err := w.segments(Limits{}.WithDefaults()); err != nil || len(w.h.scans) == 0 {
			return 0
		}
		if !w.h.whole && !w.ended && len(head) < len(data) {
			return 0
		}
		h = w.h
	case PNG:
		const ihdr = 8 + 8 // behind the signature, its length and its name
		if len(head) < ihdr+13 || h.readIHDR(head[ihdr:ihdr+13]) != nil {
			return 0
		}
	default:
		return 0
	}
	return nativeCosts.work(h)
}

func (h header) pixels() float64 { return float64(h.width) * float64(h.height) }

// samplesOf is how many samples a component of a JPEG has.
func (h header) samplesOf(component int) float64 {
	mostH, mostV := h.mostSamples()
	return h.pixels() * float64(h.components[component].samples()) / float64(mostH*mostV)
}

// samples is how many samples all components of a JPEG have.
func (h header) samples() float64 {
	sum := 0.
	for i := range h.components {
		sum += h.samplesOf(i)
	}
	return sum
}

// pngBytes is what the pixels of a PNG take as they are packed.
func (h header) pngBytes() float64 {
	return h.pixels() * float64(h.channels) * max(float64(h.depth)/8, 1)
}

// passes counts how often the scans of a JPEG come by a block, and how many coefficients they look at to refine them.
func (h header) passes() (blocks, refined float64) {
	for _, s := range h.scans {
		for _, i := range s.components {
			n := h.samplesOf(i) / 64
			blocks += n
			if s.refines {
				refined += n * float64(s.last-s.first+1)
			}
		}
	}
	return blocks, refined
}

func (h header) nativeBytes() float64 {
	bytes := 3 * h.pixels()
	if h.format == JPEG && !h.whole {
		bytes += 2 * h.samples() // coefficients of 16 bits are kept between the scans
	}
	if h.interlaced {
		bytes += h.pngBytes()
	}
	return bytes
}

func (h header) nativeWork() float64 {
	work := h.pixels()
	if h.format == PNG {
		work = h.pngBytes() / 3
		if h.interlaced {
			work *= 3
		}
		if h.channels != 1 && h.channels != 3 || h.depth == 16 {
			work += h.pixels()
		}
	} else if !h.whole {
		blocks, refined := h.passes()
		work += 0.35*h.samples() + 1.2*blocks + 0.375*refined
	}
	switch {
	case h.converted() && h.channels == 4 && h.format == JPEG:
		work += 4 * h.pixels()
	case h.converted() && h.profile.tables:
		work += 3 * h.pixels()
	case h.channels == 4 && h.format == JPEG:
		work += h.pixels()
	}
	return work
}

func (h header) goBytes() float64 {
	bytes := h.goSourceBytes()
	if h.converted() {
		bytes += 3 * h.pixels()
	}
	return bytes
}

// goSourceBytes is what an image takes in Go as it is decoded, before a profile is applied.
func (h header) goSourceBytes() float64 {
	if h.format == PNG {
		perPixel := float64(h.channels) * max(float64(h.depth)/8, 1)
		switch {
		case h.palette:
			perPixel += 3
		case h.channels >= 2 || h.transparent:
			perPixel = 4 * max(float64(h.depth)/8, 1) // Go keeps colour with an alpha channel
		}
		if h.interlaced {
			perPixel *= 2 // a pass is decoded beside the whole image
		}
		return h.pixels() * perPixel
	}
	bytes := h.samples()
	if h.channels == 4 || h.rgb {
		bytes += 4 * h.pixels() // the planes are put together
	}
	if h.progressive {
		bytes += 4 * h.samples() // coefficients of 32 bits are kept between the scans
	}
	return bytes
}

func (h header) goWork() float64 {
	if h.format == PNG {
		if h.interlaced {
			return 2 * h.pngBytes()
		}
		return h.pngBytes()
	}
	work := h.samples()
	switch blocks, refined := h.passes(); {
	case h.progressive:
		work += 1.5*h.samples() + 4*blocks + 0.16*refined
	case !h.whole:
		work += 64*blocks - h.samples() // each scan ends in pixels
	}
	if h.channels == 4 {
		work += 4 * h.pixels()
	}
	return work
}
