//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"io"
	"sync"
	"unsafe"

	"github.com/ebitengine/purego"
)

// vipsSource is a file that libvips reads by asking for more.
type vipsSource struct {
	pointer uintptr
	id      uintptr
}

// vipsReads are the readers of the sources that are in use, by the number that C knows them by.
var vipsReads struct {
	sync.Mutex
	last    uintptr
	readers map[uintptr]io.Reader
}

// vipsRead is given to C: one function for all sources, because what purego makes of a function is never freed.
var vipsRead = sync.OnceValue(func() uintptr {
	return purego.NewCallback(func(_, buffer, length, id uintptr) uintptr {
		vipsReads.Lock()
		r := vipsReads.readers[id]
		vipsReads.Unlock()
		if r == nil || length == 0 {
			return 0
		}
		// The conversion goes through a pointer to the address because the memory is C's.
		n, err := r.Read(unsafe.Slice(*(**byte)(unsafe.Pointer(&buffer)), int(length)))
		if err != nil && err != io.EOF {
			return ^uintptr(0)
		}
		return uintptr(n)
	})
})

// newSource makes a source that reads r, on the thread of whoever reads the image made of it.
func (l *vipsLibrary) newSource(r io.Reader) *vipsSource {
	vipsReads.Lock()
	vipsReads.last++
	s := &vipsSource{id: vipsReads.last}
	if vipsReads.readers == nil {
		vipsReads.readers = map[uintptr]io.Reader{}
	}
	vipsReads.readers[s.id] = r
	vipsReads.Unlock()
	s.pointer = call(l.sourceNew)
	call(l.signalConnect, s.pointer, cString("read"), vipsRead(), s.id, 0, 0)
	return s
}

// close ends the source: whoever reads on finds the end of the file.
func (s *vipsSource) close(l *vipsLibrary) {
	call(l.objectUnref, s.pointer)
	vipsReads.Lock()
	delete(vipsReads.readers, s.id)
	vipsReads.Unlock()
}
