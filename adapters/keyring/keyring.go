// Package keyring keeps the server's secrets in a file: for each purpose one that is in use, and those that something may
// have been made with before. The file may be replaced while nodes run; they read it again within seconds. A file with one
// plain secret, as there was before there were key rings, is a ring too.
package keyring

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pas-ta/liveness/commands"
)

// DefaultInterval is how often a node looks whether the file has changed.
const DefaultInterval = 2 * time.Second

// Ring is the key ring of a running node.
type Ring struct {
	file     string // "" of a secret that came from elsewhere and never changes
	interval time.Duration
	log      *slog.Logger

	state   atomic.Pointer[state]
	reading sync.Mutex // held by the one who looks at the file
	content []byte     // of the file when it was read last; guarded by reading
	entries Contents   // guarded by reading
	problem string     // why the file is not read, as the log was told; guarded by reading
}

// state is what the ring answers until it has to look again.
type state struct {
	secrets map[commands.Purpose][]commands.Secret
	until   time.Time
}

var _ commands.Keyring = (*Ring)(nil)

// Open reads a key ring file, and again whenever it has changed. An interval of 0 is the default.
func Open(file string, interval time.Duration, log *slog.Logger) (*Ring, error) {
	if interval <= 0 {
		interval = DefaultInterval
	}
	content, entries, complaint, err := read(file)
	if err != nil {
		return nil, err
	}
	if complaint != "" {
		log.Warn(complaint, "file", file)
	}
	r := &Ring{file: file, interval: interval, log: log, content: content, entries: entries}
	r.settle(time.Now())
	return r, nil
}

// Of returns the ring of one plain secret.
func Of(secret string, log *slog.Logger) (*Ring, error) {
	entries, complaint, err := parse([]byte(secret))
	if err != nil {
		return nil, err
	}
	if complaint != "" {
		log.Warn(complaint)
	}
	r := &Ring{interval: DefaultInterval, log: log, entries: entries}
	r.settle(time.Now())
	return r, nil
}

// Secrets implements commands.Keyring. It looks at the file now and then; whoever asks meanwhile is not kept waiting.
func (r *Ring) Secrets(purpose commands.Purpose) []commands.Secret {
	now, known := time.Now(), r.state.Load()
	if now.After(known.until) && r.reading.TryLock() {
		r.look(now)
		r.reading.Unlock()
		known = r.state.Load()
	}
	return known.secrets[purpose]
}

// look reads the file again where there is one. What cannot be read changes nothing: the secrets at hand are good.
func (r *Ring) look(now time.Time) {
	defer r.settle(now)
	if r.file == "" {
		return
	}
	if content, err := os.ReadFile(r.file); err == nil && bytes.Equal(content, r.content) {
		r.problem = ""
		return
	}
	content, entries, _, err := read(r.file)
	if err != nil {
		if err.Error() != r.problem {
			r.problem = err.Error()
			r.log.Error("the key ring cannot be read again: the secrets of before stay in use", "error", err)
		}
		return
	}
	r.content, r.entries, r.problem = content, entries, ""
	var ids []string
	for _, e := range entries.Entries {
		ids = append(ids, e.ID)
	}
	r.log.Info("the key ring was read again", "secrets", ids)
}

// settle says what is answered from now on, until the file is looked at again or another secret comes into use.
func (r *Ring) settle(now time.Time) {
	next := &state{secrets: map[commands.Purpose][]commands.Secret{}, until: now.Add(r.interval)}
	for _, purpose := range commands.Purposes() {
		for _, e := range r.entries.For(purpose, now) {
			next.secrets[purpose] = append(next.secrets[purpose], commands.Secret{ID: e.ID, Key: []byte(e.Secret), Created: e.Created})
			if e.UseFrom.After(now) && e.UseFrom.Before(next.until) {
				next.until = e.UseFrom
			}
		}
	}
	r.state.Store(next)
}

// read reads a file and checks it, and who may read it.
func read(file string) (content []byte, entries Contents, complaint string, err error) {
	content, err = os.ReadFile(file)
	if err != nil {
		return nil, Contents{}, "", fmt.Errorf("read the server's secrets: %w", err)
	}
	entries, complaint, err = parse(content)
	if err != nil {
		return nil, Contents{}, "", fmt.Errorf("%s: %w", file, err)
	}
	open, err := openToOthers(file)
	if err != nil {
		return nil, Contents{}, "", err
	}
	plain := !bytes.HasPrefix(bytes.TrimSpace(content), []byte("{"))
	switch {
	case open != nil && plain: // as it has always been; whoever wrote it by the older instructions goes on
		complaint = open.Error()
	case open != nil:
		return nil, Contents{}, "", open
	}
	return content, entries, complaint, nil
}

// openToOthers returns why a file's mode is no good: nobody but its owner may change it, and nobody but its owner and group
// read it. A group that reads is how Kubernetes gives a secret to a process without root.
func openToOthers(file string) (problem, err error) {
	info, err := os.Stat(file)
	if err != nil {
		return nil, fmt.Errorf("read the server's secrets: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o027 != 0 {
		return fmt.Errorf("%s holds secrets and has the mode %04o, with which others can read or change it: chmod 600 %s", file, mode, file), nil
	}
	return nil, nil
}

// Read returns what stands in a key ring file.
func Read(file string) (Contents, error) {
	_, entries, _, err := read(file)
	return entries, err
}

// Add draws a new secret for each of the purposes and writes it into the file. Without a file it makes one, with a secret for
// every purpose, which are in use at once; in a file of one plain secret, that becomes the eldest of a ring.
func Add(ctx context.Context, file string, purposes []commands.Purpose, now, useFrom time.Time) ([]Entry, error) {
	var added []Entry
	err := change(ctx, file, func(c Contents) (_ Contents, err error) {
		if len(c.Entries) == 0 {
			purposes, useFrom = commands.Purposes(), now
		}
		for _, purpose := range purposes {
			var entry Entry
			if c, entry, err = c.add(purpose, now, useFrom); err != nil {
				return c, err
			}
			added = append(added, entry)
		}
		return c, nil
	})
	return added, err
}

// Retire takes a secret out of the file.
func Retire(ctx context.Context, file, id string, now time.Time) (Entry, error) {
	var retired Entry
	err := change(ctx, file, func(c Contents) (_ Contents, err error) {
		c, retired, err = c.remove(id, now)
		return c, err
	})
	return retired, err
}

// change rewrites the file, wholly or not at all, and one at a time.
func change(ctx context.Context, file string, do func(Contents) (Contents, error)) error {
	if target, err := filepath.EvalSymlinks(file); err == nil {
		file = target // what a link points to is replaced, not the link
	}
	unlock, err := lock(ctx, file)
	if err != nil {
		return err
	}
	defer unlock()
	contents, err := Read(file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	owner := ownerOf(file)
	if contents, err = do(contents); err != nil {
		return err
	}
	if err := contents.validate(); err != nil {
		return err
	}
	content, err := contents.encode()
	if err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return fmt.Errorf("write the key ring: %w", err)
	}
	_, err = temporary.Write(content)
	err = errors.Join(err, owner.give(temporary), temporary.Sync(), temporary.Close())
	if err == nil {
		err = os.Rename(temporary.Name(), file)
	}
	if err != nil {
		_ = os.Remove(temporary.Name())
		return fmt.Errorf("write the key ring: %w", err)
	}
	return nil
}
