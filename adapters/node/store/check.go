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

// checkFiles examines the files before the database opens them, as opening changes them.
func checkFiles(dir string) error {
	size, err := fileSize(filepath.Join(dir, File))
	if err != nil {
		return err
	}
	marked, err := fileSize(filepath.Join(dir, markerFile))
	if err != nil {
		return err
	}
	log, err := fileSize(filepath.Join(dir, File+"-wal"))
	if err != nil {
		return err
	}
	if size == 0 {
		if marked > 0 {
			return fmt.Errorf("%w: %s is missing or empty although events were acknowledged; restore a backup of it", ErrCorrupt, File)
		}
		return nil
	}
	if log > 0 {
		return nil // after a crash the file may rightly be short of what its log still holds
	}
	file, err := os.Open(filepath.Join(dir, File))
	if err != nil {
		return fmt.Errorf("open %s: %w", File, err)
	}
	defer file.Close()
	var header [100]byte
	if _, err := io.ReadFull(file, header[:]); err != nil {
		return fmt.Errorf("%w: %s is cut off inside its header", ErrCorrupt, File)
	}
	pageSize, pages := int64(binary.BigEndian.Uint16(header[16:])), int64(binary.BigEndian.Uint32(header[28:]))
	if pageSize == 1 {
		pageSize = 1 << 16
	}
	if size < pageSize*pages {
		return fmt.Errorf("%w: %s has %d bytes, its header says %d; restore a backup of it", ErrCorrupt, File, size, pageSize*pages)
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
		return 0, 0, fmt.Errorf("%w: the log ends at position %d, but %d was acknowledged; restore a backup, or, when an older one was restored on purpose, remove the file %q",
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
