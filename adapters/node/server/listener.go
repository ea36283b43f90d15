package server

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

const (
	// greetingTimeout is how long a connection may take to show which protocol it speaks, TLS included.
	greetingTimeout = 10 * time.Second
	// greetings bounds the connections that have not shown it yet.
	greetings = 256
)

// splitter accepts connections and hands those that speak HTTP/2 to gRPC and the others to the plain HTTP server.
type splitter struct {
	listener net.Listener
	tls      *tls.Config // nil = plain text
	faults   *Faults
	grpc     *branch
	plain    *branch
}

// branch is the listener that one of the two servers accepts from.
type branch struct {
	net.Listener // for the address

	accepted chan net.Conn
	closed   chan struct{}
	once     sync.Once
}

func newSplitter(listener net.Listener, config *tls.Config, faults *Faults) *splitter {
	newBranch := func() *branch {
		return &branch{Listener: listener, accepted: make(chan net.Conn), closed: make(chan struct{})}
	}
	return &splitter{listener: listener, tls: config, faults: faults, grpc: newBranch(), plain: newBranch()}
}

// run accepts until the listener is closed, and returns when no connection is in its greeting any more.
func (s *splitter) run(ctx context.Context) error {
	slots := make(chan struct{}, greetings)
	var greeting sync.WaitGroup
	defer greeting.Wait()
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				// Out of file descriptors, for example: accepting again at once would spin.
				select {
				case <-time.After(50 * time.Millisecond):
					continue
				case <-ctx.Done():
					return nil
				}
			}
			return err
		}
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			conn.Close()
			continue
		}
		greeting.Go(func() {
			defer func() { <-slots }()
			s.greet(ctx, conn)
		})
	}
}

func (s *splitter) greet(ctx context.Context, conn net.Conn) {
	conn = s.faults.track(conn)
	plain := conn // conn changes, while this may close it
	stop := context.AfterFunc(ctx, func() { plain.Close() })
	defer stop()
	deadline := time.Now().Add(greetingTimeout)
	if err := conn.SetDeadline(deadline); err != nil {
		conn.Close()
		return
	}
	if s.tls != nil {
		secured := tls.Server(conn, s.tls)
		if err := secured.HandshakeContext(ctx); err != nil {
			conn.Close()
			return
		}
		conn = secured
	}
	reader := bufio.NewReaderSize(conn, 512)
	start, err := reader.Peek(len("PRI"))
	if err != nil || conn.SetDeadline(time.Time{}) != nil {
		conn.Close()
		return
	}
	to := s.plain
	if string(start) == "PRI" {
		to = s.grpc
	}
	select {
	case to.accepted <- &peeked{Conn: conn, reader: reader}:
	case <-to.closed:
		conn.Close()
	case <-ctx.Done():
		conn.Close()
	}
}

// peeked is a connection whose first bytes were looked at.
type peeked struct {
	net.Conn

	reader *bufio.Reader // nil once what was looked at is read
}

func (p *peeked) Read(b []byte) (int, error) {
	if p.reader == nil {
		return p.Conn.Read(b)
	}
	n, err := p.reader.Read(b[:min(len(b), max(1, p.reader.Buffered()))])
	if p.reader.Buffered() == 0 {
		p.reader = nil
	}
	return n, err
}

// Accept returns the next connection of the branch.
func (b *branch) Accept() (net.Conn, error) {
	select {
	case conn := <-b.accepted:
		return conn, nil
	case <-b.closed:
		return nil, net.ErrClosed
	}
}

// Close ends the branch; the listener itself belongs to the splitter.
func (b *branch) Close() error {
	b.once.Do(func() { close(b.closed) })
	return nil
}
