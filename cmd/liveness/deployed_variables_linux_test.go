package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"github.com/pas-ta/liveness/adapters/parts"
)

// variablesRead returns the variables that serve and work read.
func variablesRead(t *testing.T) []string {
	t.Helper()
	parser, err := kong.New(&commandLine{}, kong.Name("liveness"), kong.Vars{"version": ""})
	if err != nil {
		t.Fatal(err)
	}
	read := []string{parts.CacheEnv}
	for _, leaf := range parser.Model.Leaves(true) {
		if name := leaf.FullPath(); name != "liveness serve" && name != "liveness work" {
			continue
		}
		for _, flag := range slices.Concat(leaf.AllFlags(true)...) {
			read = append(read, flag.Envs...)
		}
	}
	return read
}

// A setting of the deployment files that nobody reads does nothing, and says nothing.
func TestDeploymentsSetWhatIsRead(t *testing.T) {
	t.Parallel()
	read := variablesRead(t)
	set := map[string][]string{}
	text, err := os.ReadFile(filepath.Join(deployed, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c composition
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api", "worker", "rights"} {
		for variable := range c.Services[name].Environment {
			set["compose.yaml"] = append(set["compose.yaml"], variable)
		}
	}
	files, err := filepath.Glob(filepath.Join(deployed, "kubernetes", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, filepath.Join(deployed, "Dockerfile")) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		set[filepath.Base(file)] = regexp.MustCompile(`\bLIVENESS_[A-Z_]+\b`).FindAllString(string(text), -1)
	}
	count := 0
	for file, variables := range set {
		for _, variable := range variables {
			count++
			if strings.HasPrefix(variable, "LIVENESS_") && !slices.Contains(read, variable) {
				t.Errorf("%s sets %s, which neither serve nor work reads", file, variable)
			}
		}
	}
	if count < 30 {
		t.Errorf("only %d settings were found", count)
	}
}

// A setting that the documents name and a container is not given does nothing, and says nothing. Mails leave the workers alone: of their
// service's password the API, which strangers reach, knows nothing.
func TestComposePassesWhatIsRead(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join(deployed, "compose.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var c composition
	if err := yaml.Unmarshal(text, &c); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"api", "worker"} {
		service := c.Services[name]
		whole := slices.ContainsFunc(service.EnvFile, func(file envFile) bool { return file.Path == "liveness.env" && file.Optional })
		entrypoint := strings.Join(service.Entrypoint, " ")
		for _, variable := range variablesRead(t) {
			if _, named := service.Environment[variable]; !named && !whole && !strings.Contains(entrypoint, variable+"=") {
				t.Errorf("%s cannot be given %s", name, variable)
			}
		}
	}
	if _, given := c.Services["api"].Environment["LIVENESS_SMTP_URL"]; given {
		t.Error("the API is given the password of the mail service")
	}
}
