package main

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// queueBehindWorkers makes threads of this program that wake up wait for their turn on a processor, a few milliseconds
// at most, where they would otherwise interrupt a thread that judges an image. A check wakes dozens of threads for
// microseconds each; interrupting and resuming a worker for each of them cost up to a tenth of all checks, and on a processor
// that is idle nothing waits. Threads that are started later inherit it.
func queueBehindWorkers() error {
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
