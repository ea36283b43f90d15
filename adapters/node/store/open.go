package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/gofrs/flock"
	"github.com/google/uuid"
	"golang.org/x/sync/semaphore"
)

// Open opens the store in a directory, creating it when missing. It refuses a directory that another process has open
// (ErrInUse) and a database that is torn or behind what was acknowledged (ErrCorrupt).
func Open(ctx context.Context, dir string, options Options) (_ *Store, err error) {
	s := &Store{
		dir: dir, options: options.withDefaults(), readers: make(chan *conn, readers), room: semaphore.NewWeighted(queuedBytes),
		queue: make(chan *job, queuedWrites), written: make(chan struct{}),
		metrics: newMetrics(),
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create event store directory: %w", err)
	}
	s.lock = flock.New(filepath.Join(dir, "lock"))
	locked, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock event store directory: %w", err)
	}
	if !locked {
		return nil, fmt.Errorf("%w: %s", ErrInUse, dir)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open event store %s: %w", dir, err), s.releaseAll())
		}
	}()
	found, err := findFiles(dir)
	if err != nil {
		return nil, err
	}
	if err := found.check(); err != nil {
		return nil, err
	}
	if found.log > 0 {
		if s.evidence, err = openConn(dir, readOnly); err != nil {
			return nil, err
		}
	}
	if s.writeDB, err = openConn(dir, readWrite); err != nil {
		return nil, err
	}
	if s.instance, err = prepare(ctx, s.writeDB, dir, s.options.MaxPages); err != nil {
		return nil, err
	}
	position, created, err := checkLog(ctx, s.writeDB, dir, s.instance, s.options)
	if err != nil {
		return nil, err
	}
	// A backup is written without; one that is refused stays as it is.
	if err := s.writeDB.script(ctx, writeAhead); err != nil {
		return nil, err
	}
	for range readers {
		c, err := openConn(dir, readOnly)
		if err != nil {
			return nil, err
		}
		s.readers <- c
	}
	if s.marker, err = openMarker(dir, s.instance); err != nil {
		return nil, err
	}
	if s.marks, err = newMarks(); err != nil {
		return nil, err
	}
	if s.spare, err = openSpare(dir); err != nil {
		return nil, err
	}
	heads, err := newHeads(ctx, s.writeDB)
	if err != nil {
		return nil, err
	}
	if err := s.releaseEvidence(); err != nil {
		return nil, err
	}
	s.tail = newTail(position)
	w := &writer{
		transaction: transaction{c: s.writeDB, heads: heads, position: position, created: created},
		queue:       s.queue, now: s.options.Now, marker: s.marker, spare: s.spare, log: s.options.Logger, publish: s.tail.publish, release: s.room.Release,
		holdCommit: s.options.HoldCommit, metrics: s.metrics,
	}
	go func() {
		defer close(s.written)
		w.run()
	}()
	return s, nil
}

// writeAhead has commits be written to a log before the database: one sync for each, and none waits for readers.
const writeAhead = "PRAGMA journal_mode=WAL"

// prepare makes the database ready, creating its schema at the first start, and returns the store's identity.
func prepare(ctx context.Context, c *conn, dir string, maxPages int64) (instance uuid.UUID, err error) {
	version, _, err := c.integer(ctx, "PRAGMA user_version")
	if err != nil {
		return uuid.Nil, err
	}
	switch version {
	case 0:
		// What was acknowledged was in a log that is lost: this is not the first start.
		if marked, err := fileSize(filepath.Join(dir, markerFile)); err != nil || marked > 0 {
			return uuid.Nil, errors.Join(err, fmt.Errorf("%w: %s holds nothing although events were acknowledged; restore a backup into an empty directory", ErrCorrupt, File))
		}
		if err := create(ctx, c); err != nil {
			return uuid.Nil, err
		}
		if err := syncPath(dir); err != nil {
			return uuid.Nil, fmt.Errorf("make the new store's files durable: %w", err)
		}
	case formatVersion:
		if id, _, err := c.integer(ctx, "PRAGMA application_id"); err != nil || id != applicationID {
			return uuid.Nil, errors.Join(err, fmt.Errorf("%w: %s is a database of another program", ErrCorrupt, File))
		}
	default:
		return uuid.Nil, fmt.Errorf("%s has format %d, this program knows format %d: use the program that wrote it, or a newer one", File, version, formatVersion)
	}
	if maxPages > 0 {
		if err := c.script(ctx, fmt.Sprintf("PRAGMA max_page_count=%d", maxPages)); err != nil {
			return uuid.Nil, err
		}
	}
	return readInstance(ctx, c)
}

func create(ctx context.Context, c *conn) error {
	if tables, _, err := c.integer(ctx, "SELECT count(*) FROM sqlite_schema"); err != nil || tables > 0 {
		return errors.Join(err, fmt.Errorf("%w: %s is a database of another program", ErrCorrupt, File))
	}
	instance, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make store id: %w", err)
	}
	if err := c.script(ctx, "PRAGMA page_size=2048; "+writeAhead); err != nil {
		return err
	}
	if err := c.script(ctx, fmt.Sprintf("BEGIN IMMEDIATE; PRAGMA application_id=%d; PRAGMA user_version=%d; %s", applicationID, formatVersion, schema)); err != nil {
		return err
	}
	if err := c.exec(`INSERT INTO store (instance) VALUES (?)`, instance[:]); err != nil {
		return err
	}
	return c.exec("COMMIT")
}

// releaseAll gives back whatever Open has taken so far; it waits for readers to finish their pages.
func (s *Store) releaseAll() error {
	var errs []error
	if s.marker != nil {
		for range readers {
			errs = append(errs, (<-s.readers).close())
		}
		errs = append(errs, s.marker.close())
	} else {
		for len(s.readers) > 0 {
			errs = append(errs, (<-s.readers).close())
		}
	}
	if s.spare != nil {
		errs = append(errs, s.spare.close())
	}
	if s.writeDB != nil {
		errs = append(errs, s.writeDB.close())
	}
	return errors.Join(append(errs, s.releaseEvidence(), s.lock.Unlock())...)
}

func (s *Store) releaseEvidence() (err error) {
	if s.evidence != nil {
		err = s.evidence.close()
		s.evidence = nil
	}
	return err
}
