package server

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"
)

const (
	// handlesTold is how often the log says that no file handle is left.
	handlesTold = 10 * time.Second
	// refusalTimeout is how long a caller that is refused, and says nothing, holds up the next: half of it is left to the request to begin to arrive.
	refusalTimeout = 30 * time.Millisecond
)

// handleListener answers callers also when the process has no file handle left, where net/http would let them wait, and tells the
// operator. It keeps a handle back to take each caller with, for as long as a refusal takes.
type handleListener struct {
	net.Listener
	refuse http.HandlerFunc
	log    *slog.Logger
	kept   *os.File // nil while it could not be had
	told   time.Time
}

func (l *handleListener) keep() (err error) {
	if l.kept == nil {
		l.kept, err = os.Open(os.DevNull)
	}
	return err
}

func (l *handleListener) free() {
	if l.kept != nil {
		_ = l.kept.Close()
		l.kept = nil
	}
}

// Accept implements net.Listener. It is called by one goroutine.
func (l *handleListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		switch {
		case outOfHandles(err):
			l.tell(err)
			if l.kept == nil { // somebody else has taken even that one
				<-time.After(refusalTimeout)
			}
			l.free()
			continue
		case err != nil:
			l.free()
			return nil, err
		}
		if err := l.keep(); outOfHandles(err) {
			l.turnAway(conn)
			continue
		}
		boundUnsent(conn)
		return conn, nil
	}
}

func outOfHandles(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

func (l *handleListener) tell(err error) {
	if time.Since(l.told) < handlesTold {
		return
	}
	l.told = time.Now()
	l.log.Warn("no file handle is left, connections are refused: raise the limit (ulimit -n, LimitNOFILE), or lower --connections", "error", err)
}

// turnAway refuses whatever is asked. It does so once the request has begun to arrive, because an answer to nothing is none to clients, and
// takes in what of it has arrived: the system would else reset the connection, and with it the answer.
func (l *handleListener) turnAway(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(refusalTimeout / 2))
	request, err := http.ReadRequest(bufio.NewReader(io.LimitReader(conn, 16<<10)))
	if err != nil {
		request = &http.Request{URL: &url.URL{Path: "/"}}
	}
	answer := &rawAnswer{header: http.Header{}, status: http.StatusOK}
	l.refuse(answer, request)
	_ = conn.SetDeadline(time.Now().Add(refusalTimeout / 2))
	if answer.send(conn) != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, conn, 64<<10)
}
