package store

import (
	"context"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"
)

// newestChecked is how many of the newest events Open always examines.
const newestChecked = 1000

// files are what there is of a store before the database opens it: opening changes them.
type files struct {
	database, log int64 // their sizes
	header        [100]byte
}

// findFiles refuses a log beside a database that it is not of: opening would delete it, or write its pages over the database.
func findFiles(dir string) (f files, err error) {
	// The log first: a node that opens a backup at this moment has it write ahead before anything is in the log.
	if f.log, err = fileSize(filepath.Join(dir, logFile)); err != nil {
		return f, err
	}
	if f.database, err = fileSize(filepath.Join(dir, File)); err != nil {
		return f, err
	}
	if f.database == 0 {
		if f.log > 0 {
			err = fmt.Errorf("%w: %s is missing or empty beside %s; restore a backup into an empty directory", ErrCorrupt, File, logFile)
		}
		return f, err
	}
	file, err := os.Open(filepath.Join(dir, File))
	if err != nil {
		return f, fmt.Errorf("open %s: %w", File, err)
	}
	defer file.Close()
	if _, err := io.ReadFull(file, f.header[:]); err != nil {
		return f, fmt.Errorf("%w: %s is cut off inside its header", ErrCorrupt, File)
	}
	// The versions that may write and read the file are 2 once it writes ahead.
	if f.log > 0 && f.header[18] == 1 && f.header[19] == 1 {
		return f, fmt.Errorf("%w: %s is a backup, and %s beside it is the log of the store that was here before; move %s, %s and %s away, or restore the backup into an empty directory",
			ErrCorrupt, File, logFile, logFile, File+"-shm", markerFile)
	}
	return f, nil
}

// check finds a database that is cut off. Beside a log it may rightly be short, after a crash, of what the log still holds.
func (f *files) check() error {
	pageSize, pages := int64(binary.BigEndian.Uint16(f.header[16:])), int64(binary.BigEndian.Uint32(f.header[28:]))
	if pageSize == 1 {
		pageSize = 1 << 16
	}
	if f.log == 0 && f.database < pageSize*pages {
		return fmt.Errorf("%w: %s has %d bytes, its header says %d; restore a backup into an empty directory", ErrCorrupt, File, f.database, pageSize*pages)
	}
	return nil
}

func fileSize(path string) (int64, error) {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("examine event store: %w", err)
	}
	return info.Size(), nil
}

func readInstance(ctx context.Context, c *conn) (instance uuid.UUID, err error) {
	err = c.query(ctx, `SELECT instance FROM store`, 1, func(row []driver.Value) (bool, error) {
		columns := columns{row: row}
		id := columns.blob()
		if columns.err == nil && len(id) != len(instance) {
			return false, fmt.Errorf("%w: the store's id is unreadable", ErrCorrupt)
		}
		copy(instance[:], id)
		return false, columns.err
	})
	return instance, err
}

// checkLog decides whether the log may be served and returns its last position and creation time. Always: everything that
// was acknowledged is there, and the newest events are whole. Within the time allowed: the structure of the database and
// the older events, newest first.
func checkLog(ctx context.Context, c *conn, dir string, instance uuid.UUID, options Options) (head uint64, created int64, err error) {
	acknowledged, err := readMarker(dir, instance)
	if err != nil {
		return 0, 0, err
	}
	newest, err := c.readAll(ctx, Backwards, End, 1)
	if err != nil {
		return 0, 0, err
	}
	if len(newest.Events) > 0 {
		head, created = newest.Events[0].Position, newest.Events[0].Created
	}
	if head < acknowledged {
		return 0, 0, fmt.Errorf("%w: the log ends at position %d, but %d was acknowledged; restore a backup into an empty directory, or, when an older one was restored here on purpose, remove the file %q",
			ErrCorrupt, head, acknowledged, filepath.Join(dir, markerFile))
	}
	from, err := checkEvents(ctx, c, head+1, newestChecked)
	if err != nil {
		return 0, 0, err
	}
	bounded, cancel := context.WithTimeout(ctx, options.OpenCheck)
	defer cancel()
	begin := time.Now()
	if err = quickCheck(bounded, c); err == nil {
		_, err = checkEvents(bounded, c, from, int(from))
	}
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		options.Logger.Warn("event store: too large to be checked in full at the start; `liveness store verify` does", "after", time.Since(begin).Round(time.Millisecond))
		err = nil
	}
	return head, created, err
}

// checkEvents reads count events backwards from before a position: checksums are right and no position is missing.
func checkEvents(ctx context.Context, c *conn, before uint64, count int) (uint64, error) {
	for count > 0 && before > 1 {
		page, err := c.readAll(ctx, Backwards, before, count)
		if err != nil {
			return 0, err
		}
		for i := range page.Events {
			if before--; page.Events[i].Position != before {
				return 0, fmt.Errorf("%w: the event at position %d is missing", ErrCorrupt, before)
			}
		}
		if len(page.Events) == 0 {
			return 0, fmt.Errorf("%w: the event at position %d is missing", ErrCorrupt, before-1)
		}
		count -= len(page.Events)
	}
	return before, nil
}

func quickCheck(ctx context.Context, c *conn) error {
	return structure(ctx, c, "PRAGMA quick_check(1)")
}

// structure runs one of the database's own checks.
func structure(ctx context.Context, c *conn, check string) error {
	return c.query(ctx, check, 1, func(row []driver.Value) (bool, error) {
		if finding, _ := row[0].(string); finding != "ok" {
			return false, fmt.Errorf("%w: %s", ErrCorrupt, finding)
		}
		return true, nil
	})
}
