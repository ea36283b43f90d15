package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// tells returns what a process says of itself, a series a line as "name{labels} value", with the labels that Prometheus adds.
func (p *process) tells(t *testing.T) (series []string, text string) {
	t.Helper()
	eventually(t, "the metrics of "+p.name, func() error {
		response, err := http.Get("http://" + p.metrics + "/metrics")
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if text = string(body); err == nil && response.StatusCode != http.StatusOK {
			err = errors.New(text)
		}
		return err
	})
	whose := fmt.Sprintf(`job="liveness-%s",instance="%s"`, p.name, p.metrics)
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, rest, labelled := strings.Cut(line, "{")
		if labelled {
			series = append(series, name+"{"+whose+","+rest)
			continue
		}
		name, value, _ := strings.Cut(line, " ")
		series = append(series, name+"{"+whose+"} "+value)
	}
	return append(series, "up{"+whose+"} 1"), text
}

// notWell finds what is 0 while a process is not well yet.
var notWell = regexp.MustCompile(`(?m)^liveness_(component_up|reactor_up|mail_service_up|projection_maintained)\b.* 0$`)

// measured returns what serve, work and node say of themselves after a check, once all of them are well.
func measured(t *testing.T, c *cluster) (series []string, texts map[string]string) {
	t.Helper()
	status, _, err := postCheck(t.Context(), http.DefaultClient, c.apis[0].addr, c.demo.Primary, "", smallFace(t))
	if err != nil || status != http.StatusOK {
		t.Fatalf("a check: %d, %v", status, err)
	}
	texts = map[string]string{}
	eventually(t, "that all is well", func() error {
		series = nil
		for _, p := range c.processes() {
			theirs, text := p.tells(t)
			series, texts[p.name] = append(series, theirs...), text
			if not := notWell.FindString(text); not != "" {
				return fmt.Errorf("%s says %s", p.name, not)
			}
		}
		if !strings.Contains(texts["serve"], `component="account_mails"`) {
			return errNotYet
		}
		return nil
	})
	return series, texts
}

var (
	// ours finds the names of metrics in a query.
	ours = regexp.MustCompile(`\b(?:liveness|process|go)_[a-z0-9_]+\b`)
	// labelValues takes the query out of a variable of a dashboard.
	labelValues = regexp.MustCompile(`^label_values\((.+), (\w+)\)$`)
)

// queries returns all that the dashboards ask Prometheus, ready to be asked, by where it stands.
func queries(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../../docs/deploy/dashboards/*.json")
	if err != nil || len(files) != 2 {
		t.Fatalf("%v, %v", files, err)
	}
	found := map[string]string{}
	for _, file := range files {
		var dashboard struct {
			Panels []struct {
				Title   string
				Targets []struct{ Expr string }
			}
			Templating struct {
				List []struct {
					Name, Definition string
				}
			}
		}
		content, err := os.ReadFile(file)
		if err == nil {
			err = json.Unmarshal(content, &dashboard)
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, panel := range dashboard.Panels {
			for n, target := range panel.Targets {
				query := strings.NewReplacer("$__rate_interval", "5m", "$instance", ".*").Replace(target.Expr)
				found[fmt.Sprintf("%s, %s, %d", filepath.Base(file), panel.Title, n)] = query
			}
		}
		for _, variable := range dashboard.Templating.List {
			if taken := labelValues.FindStringSubmatch(variable.Definition); taken != nil {
				found[filepath.Base(file)+", variable "+variable.Name] = "count by (" + taken[2] + ") (" + taken[1] + ")"
			}
		}
	}
	if len(found) < 50 {
		t.Fatalf("%d queries", len(found))
	}
	return found
}

// Whatever dashboards and alerts ask for is there from the start, by name, label and value: Prometheus itself answers each query of
// the dashboards from what serve, work and node have said, the alerts were tried with series that these have, and no alert is
// raised by a service that is well.
func TestDashboardsAndAlertsAskForWhatIsMeasured(t *testing.T) {
	t.Parallel()
	series, texts := measured(t, startWatched(t))
	names, labelled := map[string]bool{}, map[string]bool{}
	for _, s := range series {
		name, _, _ := strings.Cut(s, "{")
		names[name], labelled[withoutInstance(s[:strings.LastIndex(s, " ")])] = true, true
	}
	for _, role := range []string{"serve", "work"} {
		if of := `liveness_component_up{component="event_store",job="liveness-` + role + `"}`; !labelled[of] {
			t.Errorf("nobody tells %s", of)
		}
	}
	asked := queries(t)
	for where, query := range asked {
		for _, name := range ours.FindAllString(query, -1) {
			if !names[name] {
				t.Errorf("%s asks for %s, which nobody tells: %s", where, name, query)
			}
		}
	}
	var tried struct {
		Tests []struct {
			Name  string
			Input []struct{ Series string } `yaml:"input_series"`
		}
	}
	content, err := os.ReadFile("../../docs/deploy/alerts_test.yaml")
	if err == nil {
		err = yaml.Unmarshal(content, &tried)
	}
	if err != nil || len(tried.Tests) == 0 {
		t.Fatal(len(tried.Tests), err)
	}
	for _, test := range tried.Tests {
		for _, input := range test.Input {
			if !labelled[withoutInstance(input.Series)] {
				t.Errorf("%s is tried with %s, which nobody tells", test.Name, input.Series)
			}
		}
	}
	answeredByPrometheus(t, series, asked, texts)
}

// withoutInstance returns a series by its metric and its labels in their order, without where it comes from.
func withoutInstance(series string) string {
	name, rest, _ := strings.Cut(series, "{")
	var labels []string
	for _, label := range regexp.MustCompile(`\w+="(?:[^"\\]|\\.)*"`).FindAllString(rest, -1) {
		if !strings.HasPrefix(label, "instance=") {
			labels = append(labels, label)
		}
	}
	slices.Sort(labels)
	return name + "{" + strings.Join(labels, ",") + "}"
}

// answeredByPrometheus has promtool ask each query of the series as they grow, and the alerts of the series as they are.
func answeredByPrometheus(t *testing.T, series []string, asked, texts map[string]string) {
	t.Helper()
	promtool, err := exec.LookPath(cmp.Or(os.Getenv("LIVENESS_PROMTOOL"), "promtool"))
	if err != nil {
		if os.Getenv("CI") != "" {
			t.Fatal("promtool is not installed: Debian has it in the package prometheus")
		}
		t.Skip("promtool is not installed")
	}
	type input struct {
		Series string `yaml:"series"`
		Values string `yaml:"values"`
	}
	type sample struct {
		Labels string  `yaml:"labels"`
		Value  float64 `yaml:"value"`
	}
	type question struct {
		Expr    string   `yaml:"expr"`
		At      string   `yaml:"eval_time"`
		Samples []sample `yaml:"exp_samples"`
	}
	type test struct {
		Interval  string     `yaml:"interval"`
		Input     []input    `yaml:"input_series"`
		Questions []question `yaml:"promql_expr_test"`
	}
	var grows, stays []input
	for _, s := range series {
		split := strings.LastIndex(s, " ")
		value, err := strconv.ParseFloat(s[split+1:], 64)
		if err != nil {
			t.Fatal(err)
		}
		if math.IsNaN(value) || math.IsInf(value, 0) {
			value = 0
		}
		switch name, _, _ := strings.Cut(s, "{"); name {
		case "liveness_node_disk_free_bytes":
			value = 1e12 // of whatever machine this runs on
		case "liveness_transparency_leaves":
			value = 0 // some are signed within a minute
		}
		plain := strconv.FormatFloat(value, 'f', -1, 64)
		grows, stays = append(grows, input{s[:split], plain + "+1x60"}), append(stays, input{s[:split], plain + "x240"})
	}
	growing := test{Interval: "1m", Input: grows}
	for _, query := range asked {
		growing.Questions = append(growing.Questions, question{"count(" + query + ") > bool 0", "30m", []sample{{"{}", 1}}})
	}
	well := test{Interval: "1m", Input: stays, Questions: []question{{`count by (alertname) (ALERTS{alertstate="firing"}) or vector(0)`, "200m", []sample{{"{}", 0}}}}}
	rules, err := filepath.Abs("../../docs/deploy/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	content, err := yaml.Marshal(map[string]any{"rule_files": []string{rules}, "evaluation_interval": "1m", "tests": []test{growing, well}})
	file := filepath.Join(t.TempDir(), "test.yaml")
	if err == nil {
		err = os.WriteFile(file, content, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput(); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
	for name, text := range texts {
		command := exec.CommandContext(t.Context(), promtool, "check", "metrics")
		command.Stdin = strings.NewReader(text)
		if out, err := command.CombinedOutput(); err != nil {
			t.Errorf("promtool check metrics of %s: %v\n%s", name, err, out)
		}
	}
}
