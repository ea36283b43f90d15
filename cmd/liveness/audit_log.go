package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// openToAudit opens a log for reading alone. That of this machine's node is read from its files, whether the node runs or not:
// also one that is damaged, and that no node would serve.
func (f LogFlags) openToAudit(ctx context.Context, app *App) (log auditing.Log, stop func(), err error) {
	if f.EventStore != "" {
		client, stop, err := connectLog(ctx, app, f.EventStore)
		if err != nil {
			return nil, nil, err
		}
		return eventstoredb.NewAuditedLog(client), stop, nil
	}
	files, noFiles := openNodeFiles(ctx, eventsDir(f.Data))
	client, disconnect, err := connectLog(ctx, app, "esdb://"+cmp.Or(f.address, defaultNodeAddr)+"?tls=false")
	switch {
	case err != nil && errors.Is(noFiles, eventstoredb.ErrCopyIncomplete):
		return nil, nil, fmt.Errorf("%s: %w", f.Data, noFiles)
	case err != nil && noFiles != nil:
		return nil, nil, fmt.Errorf("no event store answers at %s and there is no data in %s. Start `liveness dev` first, or give --eventstore or --data (%w)",
			cmp.Or(f.address, defaultNodeAddr), f.Data, errors.Join(err, noFiles))
	case err != nil:
		return files, files.close, nil
	case noFiles != nil:
		return eventstoredb.NewAuditedLog(client), disconnect, nil
	}
	served := eventstoredb.NewAuditedLog(client)
	if same, err := files.same(ctx, served); same && err == nil {
		disconnect()
		return files, files.close, nil
	}
	files.close()
	return served, disconnect, nil
}

// nodeFiles is the log in the files of a node, read beside the node that may serve them.
type nodeFiles struct {
	dir      string
	registry *domain.Registry
	copied   *eventstoredb.Copied

	mu      sync.Mutex
	streams *store.Inspector // one goroutine uses it at a time
}

func openNodeFiles(ctx context.Context, dir string) (*nodeFiles, error) {
	inspector, err := store.Inspect(ctx, dir)
	if err != nil {
		return nil, err
	}
	f := &nodeFiles{dir: dir, registry: domain.NewRegistry(), streams: inspector}
	if err := f.readCopied(ctx); err != nil {
		return nil, errors.Join(err, inspector.Close())
	}
	return f, nil
}

func (f *nodeFiles) close() { _ = f.streams.Close() }

// readCopied reads what the log says of having been copied from another, and refuses an incomplete copy.
func (f *nodeFiles) readCopied(ctx context.Context) error {
	var notes []eventstoredb.RawCopyEvent
	for from := uint64(0); ; {
		page, err := f.streams.Stream(ctx, eventstoredb.CopyStream, from, copyNotesPage)
		if err != nil {
			return err
		}
		for _, e := range page {
			notes = append(notes, eventstoredb.RawCopyEvent{Revision: e.Revision, Type: e.Type, Data: e.Data})
			from = e.Revision + 1
		}
		if len(page) < copyNotesPage {
			break
		}
	}
	copied, err := eventstoredb.ReadCopiedFrom(notes)
	if err == nil && copied.Begun {
		err = eventstoredb.ErrCopyIncomplete
	}
	f.copied = copied
	return err
}

// copyNotesPage is how many of them are read at once.
const copyNotesPage = 500

// same returns whether a served log is the one in the files.
func (f *nodeFiles) same(ctx context.Context, served eventstoredb.AuditedLog) (bool, error) {
	newest, position, found, err := served.NewestID(ctx)
	if err != nil || !found {
		return false, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	id, found, err := f.streams.ID(ctx, position)
	return found && id == newest, err
}

// Head implements auditing.Log.
func (f *nodeFiles) Head(ctx context.Context) (uint64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.streams.Head(ctx)
}

// Follow implements auditing.Log.
func (f *nodeFiles) Follow(ctx context.Context, behind uint64, handle func(auditing.Entry) error) error {
	inspector, err := store.Inspect(ctx, f.dir)
	if err != nil {
		return err
	}
	defer func() { _ = inspector.Close() }()
	var before error // what is wrong with events of the store's own, told with the next one
	err = inspector.Log(ctx, behind, func(e store.Event, damage error) error {
		damage = errors.Join(before, damage)
		if before = nil; strings.HasPrefix(e.Type, "$") || e.Stream == eventstoredb.CopyStream {
			before = damage
			return nil
		}
		entry := f.entry(e)
		entry.Damage = damage
		return handle(entry)
	})
	if err == nil && before != nil {
		err = before
	}
	if errors.Is(err, store.ErrCorrupt) {
		err = fmt.Errorf("%w: %w", auditing.ErrDamaged, err)
	}
	return err
}

func (f *nodeFiles) entry(e store.Event) auditing.Entry {
	return auditing.Entry{
		Event:    transparency.Event{Type: e.Type, Stream: e.Stream, Revision: e.Revision, ID: e.ID, Data: e.Data, Metadata: e.Metadata},
		Position: e.Position, RecordedAt: f.copied.RecordedAt(e.Stream, e.Revision, e.Position, e.CreatedAt(), e.Metadata),
	}
}

// Read implements auditing.Streams.
func (f *nodeFiles) Read(ctx context.Context, stream string, from uint64, limit int) ([]domain.Recorded, error) {
	f.mu.Lock()
	page, err := f.streams.Stream(ctx, stream, from, limit)
	f.mu.Unlock()
	if err != nil {
		return nil, err
	}
	return f.decode(page)
}

// ReadLast implements auditing.Streams.
func (f *nodeFiles) ReadLast(ctx context.Context, stream string) (domain.Recorded, bool, error) {
	f.mu.Lock()
	last, err := f.streams.Last(ctx, stream)
	f.mu.Unlock()
	if err != nil || len(last) == 0 {
		return domain.Recorded{}, false, err
	}
	decoded, err := f.decode(last)
	return decoded[0], err == nil, err
}

// decode returns the events of a page. One that cannot be read stays without what it says; the replay of the log tells of it.
func (f *nodeFiles) decode(page []store.Event) ([]domain.Recorded, error) {
	recorded := make([]domain.Recorded, len(page))
	for i, e := range page {
		recorded[i], _ = auditing.Decode(f.registry, f.entry(e))
	}
	return recorded, nil
}
