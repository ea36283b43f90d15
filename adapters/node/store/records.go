package store

import (
	"context"
	"database/sql/driver"
)

// Record is a small durable value of the node itself, such as a persistent subscription's settings or checkpoint. Records
// are not events: they are not in the log and keep no history.
type Record struct {
	Bucket, Key string
	// Value nil deletes the record.
	Value []byte
}

// PutRecords writes and deletes records, all or nothing, durable on return.
func (s *Store) PutRecords(ctx context.Context, records ...Record) error {
	size := 0
	for _, r := range records {
		size += len(r.Bucket) + len(r.Key) + len(r.Value)
	}
	_, err := s.write(ctx, size, func(t *transaction) (Result, error) { return Result{}, t.putRecords(records) })
	return err
}

// Records returns at most limit records of a bucket with keys behind after, in the order of keys (bytewise).
func (s *Store) Records(ctx context.Context, bucket, after string, limit int) (records []Record, err error) {
	err = s.read(ctx, func(c *conn) error {
		return c.query(ctx, `SELECT key, value FROM records WHERE bucket = ? AND key > ? ORDER BY key LIMIT ?`, 2, func(row []driver.Value) (bool, error) {
			columns := columns{row: row}
			records = append(records, Record{Bucket: bucket, Key: columns.text(), Value: columns.blob()})
			return true, columns.err
		}, bucket, after, int64(limit))
	})
	return records, err
}
