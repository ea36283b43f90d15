package inference

import (
	"runtime"
	"sync"
)

// reserved counts the scheduler's processors that engines have added.
var reserved struct {
	sync.Mutex
	count int
}

// processors is how many processors the program was given.
func processors() int {
	reserved.Lock()
	defer reserved.Unlock()
	return runtime.GOMAXPROCS(0) - reserved.count
}

// reserveProcessors gives the Go scheduler one more processor for each worker; a negative number takes them back.
//
// A worker is in native code nearly all of its time and occupies one of the scheduler's processors there. With as many
// workers as processors nothing else in the program would run until the runtime's watchdog takes one away, and it then
// wakes a thread only to find out that there is no work for it, many times a check: that alone cost a tenth of what two
// workers on two cores get done.
func reserveProcessors(workers int) {
	reserved.Lock()
	defer reserved.Unlock()
	reserved.count += workers
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + workers)
}
