package inference_test

import (
	"image"
	"math"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/inference"
	"github.com/pas-ta/liveness/inference/pack"
)

// What a scorer says does not depend on which others look at the face, in which order, or with whom it shares a model or
// the pixels of a crop. The face is so near that the crops of 2.7 and 4 are the same.
func TestScorersDoNotDisturbEachOther(t *testing.T) {
	t.Parallel()
	p := openPack(t, sharedDir(t, "models"))
	near, far := p.Scorers[0], p.Scorers[0]
	far.CropScale = 4
	mirrored := near
	mirrored.Mirrored = true
	tight := near
	tight.CropScale = 1.5
	exposed := near
	exposed.Expose = 255
	looks := []pack.Scorer{near, p.Scorers[1], mirrored, exposed, tight, far}
	photo := cut(t, 3, image.Rect(640, 0, 1500, 710), 860, 710)
	score := func(looks ...pack.Scorer) []float64 {
		p.Scorers = looks
		return checkPNG(t, openEngine(t, inference.Config{Pack: p}), photo).Scores
	}
	var alone []float64
	for _, look := range looks {
		alone = append(alone, score(look)...)
	}
	if diff := cmp.Diff(alone, score(looks...)); diff != "" {
		t.Errorf("together they say otherwise: %s", diff)
	}
	slices.Reverse(looks)
	slices.Reverse(alone)
	if diff := cmp.Diff(alone, score(looks...)); diff != "" {
		t.Errorf("in reverse they say otherwise: %s", diff)
	}
	slices.Sort(alone)
	if distinct := slices.Compact(alone); len(distinct) < 5 {
		t.Errorf("only %d of the looks differ: %v", len(distinct), distinct)
	}
}

func TestMirroredScorerSeesTheMirrorImage(t *testing.T) {
	t.Parallel()
	p := openPack(t, sharedDir(t, "models"))
	straight, turned := p, p
	straight.Scorers, turned.Scorers = slices.Clone(p.Scorers), slices.Clone(p.Scorers)
	for i := range turned.Scorers {
		turned.Scorers[i].Mirrored = true
	}
	photo := facePhoto(t)
	want := checkPNG(t, openEngine(t, inference.Config{Pack: straight}), mirrored(photo)).Scores
	got := checkPNG(t, openEngine(t, inference.Config{Pack: turned}), photo).Scores
	for i := range want {
		if math.Abs(got[i]-want[i]) > 0.02 { // the detector draws another box in a mirror
			t.Errorf("scorer %d: %.4f, and %.4f of the mirror image", i, got[i], want[i])
		}
	}
}

// A face of half the light is seen by a scorer that exposes as the bright one is by one that does not.
func TestDarkFaceIsExposed(t *testing.T) {
	t.Parallel()
	p := openPack(t, sharedDir(t, "models"))
	exposing := p
	exposing.Scorers = slices.Clone(p.Scorers)
	bright := checkPNG(t, openEngine(t, inference.Config{Pack: p}), facePhoto(t))
	for i := range exposing.Scorers {
		exposing.Scorers[i].Expose = bright.Brightness
	}
	dark := each(facePhoto(t), func(v float64) float64 { return v / 2 })
	got := checkPNG(t, openEngine(t, inference.Config{Pack: exposing}), dark)
	for i, score := range got.Scores {
		if math.Abs(score-bright.Scores[i]) > 0.05 { // half the levels of grey, and another box
			t.Errorf("scorer %d: %.4f of the dark face, %.4f of the bright one", i, score, bright.Scores[i])
		}
	}
	if got.Brightness > 0.6*bright.Brightness {
		t.Errorf("the dark face is reported with a brightness of %.0f, the bright one of %.0f", got.Brightness, bright.Brightness)
	}
}

func mirrored(m *image.NRGBA) *image.NRGBA {
	out := image.NewNRGBA(m.Rect)
	for y := range m.Rect.Dy() {
		for x := range m.Rect.Dx() {
			out.SetNRGBA(m.Rect.Dx()-1-x, y, m.NRGBAAt(x, y))
		}
	}
	return out
}
