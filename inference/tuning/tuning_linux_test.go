package tuning_test

import (
	"os"
	"strconv"
	"testing"

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
