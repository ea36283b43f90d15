//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/pas-ta/liveness/inference/tuning"
)

// keptFor is how long the memory of a large image is kept for the next one.
const keptFor = time.Second

// mappings is memory for the pixels of large images, from the operating system and back to it: left to the garbage collector, a
// few of them one after the other would multiply the memory of the process. Where large images follow each other it is
// used again, since taking and clearing its pages costs a fifth of decoding them.
type mappings struct {
	mu     sync.Mutex
	free   [][]byte
	expire *time.Timer // nil until something was given
}

// take returns n bytes of unknown contents.
func (m *mappings) take(n int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if i := slices.IndexFunc(m.free, func(b []byte) bool { return len(b) >= n }); i >= 0 {
		b := m.free[i]
		m.free = slices.Delete(m.free, i, i+1)
		return b[:n], nil
	}
	if len(m.free) > 0 { // instead of which there is a larger one soon
		unmap(m.free[0])
		m.free = slices.Delete(m.free, 0, 1)
	}
	b, err := syscall.Mmap(-1, 0, n, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("get %d bytes for pixels: %w", n, err)
	}
	tuning.LargePages(b)
	return b, nil
}

// give takes back what take has returned.
func (m *mappings) give(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, b[:cap(b)])
	if m.expire == nil {
		m.expire = time.AfterFunc(keptFor, m.drop)
	} else {
		m.expire.Reset(keptFor)
	}
}

// drop gives all that is free back to the system.
func (m *mappings) drop() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.free {
		unmap(b)
	}
	m.free = nil
}

// unmap gives a whole mapping back, which fails only for memory that is none.
func unmap(b []byte) { _ = syscall.Munmap(b) }
