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
	_, plain, _ := runLine("version")
	if status, out, errOut := runLine("--version"); status != 0 || out != plain || !strings.Contains(out, apiVersion) || errOut != "" {
		t.Errorf("--version: %d, %q, %s; version says %q", status, out, errOut, plain)
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

// Whatever form Postgres and the others take an address in, and what else somebody may have meant as one.
func TestConfigHidesSecretsInEveryForm(t *testing.T) { //nolint:paralleltest // it sets the environment
	for _, address := range []string{
		"postgres://liveness@db/liveness?sslmode=verify-full&password=hunter2", "postgres://db/liveness?user=liveness&pass%77ord=hunter2&sslmode=require",
		"postgres:///liveness?host=db&sslpassword=hunter2&sslmode=require", "postgres://liveness:hunter2@db1,db2:5433/liveness?target_session_attrs=any",
		"postgres://:hunter2@db/liveness", "postgres://db/liveness?PASSWORD=hunter2", "postgres://db/liveness?password=hunter2 hunter2",
		" postgresql://liveness:hunter2@db/liveness", "postgres://liveness:hunter\n2hunter2@db/liveness", "liveness:hunter2@tcp(db)/liveness",
		"host=db user=liveness password=hunter2 dbname=liveness", "host=db password = 'hunter2 it\\'s hunter2' dbname=liveness",
		"password=hunter2\\ hunter2 host=db", "password='hunter2 hunter2 host=db", "host=db\npassword=hunter2\nsslpassword=hunter2", "PASSWORD=hunter2 host=db",
		"host=db password=x://hunter2:hunter2@hunter2", "host=db password=a&hunter2;hunter2#hunter2", "password=hunter2",
		"esdb://db:2113?userKeyPassword=hunter2", "smtps://mail@db?token=hunter2&tls=none", "https://db/queue?X-Amz-Signature=hunter2",
		"postgres://db:5432/liveness?password=a@hunter2&sslmode=require", "postgres://[::1]:5432/liveness?sslpassword=a@hunter2",
		"postgres://db:5432/liveness?user=a@b&password=hunter2", "postgres://liveness:a?hunter2&password=hunter2@db", "postgres://db/a?x=y;password=hunter2",
		"postgres://db/a?x=y#password=hunter2", "postgres://db/a#password=hunter2", "postgres://db/a?options=-c%20my.password%3Dhunter2",
		"\"postgres://liveness:hunter2@db/liveness?sslmode=verify-full\"", "'host=db password=hunter2'", "\"host=db password=hunter2\"",
		"liveness:hunter2@db/liveness?sslmode=require", "postgres//liveness:hunter2@db/liveness", "postgres://live/ness:hunter2@db/liveness",
		"LIVENESS_POSTGRES_URL=postgres://liveness:hunter2@db/liveness", "user='liveness password=hunter2", "host=db password='a'hunter2 user=x",
		"host=db password='a''hunter2 hunter2' user=x", "host=db options='-c my.password=hunter2'",
	} {
		for _, json := range []string{"", "--json"} {
			t.Setenv("LIVENESS_POSTGRES_URL", address)
			status, out, errOut := runLine(append([]string{"config"}, strings.Fields(json)...)...)
			if status != 0 || strings.Contains(out+errOut, "hunter") || !strings.Contains(out, "xxxxx") {
				t.Errorf("%q: %d, %s", address, status, settingOf(out, "LIVENESS_POSTGRES_URL"))
			}
		}
	}
	for _, address := range []string{"postgres://liveness@db/liveness?sslmode=verify-full", "host=db user=liveness passfile=/run/pgpass", "esdb://db:2113?tls=true&userKeyFile=/k",
		"postgres://liveness@db1:5432,[::1]:5433/liveness?sslrootcert=/run/secrets/ca", "host=db sslrootcert=/run/secrets/ca user=liveness@tenant",
	} {
		t.Setenv("LIVENESS_POSTGRES_URL", address)
		if _, out, _ := runLine("config"); !strings.Contains(out, address) {
			t.Errorf("%q is shown as %s", address, settingOf(out, "LIVENESS_POSTGRES_URL"))
		}
	}
}

// settingOf returns the line of a setting.
func settingOf(out, name string) string {
	for line := range strings.Lines(out) {
		if strings.Contains(line, name) {
			return line
		}
	}
	return out
}
