package parts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// stagingPrefix marks directories that are being filled. Whoever holds the lock may remove them: their owner is gone.
const stagingPrefix = ".staging-"

// bringAll fetches or installs the parts, side by side: the npm client mostly waits for its registry. The caller holds the lock.
func (c *Cache) bringAll(ctx context.Context, absent []*supply) {
	staging, err := os.MkdirTemp(c.dir, stagingPrefix)
	if err != nil {
		each(absent, func(s *supply) { s.err = c.nameFullDisk(fmt.Errorf("cache: %w", err)) })
		return
	}
	defer func() { _ = os.RemoveAll(staging) }()
	each(absent, func(s *supply) {
		if s.install != nil {
			s.path, s.err = c.installOnSystem(ctx, s.part)
			return
		}
		s.path, s.err = c.fetch(ctx, s.part, filepath.Join(staging, string(s.id)))
		s.err = c.nameFullDisk(s.err)
	})
}

// fetch fills the cache with a part, unless another process has done so while this one waited for the lock. A part appears in
// the cache by one rename of a complete, verified directory.
func (c *Cache) fetch(ctx context.Context, p part, staging string) (string, error) {
	dir, pkgs := c.kept(p), p.packagesFor(c.platform)
	path := filepath.Join(dir, p.main)
	switch err := verify(dir, pkgs); {
	case err == nil:
		return path, nil
	case !errors.Is(err, fs.ErrNotExist) || exists(dir):
		c.progress.linef("%s is damaged in the cache (%v): fetching it again", p.title, err)
	}
	start := time.Now()
	content := filepath.Join(staging, "content")
	if err := os.MkdirAll(content, 0o755); err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	fetching, ctxOfAll := errgroup.WithContext(ctx)
	for i, pkg := range pkgs {
		fetching.Go(func() error {
			return c.fetchPackage(ctxOfAll, p, pkg, filepath.Join(staging, strconv.Itoa(i)), content)
		})
	}
	if err := fetching.Wait(); err != nil {
		return "", err
	}
	if err := verify(content, pkgs); err != nil {
		return "", fmt.Errorf("npm delivered something else than the pinned package: %w", err)
	}
	// The mode is set apart from the creation, which a strict umask narrows:
	// PostgreSQL is run by another user when this process is root.
	if err := os.Chmod(content, 0o755); err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("remove the damaged part: %w", err)
	}
	if err := os.Rename(content, dir); err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	c.progress.linef("ready: %s (%s)", p.title, time.Since(start).Round(100*time.Millisecond))
	return path, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// fetchPackage brings one package into content through the npm client, which works in a folder of its own.
func (c *Cache) fetchPackage(ctx context.Context, p part, pkg npmPackage, work, content string) error {
	npm, err := exec.LookPath("npm")
	if err != nil {
		return errNoNPM
	}
	c.progress.linef("fetching %s: npm package %s, %s", p.title, pkg.name, size(pkg.size))
	if err := os.Mkdir(work, 0o755); err != nil {
		return fmt.Errorf("cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()

	// npm gets a cache of its own, removed with the rest: its ordinary one would keep a second copy of every package,
	// and is not writable when HOME is unset. Two short retries, or a machine without a network would be told so only
	// after minutes.
	npmCache := filepath.Join(work, "cache")
	cmd := exec.CommandContext(ctx, npm, "pack", pkg.name,
		"--pack-destination", work, "--cache", npmCache, "--ignore-scripts", "--loglevel=error",
		"--no-update-notifier", "--no-audit", "--no-fund", "--no-progress",
		"--fetch-retries=2", "--fetch-retry-mintimeout=500", "--fetch-retry-maxtimeout=2000")
	cmd.Dir = work
	if !hasHome() {
		cmd.Env = append(os.Environ(), "HOME="+work) // npm does not start without one
	}
	// A process group of its own: cancelling must also end what npm started.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 5 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out

	stop := c.showDownload(npmCache, pkg)
	err = cmd.Run()
	stop()
	if err != nil {
		return npmError(pkg.name, err, out.String())
	}
	tarball, err := packedTarball(work)
	if err != nil {
		return fmt.Errorf("npm pack %s: %w", pkg.name, err)
	}
	if err := extract(ctx, tarball, content, pkg); err != nil {
		return fmt.Errorf("unpack %s: %w", pkg.name, err)
	}
	return nil
}

// packedTarball finds what npm made; its name depends on npm's version.
func packedTarball(dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if filepath.Ext(e.Name()) == ".tgz" {
			return filepath.Join(dir, e.Name()), nil
		}
	}
	return "", errors.New("it ended well and left no package")
}

// showDownload keeps the progress line at the size of npm's cache until the returned function is called.
func (c *Cache) showDownload(npmCache string, pkg npmPackage) (stop func()) {
	if !c.progress.terminal {
		return func() {}
	}
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-done:
				c.progress.downloaded(pkg, pkg.size)
				return
			case <-tick.C:
				c.progress.downloaded(pkg, min(dirSize(npmCache), pkg.size))
			}
		}
	}()
	return func() { close(done); <-ended }
}

// dirSize adds up the files under dir; what vanishes meanwhile is not counted.
func dirSize(dir string) (total int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil {
				total += info.Size()
			}
		}
		return nil
	})
	return total
}

var (
	npmCode = regexp.MustCompile(`(?m)^npm (?:error|ERR!) code (\S+)`)
	npmLine = regexp.MustCompile(`(?m)^npm (?:error|ERR!) (.+)$`)
)

// npmError turns the output of a failed npm into one line.
func npmError(pkg string, err error, output string) error {
	code := ""
	if m := npmCode.FindStringSubmatch(output); m != nil {
		code = m[1]
	}
	switch code {
	case "ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENETUNREACH",
		"EHOSTUNREACH", "EPROTO", "ENOTCACHED", "ERR_SOCKET_TIMEOUT", "FETCH_ERROR":
		return fmt.Errorf("%w (%s): check the network, the proxy and npm's settings", errUnreachable, code)
	case "ENOSPC":
		return syscall.ENOSPC
	case "EDQUOT":
		return syscall.EDQUOT
	}
	var said []string
	for _, m := range npmLine.FindAllStringSubmatch(output, -1) {
		line := strings.TrimSpace(m[1])
		if line != "" && !strings.HasPrefix(line, "code ") && !strings.HasPrefix(line, "A complete log") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		words := strings.Join(strings.Fields(output), " ")
		said = []string{words[:min(len(words), 300)]}
	}
	const most = 3
	text := strings.Join(said[:min(len(said), most)], "; ")
	return fmt.Errorf("npm pack %s: %w: %s", pkg, err, strings.TrimSpace(code+" "+text))
}
