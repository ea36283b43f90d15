package persistent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"

	"github.com/pas-ta/liveness/adapters/node/store"
)

// scanPage is how many events of the log are looked at in one read of a filtered group.
const scanPage = 500

// content is what a consumer is given of a message: the event, or the link and what it leads to (nil when that is gone).
type content struct {
	event, link *store.Event
}

func (c *content) original() *store.Event {
	if c.link != nil {
		return c.link
	}
	return c.event
}

func (c *content) size() int {
	size := 0
	for _, e := range []*store.Event{c.event, c.link} {
		if e != nil {
			size += len(e.Data) + len(e.Metadata) + len(e.Stream) + len(e.Type) + 128
		}
	}
	return size
}

// source reads the events of a group.
type source struct {
	store         *store.Store
	name          string
	filter        *store.Filter
	resolveLinks  bool
	byCorrelation bool
	watch         *store.Watch // of the stream; nil for the log
	next          uint64
	// atEnd says that the last read found nothing further; seen is the head of the log before that read.
	atEnd bool
	seen  uint64
}

// openSource reads the group's events behind a point. The caller closes it.
func openSource(s *store.Store, d definition, after Point) (*source, error) {
	filter, err := d.filter()
	if err != nil {
		return nil, fmt.Errorf("subscription group %q: %w", d.identity().key(), err)
	}
	src := &source{
		store: s, name: d.Source, filter: filter, next: uint64(after + 1),
		resolveLinks: d.Settings.ResolveLinks, byCorrelation: d.Settings.Strategy == PinnedByCorrelation,
	}
	if d.Source != allStream {
		src.watch = s.Watch(d.Source)
	}
	return src, nil
}

func (s *source) close() {
	if s.watch != nil {
		s.watch.Stop()
	}
}

// page is what one read found: messages for the group, and how far it got over how many others.
type page struct {
	messages []*Message
	passed   Point
	skipped  int
}

// read returns the next page of about limit messages.
func (s *source) read(ctx context.Context, limit int) (page, error) {
	s.seen = s.store.Head()
	slice, err := s.slice(ctx, limit)
	var deleted *store.StreamDeletedError
	if errors.Is(err, store.ErrStreamNotFound) || errors.As(err, &deleted) {
		s.atEnd = true
		return page{passed: BeforeAll}, nil
	}
	if err != nil {
		return page{}, err
	}
	found := page{messages: make([]*Message, 0, min(len(slice.Events), limit)), passed: BeforeAll}
	for i := range slice.Events {
		e := &slice.Events[i]
		if s.name == allStream && !s.wanted(e) {
			found.skipped++
			continue
		}
		m, err := s.message(ctx, e)
		if err != nil {
			return page{}, err
		}
		found.messages = append(found.messages, m)
	}
	if len(slice.Events) > 0 {
		found.passed = s.point(&slice.Events[len(slice.Events)-1])
	}
	s.next, s.atEnd = slice.Next, slice.End
	return found, nil
}

func (s *source) slice(ctx context.Context, limit int) (store.Slice, error) {
	if s.name != allStream {
		return s.store.ReadStream(ctx, s.name, store.Forwards, s.next, limit)
	}
	if s.filter != nil {
		limit = scanPage
	}
	return s.store.ReadAll(ctx, store.Forwards, s.next, limit)
}

// wait returns once there may be something behind the last read.
func (s *source) wait(ctx context.Context) error {
	if s.watch == nil {
		return s.store.WaitBeyond(ctx, s.seen)
	}
	select {
	case _, open := <-s.watch.C:
		if !open {
			return store.ErrClosed
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wanted applies the filter of a group on the log, which never sees the streams in which groups keep their own state: every
// parked message would otherwise become a message of its own.
func (s *source) wanted(e *store.Event) bool {
	name := strings.TrimPrefix(e.Stream, store.MetadataPrefix)
	return !strings.HasPrefix(name, bookkeepingPrefix) && s.filter.Match(e)
}

func (s *source) point(e *store.Event) Point {
	if s.name == allStream {
		return Point(e.Position)
	}
	return Point(e.Revision)
}

func (s *source) message(ctx context.Context, e *store.Event) (*Message, error) {
	found, err := s.resolve(ctx, e, s.resolveLinks)
	if err != nil {
		return nil, err
	}
	return &Message{
		Stream: e.Stream, Revision: e.Revision, Point: s.point(e), ID: e.ID,
		Pin: s.pin(found), Payload: found, Size: found.size(),
	}, nil
}

// load returns the content of a message that was let go of; nil when its event is no longer there.
func (s *source) load(ctx context.Context, stream string, revision uint64, replayed bool) (*content, error) {
	e, found, err := s.store.ReadEvent(ctx, stream, revision)
	var deleted *store.StreamDeletedError
	if errors.Is(err, store.ErrStreamNotFound) || errors.As(err, &deleted) {
		return nil, nil
	}
	if err != nil || !found {
		return nil, err
	}
	return s.resolve(ctx, &e, s.resolveLinks || replayed)
}

// resolve follows a link if asked to. A parked message leads to an event that may be a link itself.
func (s *source) resolve(ctx context.Context, e *store.Event, follow bool) (*content, error) {
	if !follow || e.Type != store.LinkType {
		return &content{event: e}, nil
	}
	target, err := s.follow(ctx, e)
	if err == nil && target != nil && s.resolveLinks && target.Type == store.LinkType {
		target, err = s.follow(ctx, target)
	}
	if err != nil {
		return nil, err
	}
	return &content{event: target, link: e}, nil
}

func (s *source) follow(ctx context.Context, linkEvent *store.Event) (*store.Event, error) {
	revision, stream, ok := linkTarget(linkEvent.Data)
	if !ok {
		return nil, nil
	}
	target, found, err := s.store.ReadEvent(ctx, stream, revision)
	var deleted *store.StreamDeletedError
	if errors.Is(err, store.ErrStreamNotFound) || errors.As(err, &deleted) {
		return nil, nil
	}
	if err != nil || !found {
		return nil, err
	}
	return &target, nil
}

// linkTarget takes "<revision>@<stream>" apart.
func linkTarget(data []byte) (revision uint64, stream string, ok bool) {
	number, name, ok := bytes.Cut(data, []byte("@"))
	if !ok || len(name) == 0 {
		return 0, "", false
	}
	revision, err := strconv.ParseUint(string(number), 10, 63)
	return revision, string(name), err == nil
}

func linkData(revision uint64, stream string) []byte {
	return append(strconv.AppendUint(nil, revision, 10), "@"+stream...)
}

// pin hashes what the pinned strategies keep together.
func (s *source) pin(c *content) uint32 {
	subject := ""
	if s.byCorrelation && c.event != nil {
		var metadata struct {
			CorrelationID string `json:"$correlationId"`
		}
		if json.Unmarshal(c.event.Metadata, &metadata) == nil {
			subject = metadata.CorrelationID
		}
	}
	if subject == "" {
		original := c.original()
		subject = original.Stream
		if original.Type == store.LinkType {
			if _, stream, ok := linkTarget(original.Data); ok {
				subject = stream
			}
		}
	}
	hash := fnv.New32a()
	hash.Write([]byte(subject))
	return hash.Sum32()
}
