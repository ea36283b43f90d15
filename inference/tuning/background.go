package tuning

import "runtime"

// Background is a thread that gives way to every other of the machine, for what takes long: while it and something short
// want the same processor, the short has nearly all of it, and on an idle processor it is as fast as any.
type Background struct {
	jobs     chan func()
	panicked chan any
}

// NewBackground starts the thread. The caller closes it.
func NewBackground() *Background {
	b := &Background{jobs: make(chan func()), panicked: make(chan any)}
	go b.run()
	return b
}

// run never unlocks the thread, which ends with it: a thread may take a higher priority again only with a privilege.
func (b *Background) run() {
	runtime.LockOSThread()
	giveWay()
	for job := range b.jobs {
		b.do(job)
	}
}

func (b *Background) do(job func()) {
	defer func() { b.panicked <- recover() }()
	job()
}

// Do runs a job and waits for its end. A panic is the caller's, as if it had run the job itself.
func (b *Background) Do(job func()) {
	b.jobs <- job
	if panicked := <-b.panicked; panicked != nil {
		panic(panicked)
	}
}

// Close ends the thread. No job is under way, and none follows.
func (b *Background) Close() { close(b.jobs) }
