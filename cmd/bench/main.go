// Command bench measures the product beside what bounds it (the database's own rate, the models' bare runs, the same chain
// without HTTP) in one run on one machine, and prints one table. It is a tool of this repository and no part of the product.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

type commandLine struct {
	Measure measureCmd `cmd:"" default:"withargs" help:"Measure everything, or some sections, and print the table."`
	Attack  attackCmd  `cmd:"" hidden:"" help:"Harm a server; the measuring process starts it."`
	Load    loadCmd    `cmd:"" hidden:"" help:"Send checks to a server; the measuring process starts it."`
}

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

func run(args []string, out, progress io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var commands commandLine
	exited := -1
	parser, err := kong.New(&commands, kong.Name("bench"), kong.UsageOnError(), kong.Writers(out, progress),
		kong.Description("Measures the product beside what bounds it."), kong.Exit(func(code int) { exited = code }))
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return 1
	}
	selected, err := parser.Parse(args)
	if exited >= 0 {
		return exited
	}
	if err == nil {
		selected.BindTo(ctx, (*context.Context)(nil))
		err = selected.Run(&app{out: out, progress: progress})
	}
	if err != nil {
		fmt.Fprintln(progress, "bench:", err)
		return 1
	}
	return 0
}

// app is what every command gets. The table goes to out, all else to progress.
type app struct {
	out, progress io.Writer
}

// measureCmd runs the sections. A number below its target is printed as low and is no failure of the program.
type measureCmd struct {
	Only   []string `help:"Sections to measure: node, counting, decode, chain, endtoend, share, fairness, isolation, memory, projections. Without it all." enum:"node,counting,decode,chain,endtoend,share,fairness,isolation,memory,projections" placeholder:"SECTION"`
	Quick  bool     `help:"Short runs with little data: shows that everything works, not how fast it is."`
	JSON   string   `help:"Also write the table as JSON to this file." type:"path" placeholder:"FILE"`
	Out    string   `help:"Directory for the plot and the JSON." default:"bench-out" type:"path"`
	Events int      `help:"Events that are projected from zero; 0 means 1,000,000, and 20,000 with --quick." env:"LIVENESS_BENCH_EVENTS"`
	Checks int      `help:"Counted calls that the dashboard's queries run over; 0 means 10,000,000, and 100,000 with --quick." env:"LIVENESS_BENCH_CHECKS"`
	Growth int      `help:"Checks over which the growth of memory is measured; after the first ones; 0 means 5,000, and 150 with --quick." env:"LIVENESS_BENCH_GROWTH"`
}

// bench is one run of the program.
type bench struct {
	dir      string // for data of the run; removed afterwards
	out      string
	progress io.Writer
	measureCmd
}

type section struct {
	name string
	run  func(context.Context, *bench) ([]row, error)
}

func sections() []section {
	return []section{
		{"node", measureNode},
		{"counting", measureCounting},
		{"decode", measureDecode},
		{"chain", measureChain},
		{"endtoend", measureEndToEnd},
		{"share", measureShare},
		{"fairness", measureFairness},
		{"isolation", measureIsolation},
		{"memory", measureMemory},
		{"projections", measureProjections},
	}
}

// Run measures. A section that fails leaves the others alone.
func (c *measureCmd) Run(ctx context.Context, a *app) (err error) {
	dir, err := os.MkdirTemp("", "liveness-bench-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := os.MkdirAll(c.Out, 0o755); err != nil {
		return err
	}
	b := &bench{dir: dir, out: c.Out, progress: a.progress, measureCmd: *c}
	r := report{Machine: describeMachine(ctx, dir), Quick: c.Quick, Began: time.Now().UTC()}
	var failures []error
	for _, s := range sections() {
		if len(c.Only) > 0 && !slices.Contains(c.Only, s.name) {
			continue
		}
		fmt.Fprintf(a.progress, "%s … ", s.name)
		began := time.Now()
		rows, err := s.run(ctx, b)
		fmt.Fprintf(a.progress, "%.0f s\n", time.Since(began).Seconds())
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			failures = append(failures, fmt.Errorf("%s: %w", s.name, err))
			fmt.Fprintf(a.progress, "%s failed: %v\n", s.name, firstLine(err))
		}
		for i := range rows {
			rows[i].Section = s.name
		}
		r.Rows = append(r.Rows, rows...)
	}
	r.Seconds = time.Since(r.Began).Seconds()
	if err := r.print(a.out); err != nil {
		return err
	}
	files := []string{filepath.Join(c.Out, "bench.json")}
	if c.JSON != "" {
		files = append(files, c.JSON)
	}
	for _, file := range files {
		if err := r.writeJSON(file); err != nil {
			return err
		}
	}
	plot := filepath.Join(c.Out, "bench.svg")
	if err := r.writePlot(plot); err != nil {
		return err
	}
	fmt.Fprintf(a.progress, "%s and %s written\n", files[0], plot)
	return errors.Join(failures...)
}

func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

// either is full, or quick when the run is.
func either[T any](b *bench, full, quick T) T {
	if b.Quick {
		return quick
	}
	return full
}
