package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

// Inspector looks at a store beside the process that serves it, or at what a process left that was killed: it takes no lock on
// the directory and changes neither the database nor its write-ahead log. Beside a stopped store it may leave an index and an
// empty log, which hold nothing. It is not safe for concurrent use.
type Inspector struct {
	dir      string
	c        *conn
	instance uuid.UUID
}

// Inspect opens a store for looking at it, whether it is being served or not.
func Inspect(ctx context.Context, dir string) (*Inspector, error) {
	found, err := findFiles(dir)
	if err != nil {
		return nil, fmt.Errorf("inspect event store %s: %w", dir, err)
	}
	if found.database == 0 {
		return nil, fmt.Errorf("there is no event store in %s", dir)
	}
	c, err := openConn(dir, readOnly)
	if err != nil {
		return nil, err
	}
	i := &Inspector{dir: dir, c: c}
	version, _, err := c.integer(ctx, "PRAGMA user_version")
	if err == nil && version != formatVersion {
		err = fmt.Errorf("%s has format %d, this program knows format %d", File, version, formatVersion)
	}
	if err == nil {
		i.instance, err = readInstance(ctx, c)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("inspect event store %s: %w", dir, err), c.close())
	}
	return i, nil
}

// Close ends the inspection.
func (i *Inspector) Close() error { return i.c.close() }

// Stats are numbers about a store.
type Stats struct {
	// Instance identifies the store and its backups.
	Instance uuid.UUID `json:"instance"`
	// Events is the number of events, Head the position of the last.
	Events int64  `json:"events"`
	Head   uint64 `json:"head"`
	// Streams counts the streams with events, those of metadata and the system's included.
	Streams    int64 `json:"streams"`
	Tombstones int64 `json:"tombstones"`
	// Records counts the node's own small values, such as the checkpoints of persistent subscriptions.
	Records int64 `json:"records"`
	// DatabaseBytes and LogBytes are the sizes of the database and of its write-ahead log.
	DatabaseBytes int64 `json:"databaseBytes"`
	LogBytes      int64 `json:"logBytes"`
	// First and Last are when the first and the last event were created; zero for an empty log.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
}

// Stats counts what is in the store.
func (i *Inspector) Stats(ctx context.Context) (Stats, error) {
	s := Stats{Instance: i.instance}
	err := i.snapshot(ctx, func() error {
		return i.c.query(ctx, `SELECT (SELECT count(*) FROM events), (SELECT ifnull(max(position), 0) FROM events),
			(SELECT count(DISTINCT stream) FROM events), (SELECT count(*) FROM streams WHERE tombstoned = 1), (SELECT count(*) FROM records),
			ifnull((SELECT created FROM events ORDER BY position LIMIT 1), 0), ifnull((SELECT created FROM events ORDER BY position DESC LIMIT 1), 0)`, 7,
			func(row []driver.Value) (bool, error) {
				columns := columns{row: row}
				s.Events, s.Head = columns.integer(), uint64(columns.integer())
				s.Streams, s.Tombstones, s.Records = columns.integer(), columns.integer(), columns.integer()
				s.First, s.Last = fromTicks(columns.integer()), fromTicks(columns.integer())
				return false, columns.err
			})
	})
	if err != nil {
		return Stats{}, fmt.Errorf("count events: %w", err)
	}
	if s.DatabaseBytes, err = fileSize(filepath.Join(i.dir, File)); err != nil {
		return Stats{}, err
	}
	s.LogBytes, err = fileSize(filepath.Join(i.dir, logFile))
	return s, err
}

func fromTicks(t int64) time.Time {
	if t == 0 {
		return time.Time{}
	}
	return time.Unix(0, t*100).UTC()
}

// snapshot runs f on one state of the database, whatever is written meanwhile.
func (i *Inspector) snapshot(ctx context.Context, f func() error) error {
	if err := i.c.exec("BEGIN"); err != nil {
		return err
	}
	return errors.Join(f(), i.c.exec("ROLLBACK"))
}

// Verify examines the whole store: that everything acknowledged is there, the structure of the database and its indexes, every
// event against its checksum, and the sequence of positions and revisions. It returns the number of events; an error that is
// ErrCorrupt names the first thing wrong.
func (i *Inspector) Verify(ctx context.Context) (events int64, err error) {
	acknowledged, err := readMarker(i.dir, i.instance)
	if err != nil {
		return 0, err
	}
	return i.verify(ctx, acknowledged)
}

func (i *Inspector) verify(ctx context.Context, acknowledged uint64) (events int64, err error) {
	err = i.snapshot(ctx, func() error {
		head, _, err := i.c.integer(ctx, `SELECT max(position) FROM events`)
		if err != nil {
			return err
		}
		events = head
		if uint64(head) < acknowledged {
			return fmt.Errorf("%w: the log ends at position %d, but %d was acknowledged", ErrCorrupt, head, acknowledged)
		}
		if err := structure(ctx, i.c, "PRAGMA integrity_check(1)"); err != nil {
			return err
		}
		if _, err := checkEvents(ctx, i.c, uint64(head)+1, int(head)); err != nil {
			return err
		}
		return i.checkStreams(ctx)
	})
	if err != nil {
		return events, fmt.Errorf("verify event store %s: %w", i.dir, err)
	}
	return events, nil
}

// checkStreams finds streams with gaps in their revisions and tombstones without their event.
func (i *Inspector) checkStreams(ctx context.Context) error {
	wrong := func(what string) func(row []driver.Value) (bool, error) {
		return func(row []driver.Value) (bool, error) {
			return false, fmt.Errorf("%w: stream %q %s", ErrCorrupt, row[0], what)
		}
	}
	err := i.c.query(ctx, `SELECT s.name FROM events e JOIN streams s ON s.id = e.stream WHERE e.revision < ?
		GROUP BY e.stream HAVING min(e.revision) <> 0 OR max(e.revision) <> count(*) - 1 LIMIT 1`, 1,
		wrong("has a gap in its revisions"), int64(TombstoneRevision))
	if err != nil {
		return err
	}
	return i.c.query(ctx, `SELECT s.name FROM streams s
		WHERE s.tombstoned <> EXISTS (SELECT 1 FROM events e WHERE e.stream = s.id AND e.revision = ?) LIMIT 1`, 1,
		wrong("and its tombstone do not agree"), int64(TombstoneRevision))
}

// Backup copies one state of the store into a new directory, while it is being served. The copy is a complete store: it is
// restored by serving it. It appears in whole and verified, or not at all: a store that is damaged, or that has lost what was
// acknowledged, is ErrCorrupt.
func (i *Inspector) Backup(ctx context.Context, dest string) error {
	// Read before the copy is made: meanwhile the log only grows.
	acknowledged, err := readMarker(i.dir, i.instance)
	if err == nil {
		err = i.copyTo(ctx, dest, acknowledged)
	}
	if err != nil {
		return fmt.Errorf("back up event store to %s: %w", dest, err)
	}
	return nil
}

// copyTo gives the copy its name once it is verified. It has no marker of its own: that one tells of a lost write-ahead log, and
// the copy has none.
func (i *Inspector) copyTo(ctx context.Context, dest string, acknowledged uint64) (err error) {
	if err := os.MkdirAll(dest, 0o700); err != nil {
		return err
	}
	if entries, err := os.ReadDir(dest); err != nil || len(entries) > 0 {
		return errors.Join(err, errors.New("the directory is not empty; name one that does not exist yet"))
	}
	partial := filepath.Join(dest, "partial")
	if err := os.Mkdir(partial, 0o700); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(partial)) }()
	if err := i.c.query(ctx, "VACUUM INTO ?", 0, nil, filepath.Join(partial, File)); err != nil {
		return err
	}
	if err := verifyCopy(ctx, partial, acknowledged); err != nil {
		return err
	}
	if err := syncPath(filepath.Join(partial, File)); err != nil {
		return err
	}
	if err := os.Rename(filepath.Join(partial, File), filepath.Join(dest, File)); err != nil {
		return err
	}
	return syncPath(dest)
}

func verifyCopy(ctx context.Context, dir string, acknowledged uint64) error {
	c, err := Inspect(ctx, dir)
	if err != nil {
		return err
	}
	_, err = c.verify(ctx, acknowledged)
	return errors.Join(err, c.Close())
}

func syncPath(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}
