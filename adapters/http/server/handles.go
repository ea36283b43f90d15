package server

import (
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"
)

const (
	// handlesTold is how often the log says that no file handle is left.
	handlesTold = 10 * time.Second
	// refusalTimeout is how long a caller that is refused holds up the next.
	refusalTimeout = 10 * time.Millisecond
)

// noHandle is what a caller is told for whom there is no file handle, with the headers of what net/http says by itself.
const noHandle = "HTTP/1.1 503 Service Unavailable\r\n" + retryLater + ownHeaders + "Too many connections. Try again as Retry-After says.\n"

// handleListener answers callers also when the process has no file handle left, where net/http would let them wait, and tells the
// operator. It keeps a handle back to take each caller with, for as long as a refusal takes.
type handleListener struct {
	net.Listener
	log  *slog.Logger
	kept *os.File // nil while it could not be had
	told time.Time
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
			refuse(conn)
			continue
		}
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

// refuse answers whatever is asked. It does so once the request has begun to arrive, because an answer to nothing is none to clients, and
// takes in what of it has arrived: the system would else reset the connection, and with it the answer.
func refuse(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	_ = conn.SetReadDeadline(time.Now().Add(refusalTimeout / 2))
	_, _ = conn.Read(make([]byte, 4096))
	_ = conn.SetDeadline(time.Now().Add(refusalTimeout / 2))
	if _, err := io.WriteString(conn, noHandle); err != nil {
		return
	}
	if half, ok := conn.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_, _ = io.CopyN(io.Discard, conn, 64<<10)
}
