package docs_test

import (
	"cmp"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// rule is what the tests ask of an alert in deploy/alerts.yaml.
type rule struct {
	Alert, Expr string
	Labels      map[string]string
	Annotations map[string]string
}

func alerts(t *testing.T) map[string]rule {
	t.Helper()
	var file struct {
		Groups []struct{ Rules []rule }
	}
	if err := yaml.Unmarshal([]byte(contents(t, "deploy/alerts.yaml")), &file); err != nil {
		t.Fatal(err)
	}
	all := map[string]rule{}
	for _, group := range file.Groups {
		for _, r := range group.Rules {
			if _, twice := all[r.Alert]; twice {
				t.Errorf("%s is there twice", r.Alert)
			}
			all[r.Alert] = r
		}
	}
	if len(all) < 20 {
		t.Fatalf("%d alerts", len(all))
	}
	return all
}

// Whoever is woken by an alert is led to what it means and what to do; what is written for an alert that is gone leads nowhere.
func TestEveryAlertHasARunbook(t *testing.T) {
	t.Parallel()
	sections := map[string]string{}
	for section := range strings.SplitSeq(contents(t, "runbooks.md"), "\n### ") {
		name, text, _ := strings.Cut(section, "\n")
		sections[name] = strings.TrimSpace(text)
	}
	all := alerts(t)
	for name, r := range all {
		severity := r.Labels["severity"]
		switch text := sections[name]; {
		case text == "":
			t.Errorf("runbooks.md has no section %s", name)
		case !strings.HasPrefix(text, "`"+severity+"`. "):
			t.Errorf("the runbook of %s does not begin with its severity, %q", name, severity)
		case !strings.Contains(text, "\n- "):
			t.Errorf("the runbook of %s says nothing to do", name)
		}
		if severity != "page" && severity != "ticket" {
			t.Errorf("%s is of severity %q", name, severity)
		}
		if r.Annotations["summary"] == "" {
			t.Errorf("%s does not say what is wrong", name)
		}
		if leads := r.Annotations["runbook_url"]; !strings.HasSuffix(leads, "/docs/runbooks.md#"+strings.ToLower(name)) {
			t.Errorf("%s leads to %q", name, leads)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sections)) {
		if _, known := all[name]; strings.HasPrefix(name, "Liveness") && !known {
			t.Errorf("runbooks.md is about %s, which is no alert", name)
		}
	}
	for _, named := range regexp.MustCompile(`\bLiveness[A-Z]\w+`).FindAllString(contents(t, "runbooks.md")+contents(t, "operations.md"), -1) {
		if _, known := all[named]; !known {
			t.Errorf("%s is named, which is no alert", named)
		}
	}
}

// Each alert is seen to fire.
func TestEveryAlertIsTried(t *testing.T) {
	t.Parallel()
	tests := contents(t, "deploy/alerts_test.yaml")
	for name := range alerts(t) {
		if !strings.Contains(tests, "  - name: "+name+"\n") {
			t.Errorf("deploy/alerts_test.yaml does not try %s", name)
		}
	}
}

// Prometheus itself takes the rules and the configuration, and fires each alert for what it is about.
func TestPrometheusTakesTheRules(t *testing.T) {
	t.Parallel()
	promtool, err := exec.LookPath(cmp.Or(os.Getenv("LIVENESS_PROMTOOL"), "promtool"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is not installed: Debian has it in the package prometheus")
		}
		t.Skip("promtool is not installed")
	}
	for _, args := range [][]string{{"check", "rules", "alerts.yaml"}, {"check", "config", "prometheus.yml"}, {"test", "rules", "alerts_test.yaml"}} {
		command := exec.CommandContext(t.Context(), promtool, args...)
		command.Dir = filepath.Join(".", "deploy")
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
}
