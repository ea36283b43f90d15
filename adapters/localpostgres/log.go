package localpostgres

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"sync"
)

// serverLog passes the server's messages on and remembers the last ones, which explain why it ended.
type serverLog struct {
	logger *slog.Logger

	mu      sync.Mutex
	partial []byte
	tail    []string
}

const (
	tailLines   = 6
	longestLine = 8 << 10 // bytes; a line without an end must not grow without one
)

func newServerLog(l *slog.Logger) *serverLog { return &serverLog{logger: l} }

// Write takes the server's output, in pieces of any size.
func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.partial = append(l.partial, p...)
	for {
		i := bytes.IndexByte(l.partial, '\n')
		if i < 0 {
			break
		}
		l.line(string(l.partial[:i]))
		l.partial = l.partial[i+1:]
	}
	if len(l.partial) > longestLine {
		l.line(string(l.partial))
		l.partial = nil
	}
	return len(p), nil
}

func (l *serverLog) line(s string) {
	if s = strings.TrimSpace(s); s == "" {
		return
	}
	// A FATAL ends one connection, whose client is told; only a PANIC is of the server as a whole.
	level := slog.LevelDebug
	if strings.HasPrefix(s, "PANIC:") {
		level = slog.LevelError
	}
	l.logger.Log(context.Background(), level, "postgres", "message", s)
	if len(l.tail) == tailLines {
		l.tail = l.tail[1:]
	}
	l.tail = append(l.tail, s)
}

// last returns what the server said last.
func (l *serverLog) last() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.tail, "; ")
}

// forget clears what an earlier server said.
func (l *serverLog) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = nil
}
