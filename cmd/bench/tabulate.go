package main

import "strings"

// tabulation turns metrics of Go benchmarks into rows; the first metric that is missing is its error.
type tabulation struct {
	metrics metrics
	rows    []row
	err     error
	unit    string // of the last row, as the benchmark reports it
}

func tabulate(m metrics) *tabulation { return &tabulation{metrics: m} }

// add makes a row of one metric. Seconds are shown as milliseconds.
func (t *tabulation) add(r row, benchmark, unit string) *tabulation {
	t.unit = unit
	value := t.value(benchmark, unit)
	r.Measured, r.Unit = value, shownUnit(unit)
	t.rows = append(t.rows, r)
	return t
}

// against holds the last row against the same metric of another benchmark.
func (t *tabulation) against(benchmark, what string) *tabulation {
	return t.againstValue(t.value(benchmark, t.unit), what)
}

func (t *tabulation) againstValue(value float64, what string) *tabulation {
	t.rows[len(t.rows)-1].Reference = &reference{Value: value, What: what}
	return t
}

func (t *tabulation) value(benchmark, unit string) float64 {
	value, err := t.metrics.of(benchmark, unit)
	if err != nil && t.err == nil {
		t.err = err
	}
	if strings.HasSuffix(unit, "sec/op") {
		return value * 1000
	}
	return value
}

func shownUnit(unit string) string {
	if strings.HasSuffix(unit, "-ms") || strings.HasSuffix(unit, "sec/op") {
		return "ms"
	}
	switch per, _, _ := strings.Cut(unit, "/"); per {
	case "B":
		return "bytes"
	case "allocs":
		return "allocations"
	}
	return unit
}
