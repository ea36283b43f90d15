package store

import (
	"context"
	"database/sql/driver"
	"strconv"
	"strings"

	"github.com/google/uuid"
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

// indexColumn returns the column of events and the name that an index stream stands for.
func indexColumn(stream string) (column, name string) {
	if name, ok := strings.CutPrefix(stream, categoryPrefix); ok {
		return "category", name
	}
	return "type", strings.TrimPrefix(stream, typePrefix)
}

// indexState is the state of an index stream; its id is that of the category or type.
func (c *conn) indexState(ctx context.Context, stream string) (StreamState, error) {
	column, name := indexColumn(stream)
	number, found, err := c.integer(ctx, `SELECT id FROM names WHERE name = ?`, name)
	if err != nil || !found {
		return StreamState{Last: -1}, err
	}
	count, _, err := c.integer(ctx, `SELECT count(*) FROM events WHERE `+column+` = ?`, number)
	return StreamState{Last: count - 1, id: number}, err
}

// readIndex reads a page of links. The revision of a link is the number of events of the category or type before it.
func (c *conn) readIndex(ctx context.Context, stream string, s StreamState, direction Direction, from uint64, limit int) (Slice, error) {
	limit = max(1, min(limit, pageEvents))
	if direction == Backwards {
		from = min(from, uint64(s.Last))
		first := from - min(from, uint64(limit-1))
		links, err := c.links(ctx, stream, s.id, first, int(from-first)+1)
		for i, j := 0, len(links)-1; i < j; i, j = i+1, j-1 {
			links[i], links[j] = links[j], links[i]
		}
		if first == 0 {
			return Slice{Events: links, End: true}, err
		}
		return Slice{Events: links, Next: first - 1}, err
	}
	if from > uint64(s.Last) {
		return Slice{Next: from, End: true}, nil
	}
	links, err := c.links(ctx, stream, s.id, from, limit)
	next := from + uint64(len(links))
	return Slice{Events: links, Next: next, End: next > uint64(s.Last)}, err
}

func (c *conn) links(ctx context.Context, stream string, number int64, from uint64, limit int) (links []Event, err error) {
	column, _ := indexColumn(stream)
	// The inner query walks the index alone; only the page's own events are looked up.
	err = c.query(ctx, `SELECT e.position, e.revision, e.created, s.name FROM
		(SELECT position FROM events WHERE `+column+` = ? ORDER BY position LIMIT ? OFFSET ?) p
		CROSS JOIN events e ON e.position = p.position CROSS JOIN streams s ON s.id = e.stream`, 4,
		func(row []driver.Value) (bool, error) {
			columns := columns{row: row}
			link := Event{
				Stream: stream, Revision: from + uint64(len(links)), Position: uint64(columns.integer()),
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
		}, number, int64(limit), int64(from))
	return links, err
}
