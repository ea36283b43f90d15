package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/store"
)

const (
	// statisticsInterval is how often a real server writes its statistics.
	statisticsInterval = 30 * time.Second
	// linkPage is how many events are linked at a time.
	linkPage = 256
	// linkRetry is how long linking rests after the store refused it something.
	linkRetry = time.Second
	// linkBucket has the position up to which the log is linked.
	linkBucket = "standard-projections"
)

// systemEvents writes into the log what a real server writes there by itself: links to every event in the streams of its
// category and its type, as the standard projections do, and statistics. So the log hardly ever ends with an event of a client.
type systemEvents struct {
	store  *store.Store
	logger *slog.Logger
	source string // the node's address

	cancel  context.CancelFunc
	running sync.WaitGroup
}

// startSystemEvents runs until close.
func startSystemEvents(s *store.Store, logger *slog.Logger, source string) *systemEvents {
	ctx, cancel := context.WithCancel(context.Background())
	e := &systemEvents{store: s, logger: logger, source: source, cancel: cancel}
	e.running.Go(func() { e.writeLinks(ctx) })
	e.running.Go(func() { e.writeStatistics(ctx) })
	return e
}

func (e *systemEvents) close() {
	if e != nil {
		e.cancel()
		e.running.Wait()
	}
}

// writeStatistics writes the first statistics at once.
func (e *systemEvents) writeStatistics(ctx context.Context) {
	ticker := time.NewTicker(statisticsInterval)
	defer ticker.Stop()
	for {
		_, err := e.store.Append(ctx, store.Write{Stream: "$stats-" + e.source, Expected: store.ExpectAny, Events: []store.NewEvent{{
			ID: uuid.New(), Type: "$statsCollected", ContentType: store.ContentTypeJSON,
			Data: fmt.Appendf(nil, `{"es-writer-lastFlushedPosition":%d}`, e.store.Head()),
		}}})
		e.report(ctx, "write statistics", err)
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

// writeLinks follows the log from where it was linked to.
func (e *systemEvents) writeLinks(ctx context.Context) {
	next, err := e.linked(ctx)
	for {
		if err == nil {
			next, err = e.linkPage(ctx, next)
		}
		if err == nil {
			err = e.store.WaitBeyond(ctx, next-min(next, 1))
		}
		if err != nil {
			e.report(ctx, "link events", err)
			select {
			case <-time.After(linkRetry):
				next, err = e.linked(ctx)
			case <-ctx.Done():
				return
			}
		}
	}
}

// linked returns the position from which on the log is not linked yet.
func (e *systemEvents) linked(ctx context.Context) (uint64, error) {
	records, err := e.store.Records(ctx, linkBucket, "", 1)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	next, err := strconv.ParseUint(string(records[0].Value), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("read the place of the links: %w", err)
	}
	return next, nil
}

// linkPage links a page of the log and returns where the following one begins.
func (e *systemEvents) linkPage(ctx context.Context, from uint64) (uint64, error) {
	page, err := e.store.ReadAll(ctx, store.Forwards, from, linkPage)
	if err != nil {
		return from, err
	}
	var pending sync.WaitGroup
	var failed error
	var mu sync.Mutex
	for i := range page.Events {
		for _, link := range linksTo(&page.Events[i]) {
			pending.Add(1)
			// Each is an append of its own, so that one that was written before a crash is recognized whatever is around it.
			err := e.store.AppendAsync(ctx, link, func(_ store.Result, err error) {
				defer pending.Done()
				mu.Lock()
				defer mu.Unlock()
				failed = errors.Join(failed, err)
			})
			if err != nil {
				pending.Done()
				pending.Wait()
				return from, err
			}
		}
	}
	pending.Wait()
	if failed != nil || page.Next == from {
		return from, failed
	}
	record := store.Record{Bucket: linkBucket, Key: "position", Value: strconv.AppendUint(nil, page.Next, 10)}
	return page.Next, e.store.PutRecords(ctx, record)
}

// linksTo returns the links to an event: by category for events of clients, by type for all but links.
func linksTo(event *store.Event) []store.Write {
	if event.Type == store.LinkType {
		return nil
	}
	streams := []string{"$et-" + event.Type}
	if category, _, found := strings.Cut(event.Stream, "-"); found && category != "" && !strings.HasPrefix(category, "$") {
		streams = append(streams, "$ce-"+category)
	}
	writes := make([]store.Write, 0, len(streams))
	for _, stream := range streams {
		writes = append(writes, store.Write{Stream: stream, Expected: store.ExpectAny, Events: []store.NewEvent{{
			ID:   uuid.NewSHA1(uuid.NameSpaceOID, append(strconv.AppendUint(nil, event.Position, 10), stream...)),
			Type: store.LinkType, ContentType: store.ContentTypeBinary,
			Data: append(strconv.AppendUint(nil, event.Revision, 10), "@"+event.Stream...),
		}}})
	}
	return writes
}

func (e *systemEvents) report(ctx context.Context, doing string, err error) {
	if err != nil && ctx.Err() == nil && !errors.Is(err, store.ErrClosed) {
		e.logger.Warn("event store node cannot "+doing, "error", err)
	}
}
