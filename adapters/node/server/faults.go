package server

import (
	"context"
	"errors"
	"net"
	"strconv"
	"sync"
	"sync/atomic"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// Faults let a server fail in the ways in which real ones do, for the tests of its clients. The zero value does not fail.
type Faults struct {
	hung     atomic.Pointer[hang]
	resigned atomic.Pointer[resignation]
	timeouts atomic.Int64 // appends still to be answered with a timeout
	cuts     atomic.Int64 // appends still to lose their connection

	connections sync.Map // net.Conn by remote address
}

// hang is a time in which nothing moves.
type hang struct {
	over   chan struct{}
	resume func()
}

// resignation is what a server that leads no more says.
type resignation struct {
	host string
	port uint32
	// head is the last position that its answers know of.
	head uint64
}

// errNotLeader refuses a call that only a leader may answer.
var errNotLeader = errors.New("leader info available")

// Hang stops everything, connections included, as if the process were stopped: they are accepted and nothing else happens.
// The returned function lets it go on.
func (f *Faults) Hang() (resume func()) {
	h := &hang{over: make(chan struct{})}
	h.resume = sync.OnceFunc(func() {
		f.hung.CompareAndSwap(h, nil)
		close(h.over)
	})
	if before := f.hung.Swap(h); before != nil {
		before.resume()
	}
	return h.resume
}

// resume ends what Hang has begun.
func (f *Faults) resume() {
	if h := f.hung.Load(); h != nil {
		h.resume()
	}
}

// TimeOutAppends carries out the next count appends and answers each with a timeout: whether they were is not known.
func (f *Faults) TimeOutAppends(count int) { f.timeouts.Store(int64(count)) }

// CutAppends carries out the next count appends and closes the connection instead of answering.
func (f *Faults) CutAppends(count int) { f.cuts.Store(int64(count)) }

// Resign makes the server one that leads no more. Calls that require a leader are told where it is; the others are answered
// from the log up to head, which is all that the server knows. Subscriptions that are open go on.
func (f *Faults) Resign(leader string, head uint64) {
	host, port := splitAddress(leader)
	f.resigned.Store(&resignation{host: host, port: port, head: head})
}

// Lead undoes Resign.
func (f *Faults) Lead() { f.resigned.Store(nil) }

// wait returns when nothing hangs any more, or with the error of what ended before.
func (f *Faults) wait(ended <-chan struct{}) error {
	if h := f.hung.Load(); h != nil {
		select {
		case <-h.over:
		case <-ended:
			return net.ErrClosed
		}
	}
	return nil
}

// admit refuses calls that need a leader where there is none.
func (f *Faults) admit(ctx context.Context, method string) error {
	r := f.resigned.Load()
	if r == nil || open(method) || !requiresLeader(ctx) {
		return nil
	}
	trailer(ctx, "exception", exceptionNotLeader, "leader-endpoint-host", r.host, "leader-endpoint-port", strconv.FormatUint(uint64(r.port), 10))
	return status.Error(codes.NotFound, errNotLeader.Error())
}

func requiresLeader(ctx context.Context) bool {
	md, _ := metadata.FromIncomingContext(ctx)
	values := md.Get("requires-leader")
	return len(values) > 0 && (values[0] == "true" || values[0] == "True")
}

// loseAnswer returns the error with which an append that was carried out is answered, nil for its own answer.
func (f *Faults) loseAnswer(ctx context.Context) error {
	if take(&f.timeouts) {
		return errAppendTimeout
	}
	if take(&f.cuts) {
		if from, ok := peer.FromContext(ctx); ok {
			if connection, ok := f.connections.Load(from.Addr.String()); ok {
				_ = connection.(net.Conn).Close()
			}
		}
		return status.Error(codes.Unavailable, "the connection is cut")
	}
	return nil
}

// errAppendTimeout is a timeout inside the node.
var errAppendTimeout = status.Error(codes.Aborted, "Operation timed out: Append timed out: commit timeout")

func take(count *atomic.Int64) bool {
	for {
		left := count.Load()
		if left <= 0 {
			return false
		}
		if count.CompareAndSwap(left, left-1) {
			return true
		}
	}
}

// staleAppend is the answer of a server that leads no more to an append that does not require a leader: a conflict by what it
// knows, else a timeout, because it finds nobody to commit with. It is nil for a server that leads.
func (f *Faults) staleAppend(ctx context.Context, s *store.Store, w *store.Write) error {
	r := f.resigned.Load()
	if r == nil {
		return nil
	}
	last, err := lastUpTo(ctx, s, w.Stream, r.head)
	if err != nil {
		return err
	}
	if w.Expected >= store.ExpectNoStream && int64(w.Expected) != last || w.Expected == store.ExpectStreamExists && last < 0 {
		return &store.WrongExpectedError{Stream: w.Stream, Expected: w.Expected, Current: last}
	}
	return errAppendTimeout
}

// lastUpTo returns the last revision that a stream had at a position, -1 for none.
func lastUpTo(ctx context.Context, s *store.Store, stream string, head uint64) (int64, error) {
	for from := store.End; ; {
		page, err := s.ReadStream(ctx, stream, store.Backwards, from, pageSize)
		if errors.Is(err, store.ErrStreamNotFound) {
			return -1, nil
		}
		if err != nil {
			return 0, err
		}
		for i := range page.Events {
			if page.Events[i].Position <= head {
				return int64(page.Events[i].Revision), nil
			}
		}
		if page.End {
			return -1, nil
		}
		from = page.Next
	}
}

// pages is how a read gets what it sends.
type pages func(ctx context.Context, direction store.Direction, from uint64, limit int) (store.Slice, error)

// stale leaves out what a server that leads no more does not know of.
func (f *Faults) stale(s *store.Store, stream string, read pages) pages {
	r := f.resigned.Load()
	if r == nil {
		return read
	}
	return func(ctx context.Context, direction store.Direction, from uint64, limit int) (store.Slice, error) {
		if stream != "" {
			if last, err := lastUpTo(ctx, s, stream, r.head); err != nil {
				return store.Slice{}, err
			} else if last < 0 {
				return store.Slice{}, store.ErrStreamNotFound
			}
		}
		page, err := read(ctx, direction, from, limit)
		known := make([]store.Event, 0, len(page.Events))
		for _, event := range page.Events {
			if event.Position <= r.head {
				known = append(known, event)
			}
		}
		page.End = page.End || direction == store.Forwards && len(known) < len(page.Events)
		page.Events = known
		return page, err
	}
}

// connection is one that can hang and be cut.
type connection struct {
	net.Conn

	faults *Faults
	once   sync.Once
	closed chan struct{}
}

func (f *Faults) track(conn net.Conn) net.Conn {
	c := &connection{Conn: conn, faults: f, closed: make(chan struct{})}
	f.connections.Store(conn.RemoteAddr().String(), c)
	return c
}

func (c *connection) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if waitErr := c.faults.wait(c.closed); waitErr != nil {
		return n, waitErr
	}
	return n, err
}

func (c *connection) Write(b []byte) (int, error) {
	if err := c.faults.wait(c.closed); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

// Close closes the connection and lets go who waits on it.
func (c *connection) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.faults.connections.Delete(c.RemoteAddr().String())
	})
	return c.Conn.Close()
}
