//go:build unix

package decode_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/pas-ta/liveness/inference/decode"
)

// Ordinary photos of several passes are admitted; a small file is not that would cost more than the largest ordinary one.
func TestWorkIsBoundedBeforeDecoding(t *testing.T) {
	t.Parallel()
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		for _, data := range [][]byte{
			manyScans(4000, 3000, 12, false, 2, 2, 1, 1, 1, 1), manyScans(4032, 3024, 12, true, 1, 1, 1, 1, 1, 1),
		} {
			mustDecode(t, d, data, decode.JPEG).Release()
		}
		for name, data := range map[string][]byte{
			"63 scans at 50 megapixels": manyScans(8192, 6144, 63, false, 2, 2, 1, 1, 1, 1),
			"refining":                  manyScans(8192, 6144, 10, true, 2, 2, 1, 1, 1, 1),
			"many at 24 megapixels":     manyScans(6000, 4000, 40, true, 2, 2, 1, 1, 1, 1),
		} {
			refused := refusal(t, d, data, decode.JPEG)
			if refused.Kind != decode.KindTooManyPixels || !strings.Contains(refused.Message, " scans") {
				t.Errorf("%s: %s %q (%v)", name, refused.Kind, refused.Message, refused.Err)
			}
			// Cut somewhere in its last scan it is truncated, but still too costly to find out.
			if refused := refusal(t, d, data[:len(data)-9], decode.JPEG); refused.Err != nil && refused.Kind != decode.KindTooManyPixels {
				t.Errorf("%s, cut: %s %q (%v)", name, refused.Kind, refused.Message, refused.Err)
			}
		}
	})
}

// leaving is a caller who leaves when he has been asked a number of times whether he is still there.
type leaving struct {
	context.Context
	asked, leaves int64
}

func (l *leaving) Err() error {
	if atomic.AddInt64(&l.asked, 1) > l.leaves {
		return context.Canceled
	}
	return nil
}

// A file that takes many passes is not decoded to its end for nobody.
func TestDecodingStopsWhenItsCallerLeaves(t *testing.T) {
	t.Parallel()
	var interlaced = craftedPNG(1200, 900, pngRGB, 8, true)
	eachDecoder(t, decode.Limits{}, func(t *testing.T, d decode.Decoder) {
		for name, file := range map[string]struct {
			data   []byte
			format decode.Format
		}{
			"baseline":    {encodeJPEG(t, noisy(1200, 900)), decode.JPEG},
			"progressive": {manyScans(1600, 1200, 40, true, 2, 2, 1, 1, 1, 1), decode.JPEG},
			"PNG":         {encodePNG(t, noisy(600, 450)), decode.PNG},
			"interlaced":  {interlaced, decode.PNG},
		} {
			if withTurboJPEG(d) && name == "baseline" {
				continue // it is decoded at once, see TestLargePhotosAreNotDecodedAtOnce
			}
			stays := &leaving{Context: t.Context(), leaves: 1 << 40}
			img, err := d.Decode(stays, file.data, file.format)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			img.Release()
			if stays.asked < 8 {
				t.Errorf("%s: the caller is asked %d times only", name, stays.asked)
			}
			for _, leaves := range []int64{0, 1, stays.asked / 4, stays.asked / 2, stays.asked * 3 / 4} {
				caller := &leaving{Context: t.Context(), leaves: leaves}
				if _, err := d.Decode(caller, file.data, file.format); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: leaving after %d of %d: %v, want %v", name, leaves, stays.asked, err, context.Canceled)
				}
				if more := caller.asked - leaves; more > 4 {
					t.Errorf("%s: decoding went on for %d more steps after its caller had left", name, more)
				}
			}
		}
	})
}

// BenchmarkCost measures what the costliest admitted files of each kind cost beside an ordinary photo of the largest size,
// in time and, where the system says so, in memory at the peak. Refused files are measured too.
func BenchmarkCost(b *testing.B) {
	largest := func(quality int, grain bool) []byte {
		m := image.NewYCbCr(image.Rect(0, 0, 8192, 6144), image.YCbCrSubsampleRatio420)
		seed := uint32(1)
		for i := range m.Y {
			if grain {
				seed = seed*1664525 + 1013904223
			}
			m.Y[i] = byte(i/64) ^ byte(seed>>28)
		}
		for i := range m.Cb {
			m.Cb[i], m.Cr[i] = byte(i/300), byte(i/500)
		}
		var out bytes.Buffer
		if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: quality}); err != nil {
			b.Fatal(err)
		}
		return out.Bytes()
	}
	flatPNG := func(m image.Image) []byte {
		var out bytes.Buffer
		encoder := png.Encoder{CompressionLevel: png.BestSpeed}
		if err := encoder.Encode(&out, m); err != nil {
			b.Fatal(err)
		}
		return out.Bytes()
	}
	type file struct {
		name    string
		content func() []byte
		format  decode.Format
	}
	files := []file{{"50MP/photo of 10 MB", func() []byte { return largest(35, true) }, decode.JPEG}}
	for _, size := range []image.Point{{4000, 3000}, {6000, 4000}, {8192, 6144}} {
		add := func(name string, format decode.Format, content func() []byte) {
			files = append(files, file{fmt.Sprintf("%dMP/%s", (size.X*size.Y+500000)/1000000, name), content, format})
		}
		scans := func() []byte { return manyScans(size.X, size.Y, 63, false, 2, 2, 1, 1, 1, 1) }
		flat := func() []byte { return baseline(size.X, size.Y, colour(yuv, 2, 2, 1, 1, 1, 1)) }
		area := image.Rect(0, 0, size.X, size.Y)
		add("baseline", decode.JPEG, flat)
		add("baseline 4:4:4", decode.JPEG, func() []byte { return baseline(size.X, size.Y, colour(yuv, 1, 1, 1, 1, 1, 1)) })
		add("12 scans", decode.JPEG, func() []byte { return manyScans(size.X, size.Y, 12, false, 2, 2, 1, 1, 1, 1) })
		add("12 scans, refining", decode.JPEG, func() []byte { return manyScans(size.X, size.Y, 12, true, 2, 2, 1, 1, 1, 1) })
		add("12 scans, refining, 4:4:4", decode.JPEG, func() []byte { return manyScans(size.X, size.Y, 12, true, 1, 1, 1, 1, 1, 1) })
		add("63 scans", decode.JPEG, scans)
		add("63 scans, cut", decode.JPEG, func() []byte { return scans()[:len(scans())*9/10] })
		add("40 scans, refining", decode.JPEG, func() []byte { return manyScans(size.X, size.Y, 40, true, 2, 2, 1, 1, 1, 1) })
		add("a scan a component", decode.JPEG, func() []byte { return separateJPEG(size.X, size.Y) })
		add("CMYK", decode.JPEG, func() []byte { return cmykJPEG(size.X, size.Y) })
		add("Display P3", decode.JPEG, func() []byte { return withProfile(b, flat(), matrixProfile("P3", p3Primaries, sRGBCurve())) })
		add("XYB", decode.JPEG, func() []byte { return withProfile(b, flat(), tablesProfile("RGB ", "XYB")) })
		add("CMYK profile", decode.JPEG, func() []byte { return withProfile(b, cmykJPEG(size.X, size.Y), tablesProfile("CMYK", "ink")) })
		add("PNG", decode.PNG, func() []byte { return flatPNG(opaque(image.NewNRGBA(area))) })
		add("PNG, transparent", decode.PNG, func() []byte { return flatPNG(image.NewNRGBA(area)) })
		add("PNG, transparent, 16-bit", decode.PNG, func() []byte { return flatPNG(image.NewNRGBA64(area)) })
		add("PNG, interlaced", decode.PNG, func() []byte { return craftedPNG(size.X, size.Y, pngRGB, 8, true) })
		add("PNG, interlaced, transparent, 16-bit", decode.PNG, func() []byte { return craftedPNG(size.X, size.Y, pngRGBA, 16, true) })
	}
	for _, name := range []string{"libvips", "turbojpeg", "go"} {
		d := decoders[name](b, decode.Limits{})
		for _, f := range files {
			b.Run(name+"/"+f.name, func(b *testing.B) {
				data := f.content()
				runtime.GC()
				debug.FreeOSMemory()
				_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
				before := statusMB("VmRSS")
				refused := 0.
				user, system := cpuMS()
				for b.Loop() {
					img, err := d.Decode(b.Context(), data, f.format)
					if err != nil {
						refused = 1
						continue
					}
					img.Release()
				}
				userAfter, systemAfter := cpuMS()
				b.ReportMetric((userAfter-user)/float64(b.N), "user-ms/op")
				b.ReportMetric((systemAfter-system)/float64(b.N), "system-ms/op")
				b.ReportMetric(statusMB("VmHWM")-before, "peak-MB")
				b.ReportMetric(float64(len(data))/1e3, "kB")
				b.ReportMetric(refused, "refused")
			})
		}
	}
}

// cpuMS is the processor time of this process so far: on a busy machine it says more than the clock.
func cpuMS() (user, system float64) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, 0
	}
	return float64(usage.Utime.Nano()) / 1e6, float64(usage.Stime.Nano()) / 1e6
}

func opaque(m *image.NRGBA) image.Image {
	for i := 3; i < len(m.Pix); i += 4 {
		m.Pix[i] = 255
	}
	return m
}

// statusMB reads a line of /proc/self/status, 0 where there is none.
func statusMB(name string) float64 {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			var kB float64
			if _, err := fmt.Sscan(rest, &kB); err == nil {
				return kB / 1e3
			}
		}
	}
	return 0
}
