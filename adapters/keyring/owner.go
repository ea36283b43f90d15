package keyring

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// owner is who may read a file. Whoever changes secrets is often not the user that the nodes run as.
type owner struct {
	uid, gid int
	mode     fs.FileMode
}

// ownerOf returns whose a file is; one that is not there yet will be that of who writes it.
func ownerOf(file string) owner {
	o := owner{uid: os.Getuid(), gid: os.Getgid(), mode: 0o600}
	info, err := os.Stat(file)
	if err != nil {
		return o
	}
	o.mode |= info.Mode().Perm() & 0o040 // a group that reads goes on reading
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		o.uid, o.gid = int(stat.Uid), int(stat.Gid)
	}
	return o
}

// give makes a file the owner's.
func (o owner) give(file *os.File) error {
	if err := file.Chmod(o.mode); err != nil {
		return err
	}
	if o.uid == os.Getuid() && o.gid == os.Getgid() {
		return nil
	}
	if err := file.Chown(o.uid, o.gid); err != nil {
		return fmt.Errorf("only the file's owner, or root, may change it: %w", err)
	}
	return nil
}
