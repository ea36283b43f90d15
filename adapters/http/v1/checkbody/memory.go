package checkbody

import (
	"math/bits"
	"sync"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/domain"
)

const (
	// smallest is the least memory for an image, in bytes. Sizes double from there.
	smallest = 64 << 10
	// trusted is how much a client gets, in bytes, for announcing a length alone. More follows once it has sent as much.
	trusted = 1 << 20
)

// Memory is where images stand while they are judged: buffers that are used again, and a bound on all of them together,
// which is divided fairly.
type Memory struct {
	maxImage int
	pool     *fairshare.Pool // of bytes
	sizes    []sync.Pool     // of *[]byte; sizes[i] holds those of smallest<<i bytes, the last one those for the largest image
}

// NewMemory holds images of up to maxImage bytes, of up to budget bytes altogether.
func NewMemory(maxImage int, budget int64) *Memory {
	m := &Memory{maxImage: maxImage, pool: fairshare.NewPool(budget, fairshare.NewestFirst)}
	m.sizes = make([]sync.Pool, m.class(m.largest())+1)
	return m
}

// largest is the size of the last class: an image and what one read may decode beyond it before the limit is noticed.
func (m *Memory) largest() int { return m.maxImage + readSize }

// Pool returns how the bytes are divided.
func (m *Memory) Pool() *fairshare.Pool { return m.pool }

// Taken is how many bytes are in use.
func (m *Memory) Taken() int64 { return m.pool.Stand().Taken }

// held is an image that grows, and what is held for it.
type held struct {
	*Memory
	claim *fairshare.Claim
}

// class is the index of the smallest size that holds n bytes.
func (m *Memory) class(n int) int {
	return bits.Len(uint(max(n, 1)-1) / smallest)
}

func (m *Memory) size(class int) int { return min(smallest<<class, m.largest()) }

// grow makes room for n more bytes behind image, in a larger buffer if need be. Hint is the size that the image may
// come to, 0 or less when unknown. On an error image is still to be put back.
func (m held) grow(image []byte, n int, hint int64) ([]byte, error) {
	need := len(image) + n
	if need <= cap(image) {
		return image, nil
	}
	if need > m.largest() {
		return image, domain.ErrImageTooLarge
	}
	if cap(image) < trusted {
		hint = min(hint, trusted)
	}
	larger, err := m.get(m.class(max(need, int(min(hint, int64(m.largest()))))))
	if err != nil {
		return image, err
	}
	larger = append(larger, image...)
	m.put(image)
	return larger, nil
}

func (m held) get(class int) ([]byte, error) {
	size := m.size(class)
	if err := m.claim.Grow(int64(size)); err != nil {
		return nil, domain.ErrOverloaded.Because(err)
	}
	if buffer, ok := m.sizes[class].Get().(*[]byte); ok {
		return (*buffer)[:0], nil
	}
	return make([]byte, 0, size), nil
}

func (m held) put(image []byte) {
	if cap(image) == 0 {
		return
	}
	m.claim.Shrink(int64(cap(image)))
	image = image[:0]
	m.sizes[m.class(cap(image))].Put(&image)
}
