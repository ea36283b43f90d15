//go:build (darwin || linux) && (amd64 || arm64)

package decode

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestMappingsAreUsedAgain looks at what is free, since memory that went back to the system cannot be asked.
func TestMappingsAreUsedAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var m mappings
		take := func(n int) []byte {
			t.Helper()
			b, err := m.take(n)
			if err != nil || len(b) != n {
				t.Fatalf("%d bytes, want %d: %v", len(b), n, err)
			}
			b[0], b[n-1] = 1, 1
			return b
		}
		free := func() int {
			m.mu.Lock()
			defer m.mu.Unlock()
			return len(m.free)
		}
		first := take(3 << 20)
		m.give(first)
		<-time.After(keptFor / 2)
		smaller := take(2 << 20)
		if &smaller[0] != &first[0] {
			t.Error("a smaller image got memory of its own")
		}
		m.give(smaller)
		larger := take(5 << 20)
		if free() != 0 {
			t.Error("what was too small is kept beside what was not")
		}
		another := take(1 << 20)
		m.give(larger)
		m.give(another)
		<-time.After(keptFor * 3 / 4)
		again := take(4 << 20)
		if &again[0] != &larger[0] {
			t.Error("of two free mappings the one that is large enough was not used")
		}
		m.give(again)
		<-time.After(keptFor * 3 / 4)
		if free() != 2 {
			t.Errorf("%d mappings are free while large images come, want 2", free())
		}
		<-time.After(keptFor)
		synctest.Wait()
		if free() != 0 {
			t.Errorf("%d mappings are kept though no large image comes", free())
		}
	})
}
