package localpostgres

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

var major = regexp.MustCompile(`\d+`)

// prepareData makes sure that the data directory is a cluster, and creates it if there is none.
func (c *Cluster) prepareData(ctx context.Context) error {
	dir := c.cfg.Dir
	_, err := os.Stat(versionFile(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return c.createData(ctx)
	}
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	// Copied or restored by root, the files are root's and too open; the server would refuse them.
	if owner, err := ownerOf(dir); err == nil && c.account != nil && owner.uid == 0 {
		if err := c.checkVersion(ctx); err != nil {
			return err
		}
		if err := c.account.give(dir); err != nil {
			return fmt.Errorf("give the data directory to user %s: %w", userName(c.account.uid), err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

func versionFile(dir string) string { return filepath.Join(dir, "PG_VERSION") }

// checkVersion returns why the programs refuse the data directory when it is another version's. It is asked after a start that
// failed: the server looks at this before anything else, and to ask it beforehand takes as long as many a step of the start.
func (c *Cluster) checkVersion(ctx context.Context) error {
	dir := c.cfg.Dir
	version, err := os.ReadFile(versionFile(dir))
	if err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	out, err := c.account.command(ctx, nil, c.runtime.program("postgres"), "--version").Output()
	if err != nil {
		return fmt.Errorf("ask PostgreSQL for its version: %w", err)
	}
	have, need := major.FindString(string(out)), strings.TrimSpace(string(version))
	if have != need {
		return fmt.Errorf("data directory %s was made by PostgreSQL %q, and the programs in %s are version %s: "+
			"give those of the same version (LIVENESS_POSTGRES_BIN), or move the directory away to begin an empty one",
			dir, need, c.cfg.BinDir, have)
	}
	return nil
}

// createData runs initdb beside the data directory and moves the finished
// cluster into place, so that an interrupted one is never taken for a cluster.
func (c *Cluster) createData(ctx context.Context) error {
	dir := c.cfg.Dir
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("data directory: %w", err)
	}
	if len(entries) > 0 {
		return fmt.Errorf("%s is not a PostgreSQL data directory (it has no PG_VERSION) and is not empty: "+
			"move it away, or choose another data directory", dir)
	}
	fresh := freshDir(dir)
	if err := os.RemoveAll(fresh); err != nil {
		return fmt.Errorf("remove an interrupted data directory: %w", err)
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	if err := c.account.give(fresh); err != nil {
		return fmt.Errorf("give the data directory to user %s: %w", userName(c.account.uid), err)
	}
	arg, inherit, err := c.account.dataArg(fresh)
	if err != nil {
		return err
	}
	defer func() { _ = inherit.Close() }()
	args := []string{"--pgdata=" + arg, "--username=" + superuser, "--auth=trust", "--encoding=UTF8", "--locale=C"}
	if c.cfg.Disposable {
		args = append(args, "--no-sync")
	}
	c.cfg.Logger.Info("creating the database cluster", "dir", dir)
	out, err := c.account.command(ctx, inherit, c.runtime.program("initdb"), args...).CombinedOutput()
	if err != nil {
		return errors.Join(
			fmt.Errorf("create a database cluster in %s: %w: %s", dir, err, lastLines(string(out), 5)),
			os.RemoveAll(fresh))
	}
	if err := os.RemoveAll(dir); err != nil { // empty, as seen above
		return fmt.Errorf("data directory: %w", err)
	}
	if err := os.Rename(fresh, dir); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	return nil
}

// freshDir is where a new cluster is made before it gets its name.
func freshDir(dir string) string { return dir + ".new" }

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "; ")
}
