package localpostgres

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the unprivileged user under which root runs the server.
type account struct {
	uid, gid uint32
}

// accountFor chooses the user that runs a server on dir: nil for this process's own, which is every case but root's.
func accountFor(dir string) (*account, error) {
	owner, err := ownerOf(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		owner = nil
	case err != nil:
		return nil, fmt.Errorf("data directory: %w", err)
	}
	if uid := os.Geteuid(); uid != 0 {
		if owner != nil && int(owner.uid) != uid {
			return nil, fmt.Errorf("data directory %s belongs to user %s: start as that user or as root, or choose another data directory",
				dir, userName(owner.uid))
		}
		return nil, nil
	}
	if owner != nil && owner.uid != 0 {
		return owner, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
		gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
		if errUID == nil && errGID == nil && uid != 0 {
			return &account{uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as: create one, or start as an ordinary user")
}

func ownerOf(path string) (*account, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return nil, fmt.Errorf("%s: its owner cannot be told", path)
	}
	return &account{uid: st.Uid, gid: st.Gid}, nil
}

func userName(uid uint32) string {
	id := strconv.FormatUint(uint64(uid), 10)
	if u, err := user.LookupId(id); err == nil {
		return u.Username
	}
	return id
}

// give makes the account the owner of path and all below it. A nil account leaves everything as it is.
func (a *account) give(path string) error {
	if a == nil {
		return nil
	}
	return filepath.WalkDir(path, func(p string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(p, int(a.uid), int(a.gid))
	})
}

// reaches returns whether the account may enter dir and all folders above it. A nil account needs no such test: a path
// that is closed to this process itself gives a plain error of its own.
func (a *account) reaches(dir string) bool {
	if a == nil {
		return true
	}
	for {
		info, err := os.Stat(dir)
		if err != nil {
			return false
		}
		st, ok := info.Sys().(*syscall.Stat_t)
		if !ok {
			return false
		}
		enter := fs.FileMode(0o001)
		switch {
		case st.Uid == a.uid:
			enter = 0o100
		case st.Gid == a.gid:
			enter = 0o010
		}
		if info.Mode().Perm()&enter == 0 {
			return false
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true
		}
		dir = parent
	}
}
