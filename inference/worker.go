package inference

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
	"github.com/pas-ta/liveness/inference/tuning"
)

// Worker judges one image at a time.
type Worker interface {
	// Check returns everything of the result that depends on the image; see Engine.Check for its errors.
	Check(ctx context.Context, data []byte, format decode.Format) (Result, error)
	// Decoder returns the name of the decoder, and its version if it has one.
	Decoder() string
	// Close frees what the worker holds. No check is under way.
	Close()
}

// OpenWorker loads the library, verifies and loads the pack, and makes a worker that judges in this process. The caller
// closes it.
func OpenWorker(library string, p pack.Pack, decoder decode.Decoder, threads int) (Worker, error) {
	opened, err := openModels(library, p, threads)
	if err != nil {
		return nil, err
	}
	w, err := openWorker(opened, opened.close, decoder)
	if err != nil {
		opened.close()
	}
	return w, err
}

// openWorker makes a worker that judges in this process with models that are open for as long as it is; at its end it calls release.
func openWorker(p *models, release func(), decoder decode.Decoder) (Worker, error) {
	w, err := newWorker(p, decoder)
	if err != nil {
		return nil, err
	}
	w.release = release
	tuning.ReserveProcessors(1)
	return w, nil
}

// worker holds the tensors and scratch of one check at a time.
type worker struct {
	release    func()
	manifest   pack.Manifest
	decoder    decode.Decoder
	detector   detector
	landmarker *landmarker // nil when the detector or nobody finds landmarks
	scorers    scorers
	sampler    pixels.Sampler
	tile       pixels.Tile
	background *tuning.Background // for large images
	looked     int                // degrees clockwise by which the image was turned when the detector last saw it
}

func newWorker(p *models, decoder decode.Decoder) (*worker, error) {
	w := &worker{manifest: p.Manifest, decoder: decoder, background: tuning.NewBackground()}
	var opening errgroup.Group
	opening.Go(func() (err error) {
		w.detector, err = newDetector(p)
		return err
	})
	opening.Go(func() (err error) {
		w.landmarker, err = newLandmarker(p)
		return err
	})
	opening.Go(func() (err error) {
		w.scorers, err = newScorers(p)
		return err
	})
	if err := opening.Wait(); err != nil {
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
	var all []*model
	if w.detector != nil {
		all = w.detector.models()
	}
	if w.landmarker != nil {
		all = append(all, w.landmarker.model)
	}
	return append(all, w.scorers.models...)
}

// Decoder implements Worker.
func (w *worker) Decoder() string {
	if versioned, ok := w.decoder.(interface{ Version() string }); ok {
		return w.decoder.Name() + " " + versioned.Version()
	}
	return w.decoder.Name()
}

// Close implements Worker.
func (w *worker) Close() {
	w.close()
	w.release()
	tuning.ReserveProcessors(-1)
}

func (w *worker) close() {
	w.background.Close()
	for _, m := range w.models() {
		m.close()
	}
}

// largeSize is from how many megapixels on, see sizeOf, an image gives way to everything else: it takes ten times as long as a
// small one, and its sender, who waits longer anyway, notices little. The usual photos of telephones have 12.
const largeSize = 16

// Check implements Worker.
func (w *worker) Check(ctx context.Context, data []byte, format decode.Format) (r Result, err error) {
	if sizeOf(data) < largeSize {
		return w.check(ctx, data, format)
	}
	w.background.Do(func() { r, err = w.check(ctx, data, format) })
	return r, err
}

func (w *worker) check(ctx context.Context, data []byte, format decode.Format) (r Result, err error) {
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
	w.tile.Luma(img, judged.box.clip(img.Width(), img.Height()))
	brightness := w.tile.Mean()
	scores, err := w.scorers.live(img, square, brightness, &w.sampler)
	if err != nil {
		return Result{}, fmt.Errorf("score the face: %w", err)
	}
	r = Result{
		FakeLikelihood: w.manifest.Likelihood(scores),
		Scores:         scores,
		Brightness:     brightness,
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
	}, w.manifest.ValidFace)
	r.ValidFace = len(r.Issues) == 0
	end := time.Now()
	r.Timings = Timings{
		Decode: decoded.Sub(start), Detect: detected.Sub(decoded),
		Score: end.Sub(detected), Total: end.Sub(start),
	}
	return r, nil
}
