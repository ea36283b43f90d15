package main

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"

	"github.com/pas-ta/liveness/inference/evaluate"
)

// evaluationProgress tells a person how far an evaluation is: on a terminal in one line, elsewhere at each tenth.
type evaluationProgress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	shown    int // tenths of a pack
	drawn    bool
}

func newEvaluationProgress(w io.Writer) *evaluationProgress {
	file, ok := w.(*os.File)
	return &evaluationProgress{w: w, terminal: ok && term.IsTerminal(int(file.Fd()))}
}

func (p *evaluationProgress) show(pack evaluate.Pack, done, all int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	tenth := 10 * done / all
	switch {
	case p.terminal:
		fmt.Fprintf(p.w, "\r\x1b[K%s: %d of %d judgements", pack.Name, done, all)
		p.drawn = true
	case tenth > p.shown:
		p.shown = tenth
		fmt.Fprintf(p.w, "%s: %d of %d judgements\n", pack.Name, done, all)
	}
}

// end clears the line after a pack.
func (p *evaluationProgress) end() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
	p.shown, p.drawn = 0, false
}
