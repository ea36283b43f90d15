package inference

import (
	"context"
	"errors"
	"image"
	"slices"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/pas-ta/liveness/inference/decode"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// Square and Crop open the box rules to the tests of reference values.
func (b Box) Square() Box { return b.square() }

func (b Box) Crop(scale float64, width, height int) image.Rectangle {
	return b.crop(scale, width, height)
}

// ReferenceRun runs one model of a pack on the tensor v[c][y][x] of fill and returns its outputs.
func ReferenceRun(library string, p pack.Pack, file string, fill func(c, y, x int) float32) ([][]float32, error) {
	opened, err := openModels(library, p, 1)
	if err != nil {
		return nil, err
	}
	defer opened.close()
	w, err := newWorker(opened, nil)
	if err != nil {
		return nil, err
	}
	defer w.close()
	m := w.detector.models()[0]
	for _, l := range w.scorers.looks {
		if l.File == file {
			m = l.model
		}
	}
	i := 0
	for c := range 3 {
		for y := range m.input.Height {
			for x := range m.input.Width {
				m.input.Data[i] = fill(c, y, x)
				i++
			}
		}
	}
	if err := m.run(); err != nil {
		return nil, err
	}
	var outputs [][]float32
	for _, o := range m.outputs {
		outputs = append(outputs, append([]float32(nil), o...))
	}
	return outputs, nil
}

// ScorerOutputs returns what a scorer of a pack gives for the tensor v[c][y][x] of fill, as its file is and as it is run.
func ScorerOutputs(library string, p pack.Pack, s pack.Scorer, fill func(c, y, x int) float32) (given, run []float32, err error) {
	opened, err := openModels(library, p, 1)
	if err != nil {
		return nil, nil, err
	}
	defer opened.close()
	wanted := []output{{s.Output, []int64{1, int64(s.Classes)}}}
	m, err := newModel(opened, s.File, s.Input, wanted)
	if err != nil {
		return nil, nil, err
	}
	defer m.close()
	for at := range m.input.Data {
		plane := m.input.Width * m.input.Height
		m.input.Data[at] = fill(at/plane, at%plane/m.input.Width, at%m.input.Width)
	}
	file, err := p.Read(s.File)
	if err != nil {
		return nil, nil, err
	}
	asGiven, err := newSession(file, s.Input, wanted, 1)
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, asGiven.Destroy()) }()
	outputs := [2][]float32{}
	for i, session := range []*ort.DynamicAdvancedSession{asGiven, m.session} {
		m.session = session
		if err := m.run(); err != nil {
			return nil, nil, err
		}
		outputs[i] = slices.Clone(m.outputs[0])
	}
	return outputs[0], outputs[1], nil
}

// RuntimeShapes returns what the runtime finds out of the inputs and outputs of a model.
func RuntimeShapes(library string, file []byte) (inputs, outputs map[string][]int64, err error) {
	release, err := acquireRuntime(library)
	if err != nil {
		return nil, nil, err
	}
	defer release()
	ins, outs, err := ort.GetInputOutputInfoWithONNXData(file)
	inputs, outputs = map[string][]int64{}, map[string][]int64{}
	for _, in := range ins {
		inputs[in.Name] = in.Dimensions
	}
	for _, out := range outs {
		outputs[out.Name] = out.Dimensions
	}
	return inputs, outputs, err
}

// BareRuns returns the bare run of each model of a pack, for benchmarks, with
// what an image leaves in the input tensors.
func BareRuns(library string, p pack.Pack, photo []byte) (runs []func() error, closeModels func(), err error) {
	opened, err := openModels(library, p, 1)
	if err != nil {
		return nil, nil, err
	}
	w, err := newWorker(opened, decode.NewStdlib(decode.Limits{}))
	if err != nil {
		opened.close()
		return nil, nil, err
	}
	if _, err := w.Check(context.Background(), photo, decode.JPEG); err != nil {
		return nil, nil, err
	}
	for _, m := range w.models() {
		runs = append(runs, m.run)
	}
	return runs, func() { w.close(); opened.close() }, nil
}

// countedDetector counts its runs.
type countedDetector struct {
	detector
	runs int
}

func (d *countedDetector) detect(img *pixels.Image, sampler *pixels.Sampler) ([]face, error) {
	d.runs++
	return d.detector.detect(img, sampler)
}

// DetectorRuns returns how often the detector of a pack runs for one check.
func DetectorRuns(library string, p pack.Pack, decoder decode.Decoder, photo []byte, format decode.Format) (int, error) {
	opened, err := openModels(library, p, 1)
	if err != nil {
		return 0, err
	}
	defer opened.close()
	w, err := newWorker(opened, decoder)
	if err != nil {
		return 0, err
	}
	defer w.close()
	counted := &countedDetector{detector: w.detector}
	w.detector = counted
	_, err = w.Check(context.Background(), photo, format)
	return counted.runs, err
}

// OpenedSessions returns how many sessions some workers of a pack run together, and how many models each of them runs.
func OpenedSessions(library string, p pack.Pack, workers int) (sessions, models int, err error) {
	opened, err := openModels(library, p, 1)
	if err != nil {
		return 0, 0, err
	}
	defer opened.close()
	distinct := map[*ort.DynamicAdvancedSession]bool{}
	for range workers {
		w, err := newWorker(opened, nil)
		if err != nil {
			return 0, 0, err
		}
		defer w.close()
		for _, m := range w.models() {
			distinct[m.session] = true
		}
		models = len(w.models())
	}
	return len(distinct), models, nil
}
