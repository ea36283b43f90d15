package main

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

// interruptedAt calls stop when a line has been printed and drops what follows.
type interruptedAt struct {
	bytes.Buffer
	stop func()
}

func (w *interruptedAt) Write(line []byte) (int, error) {
	defer w.stop()
	return w.Buffer.Write(line)
}

func TestOnlyATailEndsWellWhenInterrupted(t *testing.T) {
	t.Parallel()
	log := nodetest.Start(t, node.Config{}).ConnectionString()
	for range 3 {
		appendRaw(t, log, "others-1", "SomethingElse", `{}`, ``)
	}
	for name, c := range map[string]struct {
		command EventsCmd
		want    int
	}{
		"all":                  {EventsCmd{}, exitInterrupted},
		"a tail":               {EventsCmd{Follow: true}, 0},
		"a tail from the last": {EventsCmd{Follow: true, Last: 2}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			c.command.EventStore = log
			out := &interruptedAt{stop: stop}
			err := c.command.Run(ctx, &App{Out: out, Err: io.Discard, Log: slog.New(slog.DiscardHandler)})
			code := 0
			if err != nil {
				code = report(io.Discard, err)
			}
			if code != c.want || out.Len() == 0 {
				t.Errorf("exit status %d (%v) after %q, want %d", code, err, out.String(), c.want)
			}
		})
	}
}
