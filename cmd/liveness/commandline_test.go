package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func runLine(args ...string) (status int, out, errOut string) {
	var o, e bytes.Buffer
	status = run(args, &o, &e)
	return status, o.String(), e.String()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	if status, out, _ := runLine("--help"); status != 0 || !strings.Contains(out, "dev") {
		t.Errorf("help: %d, %s", status, out)
	}
	if status, _, errOut := runLine("dance"); status != 2 || !strings.Contains(errOut, "--help") {
		t.Errorf("an unknown command: %d, %s", status, errOut)
	}
	if status, _, errOut := runLine("serve"); status != 2 || !strings.Contains(errOut, "eventstore") {
		t.Errorf("serve without a store: %d, %s", status, errOut)
	}
	if status, _, errOut := runLine("dev", "--addr", "0.0.0.0:8080", "--data", t.TempDir()); status != 1 || !strings.Contains(errOut, "loopback") {
		t.Errorf("dev for everybody: %d, %s", status, errOut)
	}
	if status, _, errOut := runLine("audit", "--month", "November"); status != 1 || !strings.Contains(errOut, "2026-11") {
		t.Errorf("audit of no month: %d, %s", status, errOut)
	}
	status, out, _ := runLine("version", "--json")
	var version struct{ API string }
	if err := json.Unmarshal([]byte(out), &version); status != 0 || err != nil || version.API != apiVersion {
		t.Errorf("version: %d, %s, %v", status, out, err)
	}
}

func TestLimitsOfEnding(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for flag, value := range map[string]string{"--compare-every": "0s", "--unanswered-grace": "-1h", "--most-ends": "-1", "--most-ends-percent": "101"} {
		status, _, errOut := runLine("work", "--eventstore", "esdb://127.0.0.1:1?tls=false", "--postgres", "postgres://127.0.0.1:1/none",
			"--secret-file", secret, "--public-url", "https://liveness.example.com", "--mail-from", "no-reply@example.com", flag+"="+value)
		if status != 1 || !strings.Contains(errOut, flag) {
			t.Errorf("%s %s: %d, %s", flag, value, status, errOut)
		}
	}
}

func TestPricesOverTheLimit(t *testing.T) {
	t.Parallel()
	prices, err := SiteFlags{Prices: " starter=0.25, enterprise=0.06,"}.prices()
	if err != nil || len(prices) != 2 || prices[domain.PlanStarter] != 250_000 || prices[domain.PlanEnterprise] != 60_000 {
		t.Errorf("prices are %v, %v", prices, err)
	}
	if prices, err := (SiteFlags{}).prices(); len(prices) != 0 || err != nil {
		t.Errorf("without any they are %v, %v", prices, err)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	for value, says := range map[string]string{"gold=1": "the plans are starter", "starter": "0.25", "starter=cheap": "0.25", "starter=0": "0.25"} {
		status, _, errOut := runLine("serve", "--eventstore", "esdb://127.0.0.1:1?tls=false", "--postgres", "postgres://127.0.0.1:1/none",
			"--secret-file", secret, "--public-url", "https://liveness.example.com", "--over-limit-prices="+value)
		if status != 1 || !strings.Contains(errOut, "--over-limit-prices") || !strings.Contains(errOut, says) {
			t.Errorf("%s: %d, %s", value, status, errOut)
		}
	}
}

func TestConfigHidesPasswords(t *testing.T) { //nolint:paralleltest // it sets the environment
	for _, address := range []string{
		"esdb://admin:hunter2@host:2113", "esdb://admin:hunter2@a:2113,host:2113?tls=true", "esdb://admin:p@w/hunter2?#@host:2113",
		"kurrentdb+discover://admin:hunter2@host:2113", "esdb://hunter2:hunter2%zz@host:2113",
	} {
		t.Setenv("EVENTSTOREDB_URL", address)
		status, out, _ := runLine("config")
		if status != 0 || strings.Contains(strings.ReplaceAll(out, "hunter2:xxxxx", ""), "hunter2") || !strings.Contains(out, "host:2113") {
			t.Errorf("%s: %d, %s", address, status, out)
		}
	}
}
