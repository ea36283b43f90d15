package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/user"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/adapters/postgres"
)

// operatorCommands are the commands that change data or copy them. Who ran one is written down.
var operatorCommands = []string{
	"erase", "hold place", "hold release", "login remove-second-factor",
	"mails replay", "mails drop", "metering resolve", "projections rebuild", "projections skip", "secret add", "secret retire", "secret rewrap",
	"store backup", "store copy", "store prepare", "subscription reinstate", "usage credit",
}

// The outcomes of a command.
const (
	outcomeDone   = "done"
	outcomeFailed = "failed"
)

// operatorCommand returns which of them was called; empty when it was none. Its arguments are left out: they name people.
func operatorCommand(selected string) string {
	words := strings.Fields(selected)
	if end := slices.IndexFunc(words, func(word string) bool { return strings.HasPrefix(word, "<") || strings.HasPrefix(word, "[") }); end >= 0 {
		words = words[:end]
	}
	if command := strings.Join(words, " "); slices.Contains(operatorCommands, command) {
		return command
	}
	return ""
}

// operator returns who runs the program, and for whom where sudo says so.
func operator() string {
	name := "unknown"
	if current, err := user.Current(); err == nil {
		name = cmp.Or(current.Username, current.Uid)
	}
	if behind := os.Getenv("SUDO_USER"); behind != "" {
		name += " (sudo by " + behind + ")"
	}
	host, _ := os.Hostname()
	return name + "@" + cmp.Or(host, "unknown")
}

// noteTimeout is how long a command that is over waits for the database to keep that it was run.
const noteTimeout = 5 * time.Second

// noteOperatorCommand writes down who ran a command: in the security log, and in the database where one is named.
func (a *App) noteOperatorCommand(ctx context.Context, selected *kong.Context, failed error) {
	command := operatorCommand(selected.Command())
	if command == "" {
		return
	}
	noted := postgres.OperatorCommand{Command: command, Operator: operator(), Outcome: outcomeDone}
	if failed != nil {
		noted.Outcome = outcomeFailed
	}
	security, err := securitylog.New(a.Security, nil, nil) // names nobody by a key
	if err != nil {
		a.Log.Error("a command of an operator is not written down", "error", err)
		return
	}
	security.Note(ctx, securitylog.OperatorCommand, slog.String("command", noted.Command), slog.String("operator", noted.Operator), slog.String("outcome", noted.Outcome))
	database := namedDatabase(selected)
	if database == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	pool, err := postgres.Connect(ctx, database)
	if err == nil {
		defer pool.Close()
		err = postgres.NoteOperatorCommand(ctx, pool, noted)
	}
	if err != nil {
		a.Log.Warn("a command of an operator is in the security log alone", "error", err)
	}
}

// namedDatabase returns the database that a command was given, else that of the environment.
func namedDatabase(selected *kong.Context) string {
	for _, flag := range selected.Flags() {
		if flag.Name == "postgres" && flag.Target.String() != "" {
			return flag.Target.String()
		}
	}
	return os.Getenv("LIVENESS_POSTGRES_URL")
}

// operatorMetrics tells how often operators ran commands, asked for at every scrape. All nodes say the same.
type operatorMetrics struct {
	pool     *pgxpool.Pool
	log      *slog.Logger
	commands *prometheus.Desc
}

func newOperatorMetrics(pool *pgxpool.Pool, log *slog.Logger) *operatorMetrics {
	return &operatorMetrics{pool: pool, log: log, commands: prometheus.NewDesc("liveness_operator_commands_total",
		"Commands of operators that change or copy data, by command and outcome.", []string{"command", "outcome"}, nil)}
}

// Describe implements prometheus.Collector.
func (m *operatorMetrics) Describe(to chan<- *prometheus.Desc) { to <- m.commands }

// Collect implements prometheus.Collector.
func (m *operatorMetrics) Collect(to chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	counts, err := postgres.CountOperatorCommands(ctx, m.pool)
	if err != nil {
		m.log.Warn("commands of operators cannot be counted", "error", err)
		return
	}
	type run struct{ command, outcome string }
	times := map[run]int64{}
	for _, command := range operatorCommands { // at 0, so that the first one is an increase
		times[run{command, outcomeDone}], times[run{command, outcomeFailed}] = 0, 0
	}
	for _, c := range counts {
		times[run{c.Command, c.Outcome}] = c.Count
	}
	for run, count := range times {
		to <- prometheus.MustNewConstMetric(m.commands, prometheus.CounterValue, float64(count), run.command, run.outcome)
	}
}

// newSecurityLogger returns where the security log goes: a file of its own, for a collector to follow, else the log. The level
// of the log does not silence it.
func newSecurityLogger(log *slog.Logger, file string) (*slog.Logger, func(), error) {
	if file == "" {
		return log, func() {}, nil
	}
	out, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, nil, fmt.Errorf("open the security log: %w", err)
	}
	return newLogger(out, formatJSON, "info"), func() { _ = out.Close() }, nil
}
