package parts

import (
	"fmt"
	"io"
	"os"
	"sync"

	"golang.org/x/term"
)

// progress tells a person what is being fetched.
type progress struct {
	mu       sync.Mutex
	w        io.Writer
	terminal bool
	drawn    bool // an unfinished line stands on the terminal
	packages map[string]download
}

// download is how much of a package is here.
type download struct{ got, size int64 }

func newProgress(w io.Writer) *progress {
	if w == nil {
		w = io.Discard
	}
	f, ok := w.(*os.File)
	return &progress{w: w, terminal: ok && term.IsTerminal(int(f.Fd())), packages: map[string]download{}}
}

// linef writes a whole line.
func (p *progress) linef(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.clear()
	fmt.Fprintf(p.w, format+"\n", args...)
}

// downloaded notes how much of a package is here and redraws the unfinished line on a terminal, which shows the sum of all.
func (p *progress) downloaded(pkg npmPackage, got int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.packages[pkg.name] = download{got, pkg.size}
	var all download
	for _, d := range p.packages {
		all.got, all.size = all.got+d.got, all.size+d.size
	}
	p.clear()
	fmt.Fprintf(p.w, "  %s of %s", size(all.got), size(all.size))
	p.drawn = true
}

func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.w, "\r\x1b[K")
		p.drawn = false
	}
}

// size formats a number of bytes for a person.
func size(n int64) string {
	if n < 1e6 {
		return fmt.Sprintf("%.0f kB", float64(n)/1e3)
	}
	return fmt.Sprintf("%.0f MB", float64(n)/1e6)
}
