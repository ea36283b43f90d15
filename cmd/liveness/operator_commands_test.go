package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

func TestOperatorCommandsAreKnownByName(t *testing.T) {
	t.Parallel()
	for selected, want := range map[string]string{
		"erase": "erase", "erase <customer>": "erase", "metering resolve <subscription> <hour> <dimension>": "metering resolve",
		"metering status": "", "version": "", "serve": "", "store backup <to>": "store backup",
	} {
		if got := operatorCommand(selected); got != want {
			t.Errorf("%q is %q, want %q", selected, got, want)
		}
	}
}

// A command that changes data is written down with who ran it, and without whom it was about; it is counted where all nodes
// look. What only looks is not.
func TestOperatorCommandsAreWrittenDown(t *testing.T) {
	t.Parallel()
	database := pgtest.Migrated(t)
	pool := pgtest.Connect(t, database)
	file := filepath.Join(t.TempDir(), "security.log")
	var out, errOut bytes.Buffer
	for _, args := range [][]string{{"version"}, {"erase", "--person", "ada@example.com", "--postgres", database}} { // refused without --yes
		run(append([]string{"--security-log", file}, args...), &out, &errOut)
	}
	lines, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Count(string(lines), "\n") != 1 || !strings.Contains(string(lines), `"event":"operator_command","command":"erase","operator":"`) ||
		!strings.Contains(string(lines), `"outcome":"failed"`) || strings.Contains(string(lines), "ada@") {
		t.Errorf("written down:\n%s%s", lines, errOut.String())
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(newOperatorMetrics(pool, nil))
	families, err := registry.Gather()
	if err != nil || len(families) != 1 || len(families[0].GetMetric()) != 2*len(operatorCommands) {
		t.Fatalf("counted: %v, %v", families, err)
	}
	for _, metric := range families[0].GetMetric() { // by command and outcome, each from the start
		want := 0.0
		if metric.GetLabel()[0].GetValue() == "erase" && metric.GetLabel()[1].GetValue() == "failed" {
			want = 1
		}
		if metric.GetCounter().GetValue() != want {
			t.Errorf("counted: %v, want %v", metric, want)
		}
	}
}
