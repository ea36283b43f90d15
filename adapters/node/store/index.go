package store

import (
	"context"
	"database/sql/driver"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/google/uuid"
	lru "github.com/hashicorp/golang-lru/v2"
)

// The store itself keeps two families of system streams, whose events are links to the events of a category (streams named
// "<category>-…") or of a type. They are read from indexes of the log: nothing is written twice, they are never behind, and
// their links are not in $all.
const (
	categoryPrefix = "$ce-"
	typePrefix     = "$et-"
)

func categoryStream(name string) string { return categoryPrefix + name }
func typeStream(name string) string     { return typePrefix + name }

func isIndexStream(stream string) bool {
	return strings.HasPrefix(stream, categoryPrefix) || strings.HasPrefix(stream, typePrefix)
}

// isIndex returns whether a stream is read from an index of the log.
func (o *Options) isIndex(stream string) bool { return !o.LinksInLog && isIndexStream(stream) }

// indexColumn returns the column of events and the name that an index stream stands for.
func indexColumn(stream string) (column, name string) {
	if name, ok := strings.CutPrefix(stream, categoryPrefix); ok {
		return "category", name
	}
	return "type", strings.TrimPrefix(stream, typePrefix)
}

// cachedMarks is how many places in index streams are remembered.
const cachedMarks = 1 << 12

// mark is a place in an index stream: the position in the log of one of its revisions.
type mark struct {
	stream   string
	revision int64
}

// marks remembers places in index streams, so that following one does not count it from its beginning for every page.
type marks struct {
	positions *lru.Cache[mark, int64]
	newest    *lru.Cache[string, newestMark] // by stream
}

// newestMark is how many events a stream had, and the position of the last of them.
type newestMark struct {
	count, position int64
}

func newMarks() (*marks, error) {
	positions, err := lru.New[mark, int64](cachedMarks)
	if err != nil {
		return nil, fmt.Errorf("make cache of marks: %w", err)
	}
	newest, err := lru.New[string, newestMark](cachedMarks)
	if err != nil {
		return nil, fmt.Errorf("make cache of marks: %w", err)
	}
	return &marks{positions: positions, newest: newest}, nil
}

// state is the state of an index stream; its id is that of the category or type.
func (m *marks) state(ctx context.Context, c *conn, stream string) (StreamState, error) {
	column, name := indexColumn(stream)
	number, found, err := c.integer(ctx, `SELECT id FROM names WHERE name = ?`, name)
	if err != nil || !found {
		return StreamState{Last: -1}, err
	}
	known, _ := m.newest.Get(stream)
	err = c.query(ctx, `SELECT count(*), ifnull(max(position), 0) FROM events WHERE `+column+` = ? AND position > ?`, 2,
		func(row []driver.Value) (bool, error) {
			columns := columns{row: row}
			if more := columns.integer(); more > 0 {
				known = newestMark{count: known.count + more, position: columns.integer()}
			}
			return false, columns.err
		}, number, known.position)
	if err != nil {
		return StreamState{}, err
	}
	m.newest.Add(stream, known)
	return StreamState{Last: known.count - 1, id: number}, nil
}

// read reads a page of links. The revision of a link is the number of events of the category or type before it.
func (m *marks) read(ctx context.Context, c *conn, stream string, s StreamState, direction Direction, from uint64, limit int) (Slice, error) {
	limit = max(1, min(limit, pageEvents))
	if direction == Backwards {
		from = min(from, uint64(s.Last))
		first := from - min(from, uint64(limit-1))
		links, err := m.links(ctx, c, stream, s.id, int64(first), int(from-first)+1)
		slices.Reverse(links)
		if first == 0 {
			return Slice{Events: links, End: true}, err
		}
		return Slice{Events: links, Next: first - 1}, err
	}
	if from > uint64(s.Last) {
		return Slice{Next: from, End: true}, nil
	}
	links, err := m.links(ctx, c, stream, s.id, int64(from), limit)
	next := from + uint64(len(links))
	return Slice{Events: links, Next: next, End: next > uint64(s.Last)}, err
}

func (m *marks) links(ctx context.Context, c *conn, stream string, number, from int64, limit int) (links []Event, err error) {
	column, _ := indexColumn(stream)
	behind, skip := int64(0), from
	if position, ok := m.positions.Get(mark{stream, from - 1}); ok {
		behind, skip = position, 0
	}
	// The inner query walks the index alone; only the page's own events are looked up.
	err = c.query(ctx, `SELECT e.position, e.revision, e.created, s.name FROM
		(SELECT position FROM events WHERE `+column+` = ? AND position > ? ORDER BY position LIMIT ? OFFSET ?) p
		CROSS JOIN events e ON e.position = p.position CROSS JOIN streams s ON s.id = e.stream`, 4,
		func(row []driver.Value) (bool, error) {
			columns := columns{row: row}
			link := Event{
				Stream: stream, Revision: uint64(from) + uint64(len(links)), Position: uint64(columns.integer()),
				Type: LinkType, ContentType: ContentTypeBinary, Metadata: []byte{},
			}
			target := strconv.AppendInt(nil, columns.integer(), 10)
			link.Created = columns.integer()
			link.Data = append(append(target, '@'), columns.text()...)
			if columns.err != nil {
				return false, columns.err
			}
			// A link has an id of its own, the same at every read.
			link.ID = uuid.NewSHA1(uuid.NameSpaceOID, append(strconv.AppendUint(nil, link.Position, 10), stream...))
			links = append(links, link)
			return true, nil
		}, number, behind, int64(limit), skip)
	if n := len(links); n > 0 {
		m.positions.Add(mark{stream, int64(links[n-1].Revision)}, int64(links[n-1].Position))
	}
	return links, err
}
