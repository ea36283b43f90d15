//go:build amd64 || arm64

package isolated

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/inference/decode"
)

// memory is what the program and a worker process both map.
//
//	0          the number of the check that its caller has left
//	4 KiB      what the process answers
//	64 KiB     the image, or at the start the settings
type memory struct {
	all []byte
}

const (
	answerAt = 4 << 10
	imageAt  = 64 << 10
)

// mostImage is one byte more than is accepted, which shows the decoder that an image is larger.
var mostImage = decode.Limits{}.WithDefaults().MaxBytes + 1

func memorySize() int { return imageAt + mostImage }

// newMemory makes memory and the file through which another process maps it. Its size is sealed: a process that made it
// smaller would otherwise end the program, which then touches what is no longer there.
func newMemory() (*memory, *os.File, error) {
	fd, err := unix.MemfdCreate("image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, nil, fmt.Errorf("make shared memory: %w", err)
	}
	file := os.NewFile(uintptr(fd), "image")
	if err = unix.Ftruncate(fd, int64(memorySize())); err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("size shared memory: %w", err), file.Close())
	}
	m, err := mapMemory(fd)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return m, file, nil
}

func mapMemory(fd int) (*memory, error) {
	all, err := unix.Mmap(fd, 0, memorySize(), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map shared memory: %w", err)
	}
	return &memory{all}, nil
}

// unmap is called when no check is under way. It fails only for what is not mapped.
func (m *memory) unmap() { _ = unix.Munmap(m.all) }

// left is the number of the check whose caller has left.
func (m *memory) left() *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&m.all[0])) }

func (m *memory) image() []byte { return m.all[imageAt:] }

// forget clears the image, so that a process which the next one takes over finds none of this caller's there. The room stays
// with the memory: given back, its pages cost a large image a quarter of its time the next time.
func (m *memory) forget(n int) { clear(m.all[imageAt : imageAt+n]) }

// put writes what is small, as JSON, and returns its length.
func put(room []byte, v any) (int, error) {
	text, err := json.Marshal(v)
	if err != nil {
		return 0, fmt.Errorf("write for another process: %w", err)
	}
	if len(text) > len(room) {
		return 0, fmt.Errorf("%d bytes for another process, there is room for %d", len(text), len(room))
	}
	return copy(room, text), nil
}

// message is what a pipe carries: that something is there.
type message struct {
	check  uint64 // its number; 0 is the start
	length uint32
	format uint32 // index in formats
}

const messageSize = 16

var formats = []decode.Format{decode.JPEG, decode.PNG}

func (m message) bytes() []byte {
	return (*[messageSize]byte)(unsafe.Pointer(&m))[:] // both processes run on one machine
}

func readMessage(b [messageSize]byte) message { return *(*message)(unsafe.Pointer(&b)) }
