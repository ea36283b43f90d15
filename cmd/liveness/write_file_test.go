package main

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/proofpage"
)

// Who writes a page or a proof where an earlier one is still has that one when it does not come to an end.
func TestAWriteThatFailsLeavesTheOldFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "page.html")
	if err := os.WriteFile(file, []byte("earlier"), 0o600); err != nil {
		t.Fatal(err)
	}
	page := program(t, "audit", "page", file)
	limited := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -f 1 && exec "$0" "$@"`}, page.Args...)...)
	limited.Env = page.Env
	if said, err := limited.CombinedOutput(); err == nil {
		t.Fatalf("the whole page was written: %s", said)
	}
	if got, err := os.ReadFile(file); err != nil || string(got) != "earlier" {
		t.Errorf("%d bytes are left, %v", len(got), err)
	}
	if said, err := page.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v", said, err)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, proofpage.HTML) {
		t.Errorf("%d bytes are written, %v", len(got), err)
	}
}

func TestAPageIsWrittenToStandardOutput(t *testing.T) {
	t.Parallel()
	printed, err := program(t, "audit", "page", "/dev/stdout").Output()
	if err != nil || !bytes.HasPrefix(printed, proofpage.HTML) {
		t.Errorf("%d bytes are printed, %v", len(printed), err)
	}
}

// What is no regular file stays what it is; one that is keeps its mode.
func TestWhatIsWrittenToStaysWhatItIs(t *testing.T) {
	t.Parallel()
	dir, content := t.TempDir(), []byte("content")
	pipe, target, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "target"), filepath.Join(dir, "link")
	fresh, likeIt, private := filepath.Join(dir, "fresh"), filepath.Join(dir, "like it"), filepath.Join(dir, "private")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(syscall.Mkfifo(pipe, 0o600))
	must(os.WriteFile(target, []byte("what was there before"), 0o600))
	must(os.Symlink(target, link))
	must(os.WriteFile(likeIt, nil, 0o644))
	must(os.WriteFile(private, nil, 0o600))
	modes := func() (all []fs.FileMode) {
		for _, name := range []string{pipe, link, target, likeIt, private} {
			info, err := os.Lstat(name)
			must(err)
			all = append(all, info.Mode())
		}
		return all
	}
	before := modes()
	read := make(chan []byte, 1)
	go func() {
		got, _ := os.ReadFile(pipe)
		read <- got
	}()
	for _, name := range []string{pipe, link, fresh, private} {
		must(writeFileSurely(name, content, 0o644))
	}
	must(os.Remove(likeIt))
	must(os.Rename(fresh, likeIt))
	for i, mode := range modes() {
		if mode != before[i] {
			t.Errorf("%s instead of %s", mode, before[i])
		}
	}
	for _, name := range []string{target, likeIt, private} {
		if got, err := os.ReadFile(name); err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if got := <-read; !bytes.Equal(got, content) {
		t.Errorf("through the pipe: %q", got)
	}
}
