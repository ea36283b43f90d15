package commandstest

import (
	"bytes"
	"strings"
	"sync"
)

// Lines is a log that a test looks into while it is written.
type Lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write implements io.Writer.
func (l *Lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// String returns all that was written.
func (l *Lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Count returns how many lines were written.
func (l *Lines) Count() int { return strings.Count(l.String(), "\n") }
