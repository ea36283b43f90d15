package docs_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/licensecheck"
)

// accepted finds the licences that licences.md accepts of Go modules.
var accepted = regexp.MustCompile(`(?s)each of which carries one of\s+(.*?)\.\n`)

// licenceFiles are the names that a licence text has at the top of a module.
var licenceFiles = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)

// chosen finds the first of licences between which a module leaves the choice.
var chosen = regexp.MustCompile(`SPDX-License-Identifier: ([\w.-]+) OR `)

// Whoever ships the program ships what it is made of: a module with a licence that nobody has read fails.
func TestModulesCarryAcceptedLicences(t *testing.T) {
	t.Parallel()
	document, err := os.ReadFile("licences.md")
	if err != nil {
		t.Fatal(err)
	}
	sentence := accepted.FindSubmatch(document)
	if sentence == nil {
		t.Fatal("licences.md does not say which licences are accepted")
	}
	var known []string
	for _, name := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(string(sentence[1]), -1) {
		known = append(known, name[1])
	}
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{with .Module}}{{if not .Main}}{{.Path}} {{.Dir}}{{end}}{{end}}", "./cmd/liveness")
	list.Dir = root
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	modules := slices.Compact(slices.Sorted(strings.Lines(string(out))))
	carried := map[string]bool{}
	for _, line := range modules {
		module, dir, _ := strings.Cut(strings.TrimSpace(line), " ")
		if module == "" {
			continue
		}
		licences, err := licencesOf(dir)
		if err != nil || len(licences) == 0 {
			t.Errorf("%s carries no licence that is recognised: %v", module, err)
		}
		for _, licence := range licences {
			if carried[licence] = true; !slices.Contains(known, licence) {
				t.Errorf("%s carries %s: read it, and accept it in licences.md or do without the module", module, licence)
			}
		}
	}
	for _, licence := range known {
		if !carried[licence] {
			t.Errorf("no module carries %s", licence)
		}
	}
	if len(modules) < 50 {
		t.Errorf("%d modules", len(modules))
	}
}

// licencesOf returns the licences of a module, by the texts at its top.
func licencesOf(dir string) (all []string, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("look for a licence: %w", err)
	}
	for _, entry := range entries {
		if entry.IsDir() || !licenceFiles.MatchString(entry.Name()) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return nil, err
		}
		if choice := chosen.FindSubmatch(text); choice != nil {
			all = append(all, string(choice[1]))
			continue
		}
		for _, match := range licensecheck.Scan(bytes.TrimSpace(text)).Match {
			if !match.IsURL && !slices.Contains(all, match.ID) {
				all = append(all, match.ID)
			}
		}
	}
	return all, nil
}
