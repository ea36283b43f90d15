package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/google/uuid"
	"github.com/hashicorp/golang-lru/v2/simplelru"
)

const (
	cachedHeads = 1 << 16
	cachedNames = 1 << 12
)

// head is what the writer knows of a stream.
type head struct {
	id         int64 // 0 = the stream has no row yet
	name       string
	last       int64 // last revision ever given, -1 without events
	category   driver.Value
	tombstoned bool
	retention
}

// heads caches the writer's view of streams and of the numbers of names. After a rollback it must be emptied.
type heads struct {
	c       *conn
	streams *simplelru.LRU[string, *head]
	names   *simplelru.LRU[string, int64]
	recent  *recent
}

func newHeads(ctx context.Context, c *conn) (*heads, error) {
	streams, err := simplelru.NewLRU[string, *head](cachedHeads, nil)
	if err != nil {
		return nil, fmt.Errorf("make cache of streams: %w", err)
	}
	names, err := simplelru.NewLRU[string, int64](cachedNames, nil)
	if err != nil {
		return nil, fmt.Errorf("make cache of names: %w", err)
	}
	h := &heads{c: c, streams: streams, names: names, recent: newRecent()}
	if err := h.recall(ctx); err != nil {
		return nil, err
	}
	return h, nil
}

// forget empties what a transaction that was undone may have left. Recent events are only ever a hint.
func (h *heads) forget() {
	h.streams.Purge()
	h.names.Purge()
}

// recall fills the cache of recent events from the log.
func (h *heads) recall(ctx context.Context) error {
	return h.c.query(ctx, `SELECT stream, revision, id FROM (SELECT position, stream, revision, id FROM events ORDER BY position DESC LIMIT ?) ORDER BY position`, 3,
		func(row []driver.Value) (bool, error) {
			columns := columns{row: row}
			stream, revision, id := columns.integer(), columns.integer(), columns.blob()
			if columns.err == nil && len(id) == len(uuid.UUID{}) {
				h.recent.add(eventKey{stream, uuid.UUID(id)}, revision)
			}
			return true, columns.err
		}, int64(recentEvents))
}

// stream returns the head of a stream, also of one that does not exist. The pointer is good until the next call of stream
// by any name may have evicted it: within one write a few streams are touched, far fewer than are cached.
func (h *heads) stream(name string) (*head, error) {
	if cached, ok := h.streams.Get(name); ok {
		return cached, nil
	}
	found, err := loadHead(context.Background(), h.c, name)
	if err != nil {
		return nil, err
	}
	h.streams.Add(name, found)
	return found, nil
}

func loadHead(ctx context.Context, c *conn, name string) (*head, error) {
	found := &head{name: name, last: -1}
	err := c.query(ctx, `SELECT id, truncate_before, max_count, max_age, tombstoned FROM streams WHERE name = ?`, 5,
		func(row []driver.Value) (bool, error) {
			columns := columns{row: row}
			found.id = columns.integer()
			found.truncateBefore = uint64(columns.integer())
			found.maxCount = uint64(columns.integer())
			found.maxAge = columns.integer()
			found.tombstoned = columns.integer() != 0
			return false, columns.err
		}, name)
	if err != nil || found.id == 0 {
		return found, err
	}
	last, ok, err := c.integer(ctx, `SELECT max(revision) FROM events WHERE stream = ? AND revision < ?`, found.id, int64(TombstoneRevision))
	if ok {
		found.last = last
	}
	return found, err
}

// materialize gives the stream a row.
func (h *heads) materialize(stream *head) error {
	if stream.id == 0 {
		id, _, err := h.c.integer(context.Background(), `INSERT INTO streams (name) VALUES (?) RETURNING id`, stream.name)
		if err != nil {
			return err
		}
		stream.id = id
	}
	if name := category(stream.name); name != "" && stream.category == nil {
		number, err := h.number(name)
		if err != nil {
			return err
		}
		stream.category = number
	}
	return nil
}

// number returns the number of a category or event type, giving it one at its first use.
func (h *heads) number(name string) (int64, error) {
	if cached, ok := h.names.Get(name); ok {
		return cached, nil
	}
	number, found, err := h.c.integer(context.Background(), `SELECT id FROM names WHERE name = ?`, name)
	if err == nil && !found {
		number, _, err = h.c.integer(context.Background(), `INSERT INTO names (name) VALUES (?) RETURNING id`, name)
	}
	if err != nil {
		return 0, err
	}
	h.names.Add(name, number)
	return number, nil
}

// retain makes what readers see of a stream durable.
func (h *heads) retain(stream *head, r retention) error {
	if err := h.materialize(stream); err != nil {
		return err
	}
	stream.retention = r
	return h.c.exec(`UPDATE streams SET truncate_before = ?, max_count = ?, max_age = ? WHERE id = ?`,
		int64(r.truncateBefore), int64(r.maxCount), r.maxAge, stream.id)
}

// category is the part of a stream's name before its first hyphen; system streams have none.
func category(stream string) string {
	if strings.HasPrefix(stream, "$") {
		return ""
	}
	name, _, found := strings.Cut(stream, "-")
	if !found {
		return ""
	}
	return name
}

// columns reads the values of a row one after the other and remembers the first that has another type than expected, as
// only a damaged database has.
type columns struct {
	row []driver.Value
	err error
}

func next[T any](c *columns) (value T) {
	value, ok := c.row[0].(T)
	if !ok && c.err == nil {
		c.err = &storageError{doing: "read", err: fmt.Errorf("%w: a column holds %T instead of %T", ErrCorrupt, c.row[0], value)}
	}
	c.row = c.row[1:]
	return value
}

func (c *columns) integer() int64 { return next[int64](c) }
func (c *columns) text() string   { return next[string](c) }
func (c *columns) blob() []byte   { return next[[]byte](c) }
