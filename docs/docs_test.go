// Package docs has no code. Its tests hold the documents to the tree that they describe.
package docs_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = ".."

var (
	// named finds what a document puts between backticks that can only be a file or a folder of this repository.
	named = regexp.MustCompile("`((?:domain|commands|projections|adapters|inference|cmd|docs)/[\\w./-]*|[\\w-]+\\.go)`")
	link  = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)
)

// Whoever reads how a check travels opens the files on its way; a name that no file has sends them looking.
func TestDocumentsNameWhatExists(t *testing.T) {
	t.Parallel()
	files := goFiles(t)
	for _, document := range documents(t) {
		text, err := os.ReadFile(document)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range named.FindAllStringSubmatch(string(text), -1) {
			if name := strings.TrimSuffix(match[1], "/..."); !exists(filepath.Join(root, name)) && !files[name] {
				t.Errorf("%s names %s, which is not there", document, match[1])
			}
		}
		for _, match := range link.FindAllStringSubmatch(string(text), -1) {
			if !exists(filepath.Join(filepath.Dir(document), match[1])) {
				t.Errorf("%s links to %s, which is not there", document, match[1])
			}
		}
	}
}

func documents(t *testing.T) []string {
	t.Helper()
	all := []string{filepath.Join(root, "README.md")}
	walk(t, ".", func(path string) {
		if filepath.Ext(path) == ".md" {
			all = append(all, path)
		}
	})
	if len(all) < 10 {
		t.Fatalf("only %d documents were found", len(all))
	}
	return all
}

// goFiles returns the names of all Go files: a document may name one without its folder where that is clear.
func goFiles(t *testing.T) map[string]bool {
	t.Helper()
	names := map[string]bool{}
	for _, top := range []string{"domain", "commands", "projections", "adapters", "inference", "cmd"} {
		walk(t, filepath.Join(root, top), func(path string) {
			if filepath.Ext(path) == ".go" {
				names[filepath.Base(path)] = true
			}
		})
	}
	return names
}

func walk(t *testing.T, dir string, visit func(path string)) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			visit(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// A copy of a node that goes on counting lacks what is counted after it: whoever is told to start on one is told to stop first.
func TestNodesAreStoppedBeforeTheyMove(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("runbooks.md")
	if err != nil {
		t.Fatal(err)
	}
	moves := 0
	for item := range strings.SplitSeq(string(text), "\n- ") {
		before, after, found := strings.Cut(item, "`liveness store backup`")
		if !found || !strings.Contains(strings.Join(strings.Fields(after), " "), "start the node on ") {
			continue
		}
		moves++
		if !strings.Contains(before, "stop `serve` and `work`, then the node") {
			t.Errorf("what is counted meanwhile is lost: %s", item)
		}
	}
	if moves == 0 {
		t.Error("no runbook moves a node")
	}
}
