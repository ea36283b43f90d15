package inference_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"math"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pixels"
)

// turning is a decoder that gives every image turned clockwise, as one is shown whose orientation was lost.
type turning struct {
	decode.Decoder
	degrees int
}

func (d *turning) Decode(ctx context.Context, data []byte, stated decode.Format) (*pixels.Image, error) {
	m, err := d.Decoder.Decode(ctx, data, stated)
	if err != nil {
		return nil, err
	}
	return m.Turned(d.degrees), nil
}

// A photo whose orientation was lost is judged as the upright photo is, whichever way it lies.
func TestLostOrientationIsFound(t *testing.T) {
	t.Parallel()
	photos := sharedPhotos(t)
	for i := range 6 {
		photos = append(photos, samplePath(t, i+1))
	}
	for name, dir := range map[string]string{"default pack": "", "second pack": sharedDir(t, "models")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			decoder := &turning{Decoder: decode.NewStdlib(decode.Limits{})}
			cfg := inference.Config{Decoder: decoder}
			if dir != "" {
				cfg.Pack = openPack(t, dir)
			}
			engine := openEngine(t, cfg)
			for i, photo := range photos {
				if filepath.Base(filepath.Dir(photo)) == "eval" && i%5 > 0 {
					continue // enough to notice
				}
				data := readFile(t, photo)
				decoder.degrees = 0
				upright, err := engine.Check(t.Context(), data, decode.JPEG)
				if err != nil || upright.Rotated != 0 {
					t.Errorf("%s is turned by %d, %v; want it upright as it is", filepath.Base(photo), upright.Rotated, err)
					continue
				}
				for _, degrees := range []int{90, 180, 270} {
					decoder.degrees = degrees
					got, err := engine.Check(t.Context(), data, decode.JPEG)
					if err != nil || got.Rotated != 360-degrees || math.Abs(got.FakeLikelihood-upright.FakeLikelihood) > 0.001 || got.Face != upright.Face {
						t.Errorf("%s, lying at %d: turned by %d, likelihood %.3f, face %.0f, %v; want %d, %.3f, %.0f", filepath.Base(photo), degrees,
							got.Rotated, got.FakeLikelihood, got.Face, err, 360-degrees, upright.FakeLikelihood, upright.Face)
					}
				}
			}
		})
	}
}

// The detector runs once for an upright face, and three times more at most for any other photo.
func TestTurnsArePaidForWhenNeeded(t *testing.T) {
	t.Parallel()
	library := runtimeLibrary(t)
	var blank bytes.Buffer
	if err := png.Encode(&blank, image.NewGray(image.Rect(0, 0, 64, 64))); err != nil {
		t.Fatal(err)
	}
	face := samplePhoto(t, 4)
	for _, tc := range []struct {
		name    string
		photo   []byte
		format  decode.Format
		degrees int
		least   int
		most    int
	}{
		{"upright", face, decode.JPEG, 0, 1, 1},
		{"on its side", face, decode.JPEG, 270, 2, 4},
		{"upside down", face, decode.JPEG, 180, 2, 4},
		{"no face", blank.Bytes(), decode.PNG, 0, 4, 4},
	} {
		runs, err := inference.DetectorRuns(library, defaultPack(t), &turning{decode.NewStdlib(decode.Limits{}), tc.degrees}, tc.photo, tc.format)
		if err != nil && !errors.Is(err, inference.ErrNoFace) {
			t.Fatal(err)
		}
		if runs < tc.least || runs > tc.most {
			t.Errorf("%s: the detector runs %d times, want %d to %d", tc.name, runs, tc.least, tc.most)
		}
	}
}

// Without landmarks a face that is found is taken for upright, and one that is not is looked for in the other turns.
func TestTurnsWithoutLandmarks(t *testing.T) {
	t.Parallel()
	p := defaultPack(t)
	p.Landmarks, p.ValidFace.MaxTurn = nil, 0
	decoder := &turning{Decoder: decode.NewStdlib(decode.Limits{})}
	engine := openEngine(t, inference.Config{Pack: p, Decoder: decoder})
	photo := readFile(t, filepath.Join(sharedDir(t, "eval"), "nuaa-087.jpg")) // not found when it lies on its right side
	for degrees, want := range map[int]int{0: 0, 90: 270} {
		decoder.degrees = degrees
		got, err := engine.Check(t.Context(), photo, decode.JPEG)
		if err != nil || got.Rotated != want {
			t.Errorf("lying at %d: turned by %d, %v; want %d", degrees, got.Rotated, err, want)
		}
	}
}

func TestNoFaceSaysWhatWasTried(t *testing.T) {
	t.Parallel()
	for _, want := range []string{"No face was detected", "turned all four ways", "too small", "dark", "Send a photo"} {
		if !strings.Contains(inference.ErrNoFace.Error(), want) {
			t.Errorf("%q does not say %q", inference.ErrNoFace, want)
		}
	}
}
