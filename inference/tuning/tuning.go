// Package tuning is what the process asks of the Go scheduler, of the C library and of the kernel so that checks run as
// fast as their models: no more than that happens here, and nothing depends on it but speed. Decision 18 says what each
// setting gains.
package tuning

import (
	"runtime"
	"sync"
)

// reserved counts the scheduler's processors that engines have added.
var reserved struct {
	sync.Mutex
	count int
}

// Processors returns how many processors the program was given.
func Processors() int {
	reserved.Lock()
	defer reserved.Unlock()
	return runtime.GOMAXPROCS(0) - reserved.count
}

// ReserveProcessors gives the Go scheduler one more processor for each worker; a negative number takes them back.
//
// A worker is in native code nearly all of its time and occupies one of the scheduler's processors there. With as many
// workers as processors nothing else in the program would run until the runtime's watchdog takes one away, and it then
// wakes a thread only to find out that there is no work for it, many times a check: that alone cost a tenth of what two
// workers on two cores get done.
func ReserveProcessors(workers int) {
	reserved.Lock()
	defer reserved.Unlock()
	reserved.count += workers
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + workers)
}
