package tuning_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/inference/tuning"
)

func TestThreadsQueueBehindWorkers(t *testing.T) {
	t.Parallel()
	if err := tuning.QueueBehindWorkers(); err != nil {
		t.Fatal(err)
	}
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		t.Fatal(err)
	}
	for _, thread := range threads {
		id, err := strconv.Atoi(thread.Name())
		if err != nil {
			t.Fatal(err)
		}
		if attributes, err := unix.SchedGetAttr(id, 0); err == nil && attributes.Policy == unix.SCHED_NORMAL {
			t.Errorf("thread %d interrupts workers", id)
		}
	}
}

func TestLargePagesAreAskedFor(t *testing.T) {
	t.Parallel()
	mapping, err := unix.Mmap(-1, 0, 16<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Munmap(mapping) }()
	tuning.LargePages(mapping)
	maps, err := os.ReadFile("/proc/self/smaps")
	if err != nil {
		t.Fatal(err)
	}
	_, of, found := strings.Cut(string(maps), fmt.Sprintf("%x-", uintptr(unsafe.Pointer(&mapping[0]))))
	_, flags, _ := strings.Cut(of, "VmFlags:")
	flags, _, _ = strings.Cut(flags, "\n")
	if !found || !strings.Contains(flags, " hg") {
		t.Errorf("the flags of the mapping are %q", flags)
	}
}
