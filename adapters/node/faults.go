package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"

	"github.com/pas-ta/liveness/adapters/node/server"
)

// Faults let a node fail in the ways in which real ones do, for the tests of its clients.
type Faults struct {
	node *Node

	mu      sync.Mutex
	servers []*server.Server // the node's own, and the one that takes the lead when that resigns
	leading int
	held    atomic.Pointer[heldCommits]
}

// heldCommits is a time in which nothing becomes durable.
type heldCommits struct {
	over    chan struct{}
	release func()
}

// Faults are the ways in which the node can be made to fail.
func (n *Node) Faults() *Faults { return &n.faults }

// leader is the server that leads.
func (f *Faults) leader() *server.Server {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.servers[f.leading]
}

// Hang stops everything at once, open connections included, as if the process were stopped: connections are accepted, and
// nothing is answered. The returned function lets the node go on.
func (f *Faults) Hang() (resume func()) { return f.leader().Faults().Hang() }

// TimeOutAppends carries out the next count appends and answers each with a timeout: whether they were is not known.
func (f *Faults) TimeOutAppends(count int) { f.leader().Faults().TimeOutAppends(count) }

// CutAppends carries out the next count appends and closes the connection instead of answering.
func (f *Faults) CutAppends(count int) { f.leader().Faults().CutAppends(count) }

// HoldCommits keeps what is appended from now on from being read and answered. Conflicts among it are answered at once, before
// the winner can be read. The returned function lets everything become durable and be answered.
func (f *Faults) HoldCommits() (release func()) {
	held := &heldCommits{over: make(chan struct{})}
	held.release = sync.OnceFunc(func() {
		f.held.CompareAndSwap(held, nil)
		close(held.over)
	})
	if before := f.held.Swap(held); before != nil {
		before.release()
	}
	return held.release
}

// Resign returns the lead to another server of the same log and returns its address. At the address before, calls that require
// a leader are refused with the new one's address, others are answered from the state of this moment, and subscriptions that
// are open go on. Called again, it gives the lead back.
func (f *Faults) Resign(ctx context.Context) (leader string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.servers) == 1 {
		host, _, err := net.SplitHostPort(f.node.Addr())
		if err != nil {
			return "", fmt.Errorf("resign: %w", err)
		}
		other, err := f.node.listen(ctx, net.JoinHostPort(host, "0"))
		if err != nil {
			return "", fmt.Errorf("resign: %w", err)
		}
		f.servers = append(f.servers, other)
	}
	before := f.servers[f.leading]
	f.leading = 1 - f.leading
	next := f.servers[f.leading]
	next.Faults().Lead()
	before.Faults().Resign(next.Addr(), f.node.store.Head())
	return next.Addr(), nil
}

// stop ends every server and whatever they are made to suffer.
func (f *Faults) stop(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if held := f.held.Load(); held != nil {
		held.release()
	}
	var errs []error
	for _, s := range f.servers {
		errs = append(errs, s.Stop(ctx))
	}
	return errors.Join(errs...)
}

// holdCommit returns how long a commit is held: as long as HoldCommits says, else as the line does.
func (f *Faults) holdCommit(line func(conflict bool) <-chan struct{}) func(conflict bool) <-chan struct{} {
	return func(conflict bool) <-chan struct{} {
		if held := f.held.Load(); held != nil {
			return held.over
		}
		if line == nil {
			return nil
		}
		return line(conflict)
	}
}
