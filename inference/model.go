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

// models are the models of a pack, each opened once: any number of runs of a session go on at the same time, with tensors of
// their own.
type models struct {
	pack.Pack
	threads  int
	release  func() // gives the library back
	mu       sync.Mutex
	sessions map[string]openSession // by what is opened
}

// openSession opens a session when it is first called, and returns it ever after.
type openSession func() (*ort.DynamicAdvancedSession, error)

// openModels loads the library. The caller closes the models when none of them is used any more.
func openModels(library string, p pack.Pack, threads int) (*models, error) {
	release, err := acquireRuntime(library)
	if err != nil {
		return nil, err
	}
	return &models{Pack: p, threads: threads, release: release, sessions: map[string]openSession{}}, nil
}

func (p *models) close() {
	for _, open := range p.sessions {
		if session, err := open(); err == nil {
			_ = session.Destroy() // an error means that there is nothing to free
		}
	}
	p.release()
}

// session opens a model file, or returns it as opened before. Of several callers one opens it, and the others wait; other
// files are opened meanwhile.
func (p *models) session(file string, in pack.Input, outputs []output) (*ort.DynamicAdvancedSession, error) {
	key := fmt.Sprint(file, in, outputs)
	p.mu.Lock()
	open, found := p.sessions[key]
	if !found {
		open = sync.OnceValues(func() (*ort.DynamicAdvancedSession, error) {
			model, err := p.read(file)
			if err != nil {
				return nil, err
			}
			return newSession(model, in, outputs, p.threads)
		})
		p.sessions[key] = open
	}
	p.mu.Unlock()
	return open()
}

// read returns a model file as the runtime is fastest with it.
func (p *models) read(file string) ([]byte, error) {
	model, err := p.Read(file)
	if err != nil || runtime.GOARCH != "amd64" { // where its blocks have been measured
		return model, err
	}
	return onnx.Blocked(model)
}

func newSession(model []byte, in pack.Input, outputs []output, threads int) (_ *ort.DynamicAdvancedSession, err error) {
	if err := checkShapes(model, in.Name, inputShape(in), outputs); err != nil {
		return nil, err
	}
	options, err := sessionOptions(threads)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, options.Destroy()) }()
	names := make([]string, len(outputs))
	for i, o := range outputs {
		names[i] = o.name
	}
	session, err := ort.NewDynamicAdvancedSessionWithONNXData(model, []string{in.Name}, names, options)
	if err != nil {
		return nil, fmt.Errorf("create the session: %w", err)
	}
	return session, nil
}

// model is an ONNX session with the tensors that it reads and writes, which are made once. It belongs to one worker.
type model struct {
	input   pixels.Tensor
	outputs [][]float32
	session *ort.DynamicAdvancedSession
	tensors []*ort.Tensor[float32]
	read    []ort.Value
	written []ort.Value
}

// output names an output and its full shape, with dynamic dimensions filled in.
type output struct {
	name  string
	shape []int64
}

func inputShape(in pack.Input) ort.Shape {
	return ort.NewShape(1, int64(in.Order.Planes()), int64(in.Height), int64(in.Width))
}

func newModel(p *models, file string, in pack.Input, outputs []output) (_ *model, err error) {
	m := &model{}
	defer func() {
		if err != nil {
			m.close()
		}
	}()
	if m.session, err = p.session(file, in, outputs); err != nil {
		return nil, err
	}
	inputTensor, err := m.newTensor(inputShape(in))
	if err != nil {
		return nil, err
	}
	m.input = pixels.Tensor{
		Data: inputTensor.GetData(), Width: in.Width, Height: in.Height,
		Order: in.Order, Mean: in.Mean, Scale: in.Scale,
	}
	m.read = []ort.Value{inputTensor}
	for _, o := range outputs {
		t, err := m.newTensor(ort.NewShape(o.shape...))
		if err != nil {
			return nil, err
		}
		m.written = append(m.written, t)
		m.outputs = append(m.outputs, t.GetData())
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
func (m *model) run() error { return m.session.Run(m.read, m.written) }

func (m *model) close() {
	for _, t := range m.tensors {
		_ = t.Destroy() // an error means that there is nothing to free
	}
}
