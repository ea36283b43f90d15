package awssim

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"time"

	_ "github.com/mattn/go-sqlite3" // database/sql driver
)

// Times are unix seconds, except in queues, where they are milliseconds; 0 stands for "not yet".
const schema = `
CREATE TABLE IF NOT EXISTS licenses (
	arn TEXT PRIMARY KEY,
	account_id TEXT NOT NULL,
	customer_identifier TEXT NOT NULL,
	started_at INTEGER NOT NULL,
	ended_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS agreements (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	license_arn TEXT NOT NULL REFERENCES licenses (arn),
	plan TEXT NOT NULL,
	quantity INTEGER NOT NULL,
	status TEXT NOT NULL,
	accepted_at INTEGER NOT NULL,
	starts_at INTEGER NOT NULL,
	ends_at INTEGER NOT NULL,
	term_months INTEGER NOT NULL,
	auto_renew INTEGER NOT NULL,
	intent TEXT NOT NULL,
	previous_id TEXT NOT NULL,
	closed_at INTEGER NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS agreements_license ON agreements (license_arn);
-- Agreements that have ended and whose entitlement is listed nevertheless.
CREATE TABLE IF NOT EXISTS lingering (agreement TEXT PRIMARY KEY) STRICT;
CREATE TABLE IF NOT EXISTS tokens (
	token TEXT PRIMARY KEY,
	license_arn TEXT NOT NULL,
	issued_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS records (
	region TEXT NOT NULL,
	customer TEXT NOT NULL,
	license TEXT NOT NULL,
	dimension TEXT NOT NULL,
	hour INTEGER NOT NULL,
	stamp INTEGER NOT NULL,
	quantity INTEGER NOT NULL,
	id TEXT NOT NULL,
	received_at INTEGER NOT NULL,
	repeats INTEGER NOT NULL DEFAULT 0,
	conflicts INTEGER NOT NULL DEFAULT 0,
	PRIMARY KEY (license, hour, dimension, customer, region)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS events (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL,
	type TEXT NOT NULL,
	agreement TEXT NOT NULL,
	happened_at INTEGER NOT NULL,
	body TEXT NOT NULL,
	held INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS mails (
	seq INTEGER PRIMARY KEY,
	id TEXT NOT NULL UNIQUE,
	sender TEXT NOT NULL,
	subject TEXT NOT NULL,
	text TEXT NOT NULL,
	html TEXT NOT NULL,
	sent_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS mail_recipients (
	mail INTEGER NOT NULL REFERENCES mails (seq) ON DELETE CASCADE,
	address TEXT NOT NULL,
	name TEXT NOT NULL,
	PRIMARY KEY (address, mail)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS queues (
	name TEXT PRIMARY KEY,
	attributes TEXT NOT NULL,
	created_at INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS queue_messages (
	seq INTEGER PRIMARY KEY,
	queue TEXT NOT NULL REFERENCES queues (name) ON DELETE CASCADE,
	id TEXT NOT NULL,
	body TEXT NOT NULL,
	attributes TEXT NOT NULL,
	sent_at INTEGER NOT NULL,
	visible_at INTEGER NOT NULL,
	receives INTEGER NOT NULL DEFAULT 0,
	first_received_at INTEGER NOT NULL DEFAULT 0,
	receipt TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX IF NOT EXISTS queue_messages_due ON queue_messages (queue, visible_at);
CREATE INDEX IF NOT EXISTS queue_messages_id ON queue_messages (queue, id);
`

// File is the name of the database inside the simulator's directory.
const File = "aws.db"

// database holds the state. One connection serves everyone in turn: the simulator is never the bottleneck, and
// transactions need no retries.
type database struct{ sql *sql.DB }

func openDatabase(dir string) (*database, error) {
	dsn := "file::memory:?_foreign_keys=on&_stmt_cache_size=64"
	if dir != "" {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, fmt.Errorf("awssim: create state directory: %w", err)
		}
		path := url.URL{Scheme: "file", OmitHost: true, Path: filepath.ToSlash(filepath.Join(dir, File))}
		// With synchronous=NORMAL a commit outlives a killed process, which is what a simulator must withstand.
		dsn = path.String() + "?_foreign_keys=on&_stmt_cache_size=64&_journal_mode=WAL&_synchronous=NORMAL&_busy_timeout=5000"
	}
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		return nil, fmt.Errorf("awssim: open state: %w", err)
	}
	db.SetMaxOpenConns(1)
	db.SetMaxIdleConns(1)
	db.SetConnMaxLifetime(0)
	if _, err := db.ExecContext(context.Background(), schema); err != nil {
		return nil, errors.Join(fmt.Errorf("awssim: prepare state: %w", err), db.Close())
	}
	return &database{sql: db}, nil
}

func (d *database) close() error {
	if err := d.sql.Close(); err != nil {
		return fmt.Errorf("awssim: close state: %w", err)
	}
	return nil
}

// tx runs fn in one transaction; an error of fn undoes it. A caller who goes away does not: transactions are short, and
// an interrupted connection would take a database in memory with it.
func (d *database) tx(ctx context.Context, fn func(tx *sql.Tx) error) error {
	ctx = context.WithoutCancel(ctx)
	tx, err := d.sql.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("awssim: begin: %w", err)
	}
	if err := fn(tx); err != nil {
		if rollback := tx.Rollback(); rollback != nil && !errors.Is(rollback, sql.ErrTxDone) {
			return errors.Join(err, rollback)
		}
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("awssim: commit: %w", err)
	}
	return nil
}

// scanner is a row of a result, whether single or one of many.
type scanner interface{ Scan(dest ...any) error }

// collect reads all rows of a query with scan.
func collect[T any](ctx context.Context, tx *sql.Tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	list := []T{}
	for rows.Next() {
		item, err := scan(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, item)
	}
	return list, rows.Err()
}

// unixTime reads a stored time; 0 gives the zero time.
func unixTime(seconds int64) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}

// seconds stores a time; the zero time gives 0.
func seconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}
