package node

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/pas-ta/liveness/adapters/node/persistent"
	"github.com/pas-ta/liveness/adapters/node/server"
	"github.com/pas-ta/liveness/adapters/node/store"
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

// lateWinners is how many conflicts are answered before the next one whose winner cannot be read for lateWinner.
const (
	lateWinners = 4
	lateWinner  = 25 * time.Millisecond
)

// tune sets what the log does otherwise in a line.
func (l Line) tune(o *store.Options) {
	if l == OwnLine {
		return
	}
	o.LimitDataOnly, o.LinksInLog = true, true
	at := make(chan struct{})
	close(at)
	conflicts := 0
	o.HoldCommit = func(conflict bool) <-chan struct{} {
		if !conflict {
			return nil
		}
		if conflicts++; conflicts%lateWinners != 0 {
			return at
		}
		late := make(chan struct{})
		time.AfterFunc(lateWinner, func() { close(late) })
		return late
	}
}

// persistent returns what persistent subscriptions do otherwise in a line.
func (l Line) persistent(logger *slog.Logger) persistent.Options {
	return persistent.Options{Logger: logger, CheckpointsInLog: l != OwnLine, RedeliversAfterUpdate: l != OwnLine}
}

// writesSystemEvents returns whether the log has events of the store itself between those of its clients.
func (l Line) writesSystemEvents() bool { return l != OwnLine }
