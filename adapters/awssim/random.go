package awssim

import (
	crand "crypto/rand"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/google/uuid"
)

// random makes identifiers. A fixed seed makes a run repeatable.
type random struct {
	seed uint64
	mu   sync.Mutex
	rng  *rand.Rand
}

func newRandom(seed uint64) *random {
	if seed == 0 {
		var b [8]byte
		_, _ = crand.Read(b[:]) // never fails
		seed = binary.LittleEndian.Uint64(b[:])
	}
	return &random{seed: seed, rng: rand.New(rand.NewPCG(seed, 0))}
}

func (r *random) bytes(n int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.rng.Uint32())
	}
	return b
}

func (r *random) text(n int, alphabet string) string {
	b := r.bytes(n)
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return string(b)
}

func (r *random) hex(n int) string { return r.text(n, "0123456789abcdef") }

func (r *random) uuid() string {
	id, err := uuid.FromBytes(r.bytes(16))
	if err != nil {
		return r.hex(32)
	}
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	return id.String()
}

// accountID is a twelve-digit AWS account number.
func (r *random) accountID() string {
	return fmt.Sprintf("%s%s", r.text(1, "123456789"), r.text(11, "0123456789"))
}
