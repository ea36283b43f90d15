package node

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pas-ta/liveness/adapters/node/server"
)

// Line is a version line of EventStoreDB that the node behaves like, down to what a client would rather not meet.
type Line string

// The lines there are. OwnLine is the node as it is when nobody asks for more: every promise of the protocol kept.
const (
	OwnLine Line = ""
	Line23  Line = "23.10"
	Line24  Line = "24"
)

// Lines returns the lines whose servers the node can be like.
func Lines() []Line { return []Line{Line23, Line24} }

// ParseLine returns the line of that name, as flags and environment variables give it; nothing is OwnLine.
func ParseLine(name string) (Line, error) {
	if line := Line(name); line == OwnLine || slices.Contains(Lines(), line) {
		return line, nil
	}
	names := make([]string, 0, len(Lines()))
	for _, line := range Lines() {
		names = append(names, string(line))
	}
	return OwnLine, fmt.Errorf("%q is no version line that the event store node can be like: choose %s, or nothing", name, strings.Join(names, " or "))
}

// server returns what the protocol's service does otherwise in a line.
func (l Line) server() *server.Line {
	switch l {
	case Line23:
		return server.Line23()
	case Line24:
		return server.Line24()
	}
	return nil
}
