package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/perf/benchfmt"
)

const module = "github.com/pas-ta/liveness/"

// goBenchmarks names Go benchmarks of one package: what they measure is written once, beside what they measure.
type goBenchmarks struct {
	pkg     string // below the module
	pattern string
	time    string // of each benchmark, as for -benchtime
	rounds  int    // reported are medians over them
	env     []string
}

// metrics holds numbers by name of the benchmark and unit. Times are in seconds, whatever the benchmark reported.
type metrics map[string]map[string]float64

// of returns a number that must have been measured.
func (m metrics) of(name, unit string) (float64, error) {
	v, ok := m[name][unit]
	if !ok {
		return 0, fmt.Errorf("the benchmarks did not report %s of %s", unit, name)
	}
	return v, nil
}

func (b *bench) measureGo(ctx context.Context, g goBenchmarks) (metrics, error) {
	pkg := module + g.pkg
	dir, err := output(exec.CommandContext(ctx, "go", "list", "-f", "{{.Dir}}", pkg))
	if err != nil {
		return nil, err
	}
	binary := filepath.Join(b.dir, strings.ReplaceAll(g.pkg, "/", "-")+".test")
	if _, err := output(exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, pkg)); err != nil {
		return nil, err
	}
	all := map[string]map[string][]float64{}
	for range g.rounds {
		command := exec.CommandContext(ctx, binary, "-test.run=^$", "-test.bench="+g.pattern, "-test.benchtime="+g.time)
		command.Dir = strings.TrimSpace(string(dir))
		command.Env = append(os.Environ(), g.env...)
		text, err := output(command)
		if err != nil {
			return nil, err
		}
		collect(all, text)
	}
	medians := metrics{}
	for name, units := range all {
		medians[name] = map[string]float64{}
		for unit, values := range units {
			slices.Sort(values)
			medians[name][unit] = values[len(values)/2]
		}
	}
	return medians, nil
}

// collect adds the results in the output of benchmarks.
func collect(all map[string]map[string][]float64, text []byte) {
	for reader := benchfmt.NewReader(bytes.NewReader(text), ""); reader.Scan(); {
		result, ok := reader.Result().(*benchfmt.Result)
		if !ok {
			continue // what the benchmark logs is no result
		}
		base, parts := result.Name.Parts()
		var full strings.Builder
		full.Write(base)
		for _, part := range parts {
			if part[0] == '/' { // "-2" is the number of processors
				full.Write(part)
			}
		}
		name := full.String()
		if all[name] == nil {
			all[name] = map[string][]float64{}
		}
		for _, value := range result.Values {
			all[name][value.Unit] = append(all[name][value.Unit], value.Value)
		}
	}
}

// output runs a command; the error has the end of what it printed.
func output(command *exec.Cmd) ([]byte, error) {
	var out, errOut bytes.Buffer
	command.Stdout, command.Stderr = &out, &errOut
	if err := command.Run(); err != nil {
		said := append(out.Bytes(), errOut.Bytes()...)
		return nil, fmt.Errorf("%s: %w\n%s", filepath.Base(command.Path), err, said[max(0, len(said)-3000):])
	}
	return out.Bytes(), nil
}
