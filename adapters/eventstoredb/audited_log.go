package eventstoredb

import (
	"context"
	"fmt"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// AuditedLog is the log as an auditor sees it: nothing of it can be written with.
type AuditedLog struct {
	client *Client
	store  *Store
}

var _ auditing.Log = AuditedLog{}

// NewAuditedLog reads the log through client.
func NewAuditedLog(client *Client) AuditedLog {
	return AuditedLog{client, NewStore(client, domain.NewRegistry())}
}

// Head returns the commit position of the newest event in the log.
func (l AuditedLog) Head(ctx context.Context) (uint64, error) { return l.client.Head(ctx) }

// Follow implements auditing.Log.
func (l AuditedLog) Follow(ctx context.Context, behind uint64, handle func(auditing.Entry) error) error {
	return l.client.Follow(ctx, behind, false, func(raw *esdb.RecordedEvent) error {
		return handle(auditing.Entry{
			Event: transparency.Event{
				Type: raw.EventType, Stream: raw.StreamID, Revision: raw.EventNumber, ID: raw.EventID, Data: raw.Data, Metadata: raw.UserMetadata,
			},
			Position: raw.Position.Commit, RecordedAt: l.client.copied.Load().RecordedAt(raw.StreamID, raw.EventNumber, raw.Position.Commit, raw.CreatedDate, raw.UserMetadata),
		})
	})
}

// Read returns a page of a stream, oldest first.
func (l AuditedLog) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	return l.read(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Forwards, From: esdb.Revision(from)}, limit)
}

// ReadLast returns the newest event of a stream.
func (l AuditedLog) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	page, err := l.read(ctx, stream, esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 1)
	if err != nil || len(page) == 0 {
		return domain.Recorded{}, false, err
	}
	return page[0], true, nil
}

// read is that of the store, but for events that cannot be decoded: they come without what they say.
func (l AuditedLog) read(ctx context.Context, stream string, options esdb.ReadStreamOptions, limit int) ([]domain.Recorded, error) {
	raw, err := l.store.readRaw(ctx, stream, options, limit)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", stream, lacks("read "+stream, err))
	}
	page := make([]domain.Recorded, len(raw))
	for i, event := range raw {
		page[i], _ = l.store.codec.decode(event)
	}
	return page, nil
}

// NewestID returns the id and the position of the newest event in the log; false when it is empty.
func (l AuditedLog) NewestID(ctx context.Context) (id uuid.UUID, position uint64, found bool, err error) {
	newest, err := call(ctx, l.client, newestEvent)
	if err != nil || newest == nil {
		return uuid.Nil, 0, false, lacks(readAll, err)
	}
	return newest.EventID, newest.Position.Commit, true, nil
}
