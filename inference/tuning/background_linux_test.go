package tuning_test

import (
	"testing"

	"golang.org/x/sys/unix"

	"github.com/pas-ta/liveness/inference/tuning"
)

func TestBackgroundGivesWay(t *testing.T) {
	t.Parallel()
	background := tuning.NewBackground()
	t.Cleanup(background.Close)
	var first, again int
	background.Do(func() { first = unix.Gettid() })
	background.Do(func() { again = unix.Gettid() })
	if first != again {
		t.Error("jobs ran on two threads")
	}
	if niceOf(t, first) <= niceOf(t, 0) {
		t.Errorf("a job has nice %d, everything else %d", niceOf(t, first), niceOf(t, 0))
	}
}

// niceOf returns the nice value of a thread, 0 for the caller's.
func niceOf(t *testing.T, thread int) int {
	t.Helper()
	raw, err := unix.Getpriority(unix.PRIO_PROCESS, thread)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - raw // the system call returns it upside down, so that it is never negative
}

func TestBackgroundPanicsInTheCaller(t *testing.T) {
	t.Parallel()
	background := tuning.NewBackground()
	t.Cleanup(background.Close)
	func() {
		defer func() {
			if recover() != "broken" {
				t.Error("the caller does not hear of a panic")
			}
		}()
		background.Do(func() { panic("broken") })
	}()
	done := false
	background.Do(func() { done = true })
	if !done {
		t.Error("nothing runs after a panic")
	}
}
