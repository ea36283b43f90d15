package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net/url"
	"path/filepath"
	"syscall"

	sqlite3 "github.com/mattn/go-sqlite3"
)

// File is the name of the database inside the store's directory, logFile that of its write-ahead log.
const (
	File    = "events.db"
	logFile = File + "-wal"
)

// formatVersion is the database's user_version; applicationID marks the file as an event store of ours.
const (
	formatVersion = 1
	applicationID = 0x4c564e53
)

// schema holds the log. The small columns of an event come first, so that reading them does not walk the pages of large data.
// Categories and types are numbers for short index entries: events_category and events_type are the system streams $ce- and
// $et-.
const schema = `
CREATE TABLE store (
	instance BLOB NOT NULL
) STRICT;
CREATE TABLE streams (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE,
	truncate_before INTEGER NOT NULL DEFAULT 0,
	max_count INTEGER NOT NULL DEFAULT 0,
	max_age INTEGER NOT NULL DEFAULT 0,
	tombstoned INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE TABLE names (
	id INTEGER PRIMARY KEY,
	name TEXT NOT NULL UNIQUE
) STRICT;
CREATE TABLE events (
	position INTEGER PRIMARY KEY,
	stream INTEGER NOT NULL,
	revision INTEGER NOT NULL,
	type INTEGER NOT NULL,
	category INTEGER,
	json INTEGER NOT NULL,
	created INTEGER NOT NULL,
	checksum INTEGER NOT NULL,
	id BLOB NOT NULL,
	metadata BLOB NOT NULL,
	data BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX events_stream ON events (stream, revision);
CREATE INDEX events_type ON events (type);
CREATE INDEX events_category ON events (category) WHERE category IS NOT NULL;
CREATE TABLE records (
	bucket TEXT NOT NULL,
	key TEXT NOT NULL,
	value BLOB NOT NULL,
	PRIMARY KEY (bucket, key)
) STRICT, WITHOUT ROWID;
`

// access is how a connection is opened.
type access string

const (
	readWrite access = "rwc"
	// readOnly connections leave the database and its write-ahead log as they are: the last one that closes does not fold the
	// log into the database either. They make the log's index anew where it is missing.
	readOnly access = "ro"
)

// conn is one database connection with its prepared statements. One goroutine uses it at a time.
//
// The driver is used without database/sql: its rows hand over values of their own, so that a page of events is read
// without copying every body a second time.
type conn struct {
	raw        *sqlite3.SQLiteConn
	statements map[string]driver.StmtQueryContext
	args       []driver.NamedValue
	row        []driver.Value
}

func openConn(dir string, mode access) (*conn, error) {
	// synchronous=FULL makes a commit in WAL mode reach the disk before it becomes visible; the driver's own default does not.
	path := (&url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(filepath.Join(dir, File))}).String()
	dsn := path + "?mode=" + string(mode) + "&_mutex=no&_busy_timeout=10000&_synchronous=FULL"
	opened, err := (&sqlite3.SQLiteDriver{}).Open(dsn)
	if err != nil {
		return nil, databaseError("open database", err)
	}
	raw, ok := opened.(*sqlite3.SQLiteConn)
	if !ok {
		return nil, fmt.Errorf("open database: unexpected driver connection %T", opened)
	}
	c := &conn{raw: raw, statements: make(map[string]driver.StmtQueryContext)}
	if err := c.script(context.Background(), "PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY; PRAGMA wal_autocheckpoint=4000; PRAGMA journal_size_limit=67108864"); err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// script runs statements without arguments and without rows; it is interrupted with the context.
func (c *conn) script(ctx context.Context, sql string) error {
	if _, err := c.raw.ExecContext(ctx, sql, nil); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return databaseError("execute", err)
	}
	return nil
}

// query runs a prepared statement and hands over each row of width values until each returns false or fails. The row's
// slice is used again for the next one, its values are not. A statement without rows runs to its end with width 0.
func (c *conn) query(ctx context.Context, sql string, width int, each func(row []driver.Value) (bool, error), args ...driver.Value) (err error) {
	statement, ok := c.statements[sql]
	if !ok {
		prepared, err := c.raw.Prepare(sql)
		if err != nil {
			return databaseError("prepare", err)
		}
		if statement, ok = prepared.(driver.StmtQueryContext); !ok {
			return fmt.Errorf("prepare: unexpected driver statement %T", prepared)
		}
		c.statements[sql] = statement
	}
	c.args = c.args[:0]
	for i, arg := range args {
		c.args = append(c.args, driver.NamedValue{Ordinal: i + 1, Value: arg})
	}
	rows, err := statement.QueryContext(ctx, c.args)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return databaseError("query", err)
	}
	defer func() {
		if closeErr := rows.Close(); closeErr != nil && err == nil {
			err = databaseError("query", closeErr)
		}
	}()
	if cap(c.row) < width {
		c.row = make([]driver.Value, width)
	}
	for row := c.row[:width]; ; {
		switch err := rows.Next(row); {
		case errors.Is(err, io.EOF):
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return databaseError("query", err)
		case width == 0:
			continue
		}
		if more, err := each(row); err != nil || !more {
			return err
		}
	}
}

// exec runs a prepared statement that returns no rows.
func (c *conn) exec(sql string, args ...driver.Value) error {
	return c.query(context.Background(), sql, 0, nil, args...)
}

// integer returns the first column of the first row; false without one or when it is NULL.
func (c *conn) integer(ctx context.Context, sql string, args ...driver.Value) (value int64, found bool, err error) {
	err = c.query(ctx, sql, 1, func(row []driver.Value) (bool, error) {
		value, found = row[0].(int64)
		return false, nil
	}, args...)
	return value, found, err
}

func (c *conn) close() error {
	var errs []error
	for _, statement := range c.statements {
		if closer, ok := statement.(io.Closer); ok {
			errs = append(errs, closer.Close())
		}
	}
	return errors.Join(append(errs, c.raw.Close())...)
}

// storageError is a failure of the database itself, as opposed to an answer about a stream: whatever the transaction did is
// undone.
type storageError struct {
	doing string
	err   error
}

func (e *storageError) Error() string { return "event store: " + e.doing + ": " + e.err.Error() }

func (e *storageError) Unwrap() error { return e.err }

func databaseError(doing string, err error) error {
	if cause, ok := errors.AsType[sqlite3.Error](err); ok {
		switch {
		case cause.Code == sqlite3.ErrFull, errors.Is(cause.SystemErrno, syscall.ENOSPC), errors.Is(cause.SystemErrno, syscall.EDQUOT):
			err = fmt.Errorf("%w: %w", ErrFull, err)
		case cause.Code == sqlite3.ErrCorrupt, cause.Code == sqlite3.ErrNotADB, cause.ExtendedCode == sqlite3.ErrIoErrShortRead:
			err = fmt.Errorf("%w: %w", ErrCorrupt, err)
		}
	}
	return &storageError{doing: doing, err: err}
}
