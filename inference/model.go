package inference

import (
	"errors"
	"fmt"
	"runtime"
	"sync"

	ort "github.com/yalue/onnxruntime_go"

	"github.com/pas-ta/liveness/inference/onnx"
	"github.com/pas-ta/liveness/inference/pack"
	"github.com/pas-ta/liveness/inference/pixels"
)

// model is one ONNX session with the tensors that it reads and writes. They
// are made once: a run allocates nothing. It belongs to one worker.
type model struct {
	input   pixels.Tensor
	outputs [][]float32
	session *ort.AdvancedSession
	tensors []*ort.Tensor[float32]
}

// output names an output and its full shape, with dynamic dimensions filled in.
type output struct {
	name  string
	shape []int64
}

// models are the model files of a pack. Each is read, verified and laid out once, for all workers that open it.
type models struct {
	pack.Pack
	files sync.Map // of func() ([]byte, error), by name
}

// file returns a model file as the runtime is fastest with it.
func (m *models) file(name string) ([]byte, error) {
	read, _ := m.files.LoadOrStore(name, sync.OnceValues(func() ([]byte, error) {
		file, err := m.Read(name)
		if err != nil || runtime.GOARCH != "amd64" { // where its blocks have been measured
			return file, err
		}
		if file, err = onnx.Blocked(file); err != nil {
			return nil, fmt.Errorf("model pack %s: %s: %w", m.ID, name, err)
		}
		return file, nil
	}))
	return read.(func() ([]byte, error))() //nolint:forcetypeassert // nothing else is stored
}

func newModel(file []byte, in pack.Input, outputs []output, threads int) (_ *model, err error) {
	m := &model{}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	shape := ort.NewShape(1, int64(in.Order.Planes()), int64(in.Height), int64(in.Width))
	if err := checkShapes(file, in.Name, shape, outputs); err != nil {
		return nil, err
	}
	inputTensor, err := m.newTensor(shape)
	if err != nil {
		return nil, err
	}
	m.input = pixels.Tensor{
		Data: inputTensor.GetData(), Width: in.Width, Height: in.Height,
		Order: in.Order, Mean: in.Mean, Scale: in.Scale,
	}
	var names []string
	var values []ort.Value
	for _, o := range outputs {
		t, err := m.newTensor(ort.NewShape(o.shape...))
		if err != nil {
			return nil, err
		}
		names = append(names, o.name)
		values = append(values, t)
		m.outputs = append(m.outputs, t.GetData())
	}
	options, err := sessionOptions(threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	m.session, err = ort.NewAdvancedSessionWithONNXData(file, []string{in.Name}, names,
		[]ort.Value{inputTensor}, values, options)
	if err != nil {
		return nil, fmt.Errorf("create the session: %w", err)
	}
	return m, nil
}

func (m *model) newTensor(shape ort.Shape) (*ort.Tensor[float32], error) {
	t, err := ort.NewEmptyTensor[float32](shape)
	if err != nil {
		return nil, fmt.Errorf("create a tensor of shape %v: %w", shape, err)
	}
	m.tensors = append(m.tensors, t)
	return t, nil
}

// sessionOptions says that a run uses some threads, which do not spin while
// they wait for one another: the core may be another worker's.
func sessionOptions(threads int) (*ort.SessionOptions, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, fmt.Errorf("create session options: %w", err)
	}
	err = errors.Join(
		options.SetIntraOpNumThreads(threads),
		options.SetInterOpNumThreads(1),
		options.SetExecutionMode(ort.ExecutionModeSequential),
		options.SetGraphOptimizationLevel(ort.GraphOptimizationLevelEnableAll),
		options.AddSessionConfigEntry("session.intra_op.allow_spinning", "0"),
	)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("set session options: %w", err), options.Destroy())
	}
	return options, nil
}

// checkShapes compares the manifest with what the model itself says, because
// the runtime reports a mismatch only at the first run and in other words.
func checkShapes(file []byte, inputName string, inputShape ort.Shape, outputs []output) error {
	ins, outs, err := onnx.Shapes(file)
	if err != nil {
		return err
	}
	if err := matchShape(ins, inputName, inputShape); err != nil {
		return fmt.Errorf("input: %w", err)
	}
	for _, o := range outputs {
		if err := matchShape(outs, o.name, o.shape); err != nil {
			return fmt.Errorf("output: %w", err)
		}
	}
	return nil
}

func matchShape(stated map[string][]int64, name string, want ort.Shape) error {
	shape, found := stated[name]
	if !found {
		return fmt.Errorf("the model has no %q", name)
	}
	ok := shape == nil || len(shape) == len(want)
	for i := 0; ok && i < len(shape); i++ {
		ok = shape[i] <= 0 || shape[i] == want[i] // ≤ 0 is dynamic
	}
	if !ok {
		return fmt.Errorf("%q of the model is %v, the manifest needs %v", name, shape, want)
	}
	return nil
}

// run computes the outputs from what is in the input tensor.
func (m *model) run() error { return m.session.Run() }

func (m *model) close() {
	// Errors of Destroy mean that there was nothing to free.
	if m.session != nil {
		_ = m.session.Destroy()
	}
	for _, t := range m.tensors {
		_ = t.Destroy()
	}
}
