package inference

import (
	"context"
	"fmt"
	"time"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// worker holds the sessions, tensors and scratch of one check at a time.
type worker struct {
	manifest   pack.Manifest
	decoder    decode.Decoder
	detector   detector
	landmarker *landmarker // nil when the detector or nobody finds landmarks
	scorers    scorers
	sampler    pixels.Sampler
	tile       pixels.Tile
	looked     int // degrees clockwise by which the image was turned when the detector last saw it
}

func newWorker(p pack.Pack, decoder decode.Decoder, threads int) (*worker, error) {
	d, err := newDetector(p, threads)
	if err != nil {
		return nil, err
	}
	w := &worker{manifest: p.Manifest, decoder: decoder, detector: d}
	if w.landmarker, err = newLandmarker(p, threads); err != nil {
		w.close()
		return nil, err
	}
	if w.scorers, err = newScorers(p, threads); err != nil {
		w.close()
		return nil, err
	}
	// The first run of a session plans its memory and is several times slower
	// than the later ones; it shall not be a customer's.
	for _, m := range w.models() {
		if err := m.run(); err != nil {
			w.close()
			return nil, fmt.Errorf("model pack %s: first run: %w", p.ID, err)
		}
	}
	return w, nil
}

func (w *worker) models() []*model {
	all := w.detector.models()
	if w.landmarker != nil {
		all = append(all, w.landmarker.model)
	}
	return append(all, w.scorers.models...)
}

func (w *worker) close() {
	for _, m := range w.models() {
		m.close()
	}
}

// check fills in everything of the result that depends on the image.
func (w *worker) check(ctx context.Context, data []byte, format decode.Format, rules pack.ValidFace) (r Result, err error) {
	start := time.Now()
	img, err := w.decoder.Decode(ctx, data, format)
	if err != nil {
		return Result{}, err
	}
	defer img.Release()
	decoded := time.Now()
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	seen, err := w.findFace(ctx, img)
	if err != nil {
		return Result{}, err
	}
	img, judged := seen.view, seen.face
	detected := time.Now()
	if err := ctx.Err(); err != nil {
		return Result{}, err
	}
	square := judged.box.square()
	scores, err := w.scorers.live(img, square, &w.sampler)
	if err != nil {
		return Result{}, fmt.Errorf("score the face: %w", err)
	}
	w.tile.Luma(img, judged.box.clip(img.Width(), img.Height()))
	r = Result{
		FakeLikelihood: w.manifest.Likelihood(scores),
		Scores:         scores,
		Brightness:     w.tile.Mean(),
		Sharpness:      w.tile.Sharpness(),
		Face:           judged.box,
		FaceScore:      float64(judged.score),
		Faces:          seen.faces,
		Rotated:        seen.turned,
		ImageWidth:     img.Width(),
		ImageHeight:    img.Height(),
	}
	r.Issues = invalidIssues(measured{
		face: judged, square: square, width: r.ImageWidth, height: r.ImageHeight,
		brightness: r.Brightness, sharpness: r.Sharpness,
		upright: w.upright(seen), scene: w.detector.scene(), sceneTurned: seen.turned != w.looked,
	}, rules)
	r.ValidFace = len(r.Issues) == 0
	end := time.Now()
	r.Timings = Timings{
		Decode: decoded.Sub(start), Detect: detected.Sub(decoded),
		Score: end.Sub(detected), Total: end.Sub(start),
	}
	return r, nil
}
