package securitylog_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/commands"
)

func newLog(t *testing.T) (*securitylog.Log, *bytes.Buffer, *prometheus.Registry) {
	t.Helper()
	var out bytes.Buffer
	registry := prometheus.NewRegistry()
	l, err := securitylog.New(slog.New(slog.NewTextHandler(&out, nil)), commands.OneSecret("key"), registry)
	if err != nil {
		t.Fatal(err)
	}
	return l, &out, registry
}

func from(t *testing.T, address string) context.Context {
	t.Helper()
	return securitylog.WithAddress(t.Context(), netip.MustParseAddr(address))
}

func count(t *testing.T, registry *prometheus.Registry, event securitylog.Event) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[0].GetValue() == string(event) {
				return metric.GetCounter().GetValue()
			}
		}
	}
	return -1
}

func TestNotesHoldNoAddress(t *testing.T) {
	t.Parallel()
	l, out, _ := newLog(t)
	l.Note(from(t, "203.0.113.77"), securitylog.KeyRefused, slog.String("key", "lc_abc12"))
	l.Note(from(t, "2001:db8:1:2::77"), securitylog.KeyRefused)
	l.Note(t.Context(), securitylog.CrossOrigin)
	for _, want := range []string{"event=key_refused", "network=203.0.113.0/24", "key=lc_abc12", "network=2001:db8:1::/48", "event=cross_origin"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, out)
		}
	}
	for _, clear := range []string{"203.0.113.77", "2001:db8:1:2"} {
		if strings.Contains(out.String(), clear) {
			t.Errorf("%s stands in the clear in\n%s", clear, out)
		}
	}
	if a := l.Name("address", "203.0.113.77"); !strings.Contains(out.String(), "address="+a) || a == l.Name("address", "203.0.113.78") || a == l.Name("account", "203.0.113.77") {
		t.Errorf("%q is no name of one address in\n%s", a, out)
	}
}

func TestFloodsAreCountedAndSampled(t *testing.T) {
	t.Parallel()
	l, out, registry := newLog(t)
	if got := count(t, registry, securitylog.LoginFailed); got != 0 {
		t.Errorf("counts %v before anything happens", got)
	}
	for range 1000 {
		l.Note(from(t, "203.0.113.77"), securitylog.LoginFailed)
	}
	l.Note(from(t, "198.51.100.1"), securitylog.LoginFailed)
	if got := count(t, registry, securitylog.LoginFailed); got != 1001 {
		t.Errorf("%v are counted", got)
	}
	if lines := strings.Count(out.String(), "\n"); lines < 2 || lines > 30 {
		t.Errorf("%d lines are written", lines)
	}
	if !strings.Contains(out.String(), "198.51.100.0/24") {
		t.Errorf("another network is not written down:\n%s", out)
	}
}

func TestNoLog(t *testing.T) {
	t.Parallel()
	var none *securitylog.Log
	none.Note(t.Context(), securitylog.LoginFailed)
	if none.Name("account", "ada") != "" {
		t.Error("nobody has a name")
	}
}

// What is counted is watched.
func TestEveryEventHasAnAlert(t *testing.T) {
	t.Parallel()
	rules, err := os.ReadFile("../../../docs/deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range securitylog.Events() {
		rule := `liveness_security_events_total{event="` + string(event) + `"}`
		if event == securitylog.OperatorCommand {
			rule = "liveness_operator_commands_total"
		}
		if !strings.Contains(string(rules), rule) {
			t.Errorf("no alert asks for %s", rule)
		}
	}
}

// replaced is a key ring whose secrets are replaced while the log is written.
type replaced struct{ secret []byte }

func (r *replaced) Secrets(commands.Purpose) []commands.Secret {
	return []commands.Secret{{Key: r.secret}}
}

// With a secret that has leaked, names can be led back to people; with the next one in use, new names cannot.
func TestNamesAreKeyedWithTheSecretInUse(t *testing.T) {
	t.Parallel()
	ring := &replaced{[]byte("leaked")}
	l, err := securitylog.New(slog.New(slog.DiscardHandler), ring, nil)
	if err != nil {
		t.Fatal(err)
	}
	before := l.Name("account", "ada")
	ring.secret = []byte("new")
	if l.Name("account", "ada") == before {
		t.Error("the secret was replaced, and names are made with the old one")
	}
}
