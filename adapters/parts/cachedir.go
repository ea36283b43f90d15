package parts

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"time"

	"github.com/gofrs/flock"
)

// cacheDir determines the cache directory without creating it.
func cacheDir(explicit string) (string, error) {
	if explicit == "" {
		explicit = os.Getenv(CacheEnv)
	}
	if explicit != "" {
		return filepath.Abs(explicit)
	}
	if dir, err := os.UserCacheDir(); err == nil {
		return filepath.Join(dir, "liveness"), nil
	}
	// HOME is unset, as under some service managers: the account's own home
	// serves as well, and failing that a directory per user in the temporary one.
	if u, err := user.Current(); err == nil && u.HomeDir != "" {
		if info, err := os.Stat(u.HomeDir); err == nil && info.IsDir() && u.HomeDir != "/" {
			return filepath.Join(u.HomeDir, ".cache", "liveness"), nil
		}
	}
	return filepath.Join(os.TempDir(), "liveness-cache-"+strconv.Itoa(os.Getuid())), nil
}

// hasHome tells whether the account has a home, by HOME or by its entry.
func hasHome() bool {
	if os.Getenv("HOME") != "" {
		return true
	}
	u, err := user.Current()
	return err == nil && u.HomeDir != ""
}

// makeDir creates the cache directory, or says why it cannot be used and what
// to do about it.
func (c *Cache) makeDir() error {
	if c.dirErr != nil {
		return fmt.Errorf("cache directory: %w", c.dirErr)
	}
	err := os.MkdirAll(c.dir, 0o755)
	if err == nil {
		var probe *os.File
		if probe, err = os.CreateTemp(c.dir, stagingPrefix+"probe-"); err == nil {
			_ = probe.Close()
			err = os.Remove(probe.Name())
		}
	}
	if err != nil {
		return fmt.Errorf("cache directory %s cannot be written (%w): set %s to a directory that can", c.dir, err, CacheEnv)
	}
	return nil
}

// lock takes the cache for this process alone and cleans what an interrupted
// one left behind. The system drops the lock of a process that dies.
func (c *Cache) lock(ctx context.Context) (unlock func(), err error) {
	if err := c.makeDir(); err != nil {
		return nil, err
	}
	path := filepath.Join(c.dir, ".lock")
	l := flock.New(path)
	ok, err := l.TryLock()
	if err == nil && !ok {
		c.progress.line("waiting for another process that is fetching parts into %s", c.dir)
		_, err = l.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	leftovers, err := filepath.Glob(filepath.Join(c.dir, stagingPrefix+"*"))
	for _, dir := range leftovers {
		err = errors.Join(err, os.RemoveAll(dir))
	}
	if err != nil {
		_ = l.Unlock()
		return nil, fmt.Errorf("remove an interrupted download: %w", err)
	}
	return func() { _ = l.Unlock() }, nil
}
