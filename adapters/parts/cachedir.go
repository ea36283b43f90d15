package parts

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/gofrs/flock"
)

// cacheDir determines the cache directory. It creates none but the one that every account could.
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
	dir := filepath.Join(os.TempDir(), "liveness-cache-"+strconv.Itoa(os.Getuid()))
	return dir, takeShared(dir)
}

// takeShared makes a directory where every account of the machine may make one, or refuses one that is another's: its
// owner could put a library of theirs into our process.
func takeShared(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	file, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, known := file.Sys().(*syscall.Stat_t)
	if !known || int(stat.Uid) != os.Geteuid() || !file.IsDir() || file.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("the cache directory %s is not this account's alone: remove it, or set %s to a directory that is", dir, CacheEnv)
	}
	return nil
}

// hasHome returns whether the account has a home, by HOME or by its entry.
func hasHome() bool {
	if os.Getenv("HOME") != "" {
		return true
	}
	u, err := user.Current()
	return err == nil && u.HomeDir != ""
}

// unwritable says that the cache directory cannot be used and what to do.
func (c *Cache) unwritable(err error) error {
	return fmt.Errorf("cache directory %s cannot be written (%w): set %s to a directory that can", c.dir, err, CacheEnv)
}

// nameFullDisk says of an error for want of room where that was, and what to do.
func (c *Cache) nameFullDisk(err error) error {
	for _, full := range []error{syscall.ENOSPC, syscall.EDQUOT} {
		if errors.Is(err, full) {
			return fmt.Errorf("cache directory %s is full (%w): make room, or set %s to a directory that has some", c.dir, full, CacheEnv)
		}
	}
	return err
}

// lock creates the cache directory, takes it for this process alone and cleans what an interrupted one left behind. The
// system drops the lock of a process that dies.
func (c *Cache) lock(ctx context.Context) (unlock func(), err error) {
	if err := os.MkdirAll(c.dir, 0o755); err != nil {
		return nil, c.unwritable(err)
	}
	l := flock.New(filepath.Join(c.dir, ".lock"))
	ok, err := l.TryLock()
	if err == nil && !ok {
		c.progress.linef("waiting for another process that is fetching parts into %s", c.dir)
		_, err = l.TryLockContext(ctx, 100*time.Millisecond)
	}
	if err != nil {
		return nil, c.unwritable(err)
	}
	if err := c.clean(); err != nil {
		_ = l.Unlock()
		return nil, c.unwritable(err)
	}
	return func() { _ = l.Unlock() }, nil
}

// clean removes interrupted downloads and makes sure that a new one can begin.
// The caller holds the lock, so none of them is in progress.
func (c *Cache) clean() error {
	probe, err := os.MkdirTemp(c.dir, stagingPrefix)
	if err != nil {
		return err
	}
	entries, err := os.ReadDir(filepath.Dir(probe))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), stagingPrefix) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(c.dir, e.Name())))
		}
	}
	return err
}
