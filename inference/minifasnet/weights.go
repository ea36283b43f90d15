package minifasnet

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"

	"github.com/nlpodyssey/gopickle/pickle"
	"github.com/nlpodyssey/gopickle/types"
)

// tensor is a dense array in row-major order.
type tensor struct {
	shape  []int
	values []float32
}

// storage is the flat array behind a tensor. Its values follow the pickles.
type storage struct {
	size   int
	bytes  int // of one value
	values []float32
}

// view is a tensor whose storage has not been read yet.
type view struct {
	storage *storage
	shape   []int
}

// The classes that a file of weights may name. A pickle gets at code only through the classes that its reader knows: these
// are all, and none does more than hold what it is given.
var classes = map[string]any{
	"torch._utils._rebuild_tensor_v2": rebuild{},
	"torch.FloatStorage":              element(4),
	"torch.LongStorage":               element(8), // counts of training batches, of no use here
}

// element is the class of a storage: the size in bytes of one value.
type element int

// readTensors reads the float tensors of a file that PyTorch wrote before version 1.6: five pickles (a magic number, the
// version of the format, sizes of C types, the tensors, the order of the storages), then the storages.
func readTensors(file []byte) (map[string]tensor, error) {
	in := bytes.NewReader(file)
	storages := map[string]*storage{}
	next := func() (any, error) {
		u := pickle.NewUnpickler(in)
		u.FindClass = func(module, name string) (any, error) {
			if class, ok := classes[module+"."+name]; ok {
				return class, nil
			}
			return nil, fmt.Errorf("it names %s.%s, which is no tensor", module, name)
		}
		u.PersistentLoad = func(id any) (any, error) { return storageOf(id, storages) }
		return u.Load()
	}
	var pickles [5]any
	for i := range pickles {
		var err error
		if pickles[i], err = next(); err != nil {
			return nil, fmt.Errorf("part %d: %w", i+1, err)
		}
	}
	named, ok := pickles[3].(*types.OrderedDict)
	order, listed := pickles[4].(*types.List)
	if !ok || !listed {
		return nil, fmt.Errorf("the parts hold %T and %T, not tensors and the order of their values", pickles[3], pickles[4])
	}
	for _, key := range *order {
		name, _ := key.(string)
		s, ok := storages[name]
		if !ok {
			return nil, fmt.Errorf("no tensor has the values %v", key)
		}
		if err := s.read(in); err != nil {
			return nil, err
		}
	}
	if in.Len() > 0 {
		return nil, fmt.Errorf("%d bytes follow the last values", in.Len())
	}
	tensors := map[string]tensor{}
	for key, entry := range named.Map {
		name, _ := key.(string)
		v, ok := entry.Value.(view)
		if !ok {
			return nil, fmt.Errorf("%v is a %T and no tensor", key, entry.Value)
		}
		tensors[strings.TrimPrefix(name, "module.")] = tensor{shape: v.shape, values: v.storage.values}
	}
	return tensors, nil
}

// storageOf returns the storage that a persistent id names: ("storage", class, key, device, size, nothing).
func storageOf(id any, known map[string]*storage) (*storage, error) {
	tuple, ok := id.(*types.Tuple)
	if !ok || tuple.Len() != 6 || tuple.Get(0) != "storage" {
		return nil, fmt.Errorf("%v is no storage", id)
	}
	class, isClass := tuple.Get(1).(element)
	key, isKey := tuple.Get(2).(string)
	size, isSize := tuple.Get(4).(int)
	if !isClass || !isKey || !isSize || size < 0 || tuple.Get(5) != nil {
		return nil, fmt.Errorf("%v is no storage", id)
	}
	if known[key] == nil {
		known[key] = &storage{size: size, bytes: int(class)}
	}
	return known[key], nil
}

// read takes the number of values and the values, little-endian.
func (s *storage) read(in *bytes.Reader) error {
	var count uint64
	if err := binary.Read(in, binary.LittleEndian, &count); err != nil {
		return fmt.Errorf("read the number of values: %w", err)
	}
	if count != uint64(s.size) || count > uint64(in.Len()/s.bytes) {
		return fmt.Errorf("%d values follow where %d were announced", count, s.size)
	}
	data := make([]byte, s.size*s.bytes)
	if _, err := io.ReadFull(in, data); err != nil {
		return fmt.Errorf("read %d values: %w", s.size, err)
	}
	if s.bytes != 4 {
		return nil
	}
	s.values = make([]float32, s.size)
	for i := range s.values {
		s.values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return nil
}

// rebuild is what a pickle calls to make a tensor.
type rebuild struct{}

var _ types.Callable = rebuild{}

// Call takes the storage, the offset in it, shape, strides and what training needs. Only tensors that are all of their
// storage, row by row, are taken.
func (rebuild) Call(args ...any) (any, error) {
	if len(args) < 4 {
		return nil, fmt.Errorf("a tensor of %d parts", len(args))
	}
	s, isStorage := args[0].(*storage)
	shape, isShape := numbers(args[2])
	strides, isStrides := numbers(args[3])
	if !isStorage || args[1] != 0 || !isShape || !isStrides || len(shape) != len(strides) {
		return nil, fmt.Errorf("a tensor of %T at %v, of shape %v and strides %v", args[0], args[1], args[2], args[3])
	}
	size := 1
	for i := range slices.Backward(shape) {
		if strides[i] != size && shape[i] != 1 || shape[i] < 1 {
			return nil, fmt.Errorf("a tensor of shape %v with strides %v", shape, strides)
		}
		size *= shape[i]
	}
	if size != s.size {
		return nil, fmt.Errorf("a tensor of shape %v over %d values", shape, s.size)
	}
	return view{storage: s, shape: shape}, nil
}

func numbers(tuple any) ([]int, bool) {
	t, ok := tuple.(*types.Tuple)
	if !ok {
		return nil, false
	}
	all := make([]int, t.Len())
	for i := range all {
		if all[i], ok = t.Get(i).(int); !ok {
			return nil, false
		}
	}
	return all, true
}
