package parts

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The test binary also plays two other programs: the npm client, and a process
// that uses a Cache. What is shared between processes is tested with processes.
const (
	roleEnv    = "PARTS_TEST_ROLE"    // npm or fetch
	npmModeEnv = "PARTS_TEST_NPM"     // how npm behaves
	npmLogEnv  = "PARTS_TEST_NPM_LOG" // file to which npm writes a line per call
	wantedEnv  = "PARTS_TEST_WANTED"  // parts that fetch asks for, by comma
)

func TestMain(m *testing.M) {
	switch os.Getenv(roleEnv) {
	case "npm":
		os.Exit(playNPM())
	case "fetch":
		os.Exit(playFetch())
	}
	os.Exit(m.Run())
}

const goodContent = "what the package holds"

const goodLinks = `[{"source":"native/lib/file.bin","target":"native/link.bin"}]`

// testParts are two parts of one small file each, and one that a link leads into.
func testParts() map[Part]part {
	sum, links := sha256.Sum256([]byte(goodContent)), sha256.Sum256([]byte(goodLinks))
	list := sha256.Sum256(fmt.Appendf(nil, "%x  lib/file.bin\n%x  links.json\n", sum, links))
	parts := map[Part]part{}
	for _, id := range []Part{"first", "second"} {
		parts[id] = part{
			id: id, title: "the " + string(id) + " part", env: "PARTS_TEST_" + strings.ToUpper(string(id)),
			holds: "the path of a file", main: "file.bin",
			packages: map[string][]npmPackage{"": {{
				name: "test-" + string(id) + "@1.0.0", licence: "MIT", size: 1000,
				files: []file{{"lib/file.bin", "file.bin", hex.EncodeToString(sum[:])}},
			}}},
		}
	}
	parts["linked"] = part{
		id: "linked", title: "the linked part", env: "PARTS_TEST_LINKED", holds: "the path of a file", main: "link.bin",
		packages: map[string][]npmPackage{"": {{
			name: "test-linked@1.0.0", licence: "MIT", size: 1000,
			tree: &tree{from: "native/", sha256: hex.EncodeToString(list[:]), links: "native/links.json"},
		}}},
	}
	return parts
}

// playFetch prints the paths of the wanted parts, or the error.
func playFetch() int {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT)
	defer stop()
	c := New(Options{Progress: os.Stderr})
	c.parts = testParts()
	var wanted []Part
	for id := range strings.SplitSeq(os.Getenv(wantedEnv), ",") {
		wanted = append(wanted, Part(id))
	}
	if err := c.Ensure(ctx, wanted...); err != nil {
		fmt.Fprintln(os.Stdout, err)
		return 1
	}
	for _, id := range wanted {
		path, err := c.Path(ctx, id)
		if err != nil {
			fmt.Fprintln(os.Stdout, err)
			return 1
		}
		fmt.Fprintln(os.Stdout, path)
	}
	return 0
}

// playNPM does what `npm pack` does, or what can go wrong with it.
func playNPM() int {
	log, err := os.OpenFile(os.Getenv(npmLogEnv), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(log, "%d %s\n", os.Getpid(), strings.Join(os.Args[1:], " "))
	}
	if err != nil {
		return 9
	}
	to := os.Args[1+indexOf(os.Args, "--pack-destination")]
	content := goodContent
	switch os.Getenv(npmModeEnv) {
	case "offline":
		fmt.Fprintln(os.Stderr, "npm error code ENOTFOUND\nnpm error network request failed")
		return 1
	case "not found":
		fmt.Fprintln(os.Stderr, "npm error code E404\nnpm error 404 Not Found - no such package")
		return 1
	case "hang":
		_ = os.WriteFile(filepath.Join(to, "half.tgz"), []byte("half"), 0o600)
		<-time.After(time.Hour) // until the test kills it
	case "slow":
		<-time.After(500 * time.Millisecond) // a download takes its time
	case "together": // with another one that has begun
		for began := time.Now(); bytes.Count(readFile(os.Getenv(npmLogEnv)), []byte("\n")) < 2; {
			if time.Since(began) > time.Minute {
				fmt.Fprintln(os.Stderr, "npm error no other package is asked for")
				return 1
			}
			<-time.After(5 * time.Millisecond)
		}
	case "corrupt":
		content = "something else"
	}
	tarball := packed(tarEntry{"package/package.json", "{}"}, tarEntry{"package/lib/file.bin", content},
		tarEntry{"package/native/lib/file.bin", content}, tarEntry{"package/native/links.json", goodLinks})
	if os.Getenv(npmModeEnv) == "truncated" {
		tarball = tarball[:len(tarball)/2]
	}
	if os.WriteFile(filepath.Join(to, "test-1.0.0.tgz"), tarball, 0o600) != nil {
		return 9
	}
	return 0
}

func readFile(path string) []byte {
	content, _ := os.ReadFile(path)
	return content
}

func indexOf(list []string, s string) int {
	for i, v := range list {
		if v == s {
			return i
		}
	}
	return -1
}

type tarEntry struct{ name, content string }

func packed(entries ...tarEntry) []byte {
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, e := range entries {
		_ = tw.WriteHeader(&tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.content))})
		_, _ = io.WriteString(tw, e.content)
	}
	_ = tw.Close()
	_ = zw.Close()
	return b.Bytes()
}

// sandbox is a cache directory and an npm of its own.
type sandbox struct {
	t   *testing.T
	dir string
}

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	// A home's name may hold anything, also what means something in a pattern.
	s := &sandbox{t: t, dir: filepath.Join(t.TempDir(), "a [b] *")}
	if err := os.Mkdir(s.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf("#!/bin/sh\n%s=npm exec '%s' \"$@\"\n", roleEnv, os.Args[0])
	for _, dir := range []string{s.path("bin"), s.path("empty")} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(s.path("bin", "npm"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *sandbox) path(names ...string) string {
	return filepath.Join(append([]string{s.dir}, names...)...)
}

// process prepares a process that fetches the wanted parts.
func (s *sandbox) process(npmMode, wanted string, env ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.WithoutCancel(s.t.Context()), os.Args[0])
	cmd.Env = append([]string{
		roleEnv + "=fetch", npmModeEnv + "=" + npmMode, npmLogEnv + "=" + s.path("npm.log"),
		"GORACE=atexit_sleep_ms=0", // or each short process takes a second to end
		wantedEnv + "=" + wanted, "PATH=" + s.path("bin"), CacheEnv + "=" + s.path("cache"), "HOME=" + s.dir,
	}, env...)
	return cmd
}

type outcome struct {
	out, progress string
	err           error
}

func (s *sandbox) run(npmMode, wanted string, env ...string) outcome {
	s.t.Helper()
	cmd := s.process(npmMode, wanted, env...)
	var out, progress bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &progress
	err := cmd.Run()
	return outcome{strings.TrimSpace(out.String()), progress.String(), err}
}

// mustFetch runs a process that has to succeed and checks the file it names.
func (s *sandbox) mustFetch(npmMode string) outcome { return s.mustFetchPart(npmMode, "first") }

func (s *sandbox) mustFetchPart(npmMode, wanted string) outcome {
	s.t.Helper()
	o := s.run(npmMode, wanted)
	if o.err != nil {
		s.t.Fatalf("%v: %s\n%s", o.err, o.out, o.progress)
	}
	if content, err := os.ReadFile(o.out); err != nil || string(content) != goodContent {
		s.t.Fatalf("the part holds %q, %v", content, err)
	}
	return o
}

// npmCalls returns the lines that npm logged: process id and arguments.
func (s *sandbox) npmCalls() []string {
	b, err := os.ReadFile(s.path("npm.log"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return strings.FieldsFunc(string(b), func(r rune) bool { return r == '\n' })
}

// leftovers lists what is in the cache besides complete parts and the lock.
func (s *sandbox) leftovers() []string {
	return s.cached(func(name string) bool { return strings.HasPrefix(name, stagingPrefix) })
}

// complete lists the parts in the cache.
func (s *sandbox) complete() []string {
	return s.cached(func(name string) bool { return !strings.HasPrefix(name, ".") })
}

func (s *sandbox) cached(want func(name string) bool) (found []string) {
	entries, _ := os.ReadDir(s.path("cache"))
	for _, e := range entries {
		if want(e.Name()) {
			found = append(found, e.Name())
		}
	}
	return found
}

func (s *sandbox) waitForNPM() {
	s.t.Helper()
	deadline := time.After(time.Minute)
	for len(s.npmCalls()) == 0 || len(s.leftovers()) == 0 {
		select {
		case <-deadline:
			s.t.Fatal("npm was not called")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
