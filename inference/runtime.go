package inference

import (
	"fmt"
	"sync"

	ort "github.com/yalue/onnxruntime_go"
)

// The ONNX Runtime binding keeps one environment per process in package variables. This is the only place that touches
// them: engines share the environment by counting their references, so that several can live in one process, as they do
// in tests.
var runtimeRefs struct {
	sync.Mutex
	library string
	count   int
}

// acquireRuntime loads the shared library on the first reference and returns the function that gives the reference
// back. A second library cannot be loaded beside the first.
func acquireRuntime(library string) (release func(), err error) {
	r := &runtimeRefs
	r.Lock()
	defer r.Unlock()
	switch {
	case r.count == 0:
		ort.SetSharedLibraryPath(library)
		if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
			return nil, fmt.Errorf("load ONNX Runtime from %s (1.24 or later is needed): %w", library, err)
		}
		r.library = library
	case r.library != library:
		return nil, fmt.Errorf("load ONNX Runtime from %s: the process already uses %s", library, r.library)
	}
	r.count++
	return sync.OnceFunc(releaseRuntime), nil
}

func releaseRuntime() {
	r := &runtimeRefs
	r.Lock()
	defer r.Unlock()
	if r.count--; r.count == 0 {
		// It only fails when there is nothing to destroy.
		_ = ort.DestroyEnvironment()
	}
}
