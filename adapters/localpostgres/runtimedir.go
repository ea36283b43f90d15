package localpostgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
)

const (
	runtimePrefix = "liveness-pg-"

	// maxSocketPath is what fits into a socket address on every system that
	// PostgreSQL runs on (104 bytes on some, 108 on others, one for the end).
	maxSocketPath = 103
)

// plainPath holds paths that mean the same in a server setting, where a comma
// separates, and in a connection string, whose readers differ about escapes.
var plainPath = regexp.MustCompile(`^/[A-Za-z0-9/._-]*$`)

// runtimeDir is a directory with a short name for what a running server needs outside its data directory: the socket
// and, if the account cannot reach the programs where they are, a copy of them.
type runtimeDir struct {
	path   string
	source string // of the programs
	binDir string // where they are run from: the source, or a copy of it
}

// newRuntimeDir makes the directory in the first temporary folder that is short
// enough, open to the account and able to run programs.
func newRuntimeDir(ctx context.Context, binDir string, a *account) (*runtimeDir, error) {
	binDir, err := filepath.EvalSymlinks(binDir)
	if err != nil {
		return nil, fmt.Errorf("PostgreSQL's programs: %w", err)
	}
	var failures []error
	for _, temp := range slices.Compact([]string{os.TempDir(), "/tmp", "/var/tmp"}) {
		r, err := tryRuntimeDir(ctx, temp, binDir, a)
		if err == nil {
			return r, nil
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		failures = append(failures, fmt.Errorf("%s: %w", temp, err))
	}
	return nil, fmt.Errorf("no temporary folder serves for PostgreSQL's socket: %w", errors.Join(failures...))
}

func tryRuntimeDir(ctx context.Context, temp, binDir string, a *account) (_ *runtimeDir, err error) {
	if !plainPath.MatchString(temp) {
		return nil, errors.New("is not an absolute path of plain characters")
	}
	if !a.reaches(temp) {
		return nil, fmt.Errorf("user %s, who runs PostgreSQL, cannot enter it", userName(a.uid))
	}
	path, err := os.MkdirTemp(temp, runtimePrefix)
	if err != nil {
		return nil, err
	}
	r := &runtimeDir{path: path, source: binDir, binDir: binDir}
	defer func() {
		if err != nil {
			r.remove()
		}
	}()
	if len(filepath.Join(r.socketDir(), ".s.PGSQL."+port)) > maxSocketPath {
		return nil, errors.New("its name is too long for a socket")
	}
	if err := r.restore(a); err != nil {
		return nil, err
	}
	if r.binDir == r.source {
		return r, nil
	}
	// Some systems forbid to run programs from temporary folders: better
	// noticed here, where the next folder can be tried.
	if out, err := a.command(ctx, nil, r.program("postgres"), "--version").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("run %s: %w %s", r.program("postgres"), err, strings.TrimSpace(string(out)))
	}
	return r, nil
}

// restore makes what is not there: at first everything, later what somebody has cleaned away.
func (r *runtimeDir) restore(a *account) error {
	err := os.Mkdir(r.path, 0o755)
	if errors.Is(err, fs.ErrExist) {
		err = belongs(r.path, nil, 0o777)
	}
	if err != nil {
		return err
	}
	if err := os.Chmod(r.path, 0o755); err != nil {
		return err
	}
	// Whoever can open the socket is the database's superuser, so nobody but the owner gets into its folder.
	err = os.Mkdir(r.socketDir(), 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = belongs(r.socketDir(), a, 0o700)
	} else if err == nil {
		err = a.give(r.socketDir())
	}
	if err != nil {
		return err
	}
	if a.reaches(r.source) {
		return nil
	}
	return r.copyPrograms()
}

// belongs refuses what is not a folder of the account, or has more than the mode: in a temporary folder everybody can make one,
// and its owner would have the socket and the programs. For root the system refuses nothing.
func belongs(path string, a *account, mode fs.FileMode) error {
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	uid := uint32(os.Geteuid())
	if a != nil {
		uid = a.uid
	}
	st, known := info.Sys().(*syscall.Stat_t)
	if !known || !info.IsDir() || st.Uid != uid || info.Mode().Perm()&^mode != 0 {
		return fmt.Errorf("%s, where PostgreSQL's socket belongs, is not a folder of user %s alone: remove it", path, userName(uid))
	}
	return nil
}

// intact returns whether clients reach the server, and no other one, and the server its programs.
func (r *runtimeDir) intact() bool {
	if belongs(r.path, nil, 0o777) != nil {
		return false
	}
	for _, path := range []string{filepath.Join(r.socketDir(), ".s.PGSQL."+port), r.program("postgres")} {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return false
		}
	}
	return true
}

func (r *runtimeDir) socketDir() string { return filepath.Join(r.path, "s") }

func (r *runtimeDir) program(name string) string { return filepath.Join(r.binDir, name) }

// remove deletes the directory; on nil it does nothing.
func (r *runtimeDir) remove() {
	if r != nil {
		_ = os.RemoveAll(r.path)
	}
}

// copyPrograms brings the programs with their libraries and data, which they find beside themselves, into the runtime
// directory. Where the file system allows it the files are linked, which costs nothing.
func (r *runtimeDir) copyPrograms() error {
	from, to := filepath.Dir(r.source), filepath.Join(r.path, "programs")
	for _, folder := range []string{filepath.Base(r.source), "lib", "share"} {
		source := filepath.Join(from, folder)
		err := filepath.WalkDir(source, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			name, err := filepath.Rel(from, path)
			if err != nil {
				return err
			}
			return copyEntry(path, filepath.Join(to, name), d)
		})
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("copy PostgreSQL's programs: %w", err)
		}
	}
	r.binDir = filepath.Join(to, filepath.Base(r.source))
	return nil
}

// copyEntry copies what is not there yet.
func copyEntry(from, to string, d fs.DirEntry) error {
	if _, err := os.Lstat(to); err == nil && !d.IsDir() {
		return nil
	}
	info, err := d.Info()
	if err != nil {
		return err
	}
	switch {
	case d.IsDir():
		if err := os.MkdirAll(to, 0o755); err != nil {
			return err
		}
		return os.Chmod(to, 0o755)
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case !d.Type().IsRegular():
		return nil
	}
	// A link shares the mode, so only a file that others may read can be one.
	if info.Mode().Perm()&0o004 != 0 && os.Link(from, to) == nil {
		return nil
	}
	return copyFile(from, to, 0o644|info.Mode().Perm()&0o111)
}

func copyFile(from, to string, mode fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = in.Close() }()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, mode)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Chmod(mode), out.Close())
}
