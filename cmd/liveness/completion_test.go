package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What the last word of a command line may become.
func TestComplete(t *testing.T) {
	t.Parallel()
	for line, want := range map[string][]string{
		"proj":                             {"projections"},
		"projections ":                     {"list", "rebuild", "compare", "skip"},
		"projections l":                    {"list"},
		"--log-format ":                    {"text", "json"},
		"--log-format=j":                   {"--log-format=json"},
		"--log-format = j":                 {"json"}, // as bash parts it
		"--log-format =":                   {"text", "json"},
		"--log-format json vers":           {"version"},
		"serve --jud":                      {"--judge", "--judge-timeout", "--judge-memory"},
		"serve --judge i":                  {"isolated", "in-process"},
		"metering resolve 95f7 --as ":      {"billed", "carry", "writeoff"},
		"completion ":                      {"bash", "zsh", "fish"},
		"audit --read":                     {"--read-models"}, // of its default command
		"store backup ":                    nil,               // a file
		"serve --secret-file ":             nil,
		"projections list --postgres --lo": nil, // an address, however it begins
		"comple":                           {"completion"},
	} {
		status, out, errOut := runLine(append([]string{"complete", "--"}, strings.Split(line, " ")...)...)
		var got []string
		for found := range strings.Lines(out) {
			word, _, _ := strings.Cut(found, "\t")
			got = append(got, word)
		}
		if status != 0 || !slices.Equal(got, want) {
			t.Errorf("%q becomes %q, want %q (%d, %s)", line, got, want, status, errOut)
		}
	}
	if _, out, _ := runLine("complete", "--", ""); !strings.Contains(out, "serve\tAnswer requests") || strings.Contains(out, "complete\t") {
		t.Errorf("commands are\n%s", out)
	}
}

// Each shell completes with its script as it is printed.
func TestShellsComplete(t *testing.T) {
	t.Parallel()
	dir := programDir(t)
	for shell, script := range map[string]string{
		"bash": `source <(liveness completion bash)
			COMP_WORDS=(liveness projections com) COMP_CWORD=2; _liveness; echo "${COMPREPLY[@]}"
			COMP_WORDS=(liveness serve --judge = iso) COMP_CWORD=4; _liveness; echo "${COMPREPLY[@]}"`,
		"fish": `liveness completion fish | source; complete -C 'liveness projections com' | cut -f1; complete -C 'liveness serve --judge iso' | cut -f1`,
		// Its completion runs in an editor of lines only, so what it would show is caught.
		"zsh": `compdef() { :; }; _describe() { shift; print -l ${(P)1%%:*}; }; source <(liveness completion zsh)
			words=(liveness projections com) CURRENT=3; _liveness; words=(liveness serve --judge iso) CURRENT=4; _liveness`,
	} {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			if _, err := exec.LookPath(shell); err != nil {
				if os.Getenv("LIVENESS_CLIENTS") != "" { // .ci/run has installed it
					t.Fatal(err)
				}
				t.Skipf("no %s here", shell)
			}
			run := exec.CommandContext(t.Context(), shell, "-c", script)
			run.Env = append(os.Environ(), "PATH="+dir+":"+os.Getenv("PATH"), "HOME="+t.TempDir())
			out, err := run.CombinedOutput()
			if got := strings.Fields(string(out)); err != nil || !slices.Equal(got, []string{"compare", "isolated"}) {
				t.Errorf("%v: %q", err, out)
			}
		})
	}
}

// programDir returns a directory with the program in it, under the name that people call it by.
func programDir(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	program := fmt.Sprintf("#!/bin/sh\n%s=1 exec '%s' \"$@\"\n", asLiveness, self)
	if err := os.WriteFile(filepath.Join(dir, "liveness"), []byte(program), 0o700); err != nil {
		t.Fatal(err)
	}
	return dir
}
