//go:build linux && (amd64 || arm64)

package tuning

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strconv"

	"github.com/ebitengine/purego"
	"golang.org/x/sys/unix"
)

// QueueBehindWorkers makes threads of this program that wake up wait for their turn on a processor, a few milliseconds
// at most, where they would otherwise interrupt a thread that judges an image. A check wakes dozens of threads for
// microseconds each; interrupting and resuming a worker for each of them cost up to a tenth of all checks, and on a processor
// that is idle nothing waits. Threads that are started later inherit it.
func QueueBehindWorkers() error {
	for range 3 { // a thread may be started by one that has not been reached yet
		threads, err := os.ReadDir("/proc/self/task")
		if err != nil {
			return fmt.Errorf("list threads: %w", err)
		}
		changed := false
		for _, thread := range threads {
			id, err := strconv.Atoi(thread.Name())
			if err != nil {
				return fmt.Errorf("list threads: %w", err)
			}
			attributes, err := unix.SchedGetAttr(id, 0)
			if errors.Is(err, unix.ESRCH) || err == nil && attributes.Policy != unix.SCHED_NORMAL {
				continue // it has ended, or somebody has chosen for it
			}
			if err == nil {
				attributes.Policy = unix.SCHED_BATCH
				err = unix.SchedSetAttr(id, attributes, 0)
			}
			if err != nil && !errors.Is(err, unix.ESRCH) {
				return fmt.Errorf("change the scheduling of a thread: %w", err)
			}
			changed = true
		}
		if !changed {
			break
		}
	}
	return nil
}

// less is by how much the nice value of a thread that gives way is above that of the program: it is left a tenth of a processor
// that somebody else wants as well. The garbage collector stops the threads once in a while and waits for each; with less
// it would wait too long for this one.
const less = 10

// giveWay lowers the priority of the calling thread for the rest of its life. Everybody may; where it is forbidden all the
// same, large images slow small ones down.
func giveWay() {
	if raw, err := unix.Getpriority(unix.PRIO_PROCESS, 0); err == nil { // the nice value n as 20 - n
		_ = unix.Setpriority(unix.PRIO_PROCESS, 0, 20-raw+less)
	}
}

// KeepFreedMemory stops glibc from giving the system back, after each strip of an image, what the next strip needs again:
// taking it back, page by page, is a quarter of the time that decoding 12 megapixels takes. Up to 16 MB stay in each of
// glibc's arenas; there are a few for the decoding threads to share, not eight for each processor. Other C libraries lack
// the function and the habit.
func KeepFreedMemory() {
	mallopt, err := purego.Dlsym(purego.RTLD_DEFAULT, "mallopt")
	if err != nil {
		return
	}
	const trimThreshold, mmapThreshold, arenaMax = -1, -3, -8 // M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX of malloc.h
	for parameter, value := range map[int]int{trimThreshold: 16 << 20, mmapThreshold: 8 << 20, arenaMax: 2 * runtime.NumCPU()} {
		_, _, _ = purego.SyscallN(mallopt, uintptr(parameter), uintptr(value))
	}
}

// LargePages asks for memory of a mapping of its own to come in pages of 2 MB. Each page costs an interruption when it is first
// written to, which takes microseconds on a virtual machine: in pages of 4 kB the pixels of 50 megapixels cost more than
// decoding them. Where the system has none to give, nothing changes.
func LargePages(mapping []byte) { _ = unix.Madvise(mapping, unix.MADV_HUGEPAGE) }
