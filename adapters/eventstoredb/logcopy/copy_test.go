package logcopy_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/eventstoredb/logcopy"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
	"github.com/pas-ta/liveness/domain/transparency"
)

// log is a node, what tests do with it, and a clock that it stamps events by.
type log struct {
	t      *testing.T
	uri    string
	client *eventstoredb.Client
	store  *eventstoredb.Store
	raw    *esdb.Client
	now    time.Time
	mu     sync.Mutex
}

func newLog(t *testing.T, line node.Line) *log {
	t.Helper()
	l := &log{t: t, now: time.Date(2026, 11, 22, 10, 30, 0, 0, time.UTC)}
	n := nodetest.Start(t, node.Config{Like: line, Store: store.Options{Now: l.clock}})
	l.uri = n.ConnectionString()
	var err error
	if l.client, err = eventstoredb.Connect(l.uri, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.client.Close() })
	l.store = eventstoredb.NewStore(l.client, domain.NewRegistry())
	settings, err := esdb.ParseConnectionString(l.uri)
	if err != nil {
		t.Fatal(err)
	}
	settings.Logger = esdb.NoopLogging()
	if l.raw, err = esdb.NewClient(settings); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.raw.Close() })
	return l
}

func (l *log) clock() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now
}

func (l *log) set(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = now
}

// record appends events of the product, decided at a time.
func (l *log) record(stream string, decided time.Time, events ...domain.Event) {
	l.t.Helper()
	expected := commands.NoStream
	last, found, err := l.store.ReadLast(l.t.Context(), stream)
	if err != nil {
		l.t.Fatal(err)
	}
	if found {
		expected = int64(last.Revision)
	}
	var proposed []commands.Proposed
	for _, event := range events {
		proposed = append(proposed, commands.Proposed{ID: uuid.New(), Event: event, Meta: domain.Metadata{
			CorrelationID: uuid.New(), CausationID: uuid.New(), Actor: domain.ActorSystem, OccurredAt: decided,
		}})
	}
	if _, err := l.store.Append(l.t.Context(), stream, expected, proposed); err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) recordRaw(stream string, events ...esdb.EventData) {
	l.t.Helper()
	if _, err := l.raw.AppendToStream(l.t.Context(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, events...); err != nil {
		l.t.Fatal(err)
	}
}

func (l *log) setMetadata(stream, metadata string) {
	l.t.Helper()
	l.recordRaw("$$"+stream, esdb.EventData{EventID: uuid.New(), EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(metadata)})
}

func foreign(eventType string) esdb.EventData {
	return esdb.EventData{EventID: uuid.New(), EventType: eventType, ContentType: esdb.ContentTypeBinary, Data: []byte{0, 1, 2}}
}

// inOrder returns every event that is not the store's own, and not about a copy.
func (l *log) inOrder() []*esdb.RecordedEvent {
	l.t.Helper()
	return slices.DeleteFunc(l.written(), func(raw *esdb.RecordedEvent) bool {
		return strings.HasPrefix(raw.StreamID, "$") || raw.StreamID == eventstoredb.CopyStream
	})
}

// written returns every event that a program wrote: also about a copy, and the metadata of its streams.
func (l *log) written() []*esdb.RecordedEvent {
	l.t.Helper()
	reading, err := l.raw.ReadAll(l.t.Context(), esdb.ReadAllOptions{From: esdb.Start{}, Direction: esdb.Forwards}, 1<<20)
	if err != nil {
		l.t.Fatal(err)
	}
	defer reading.Close()
	var events []*esdb.RecordedEvent
	for {
		event, err := reading.Recv()
		if err != nil {
			return events
		}
		raw := event.OriginalEvent()
		if stream := strings.TrimPrefix(raw.StreamID, "$$"); !strings.HasPrefix(stream, "$") {
			events = append(events, raw)
		}
	}
}

var customer, subscription = uuid.MustParse("c0000000-0000-4000-8000-000000000001"), uuid.MustParse("50000000-0000-4000-8000-000000000001")

func requested(at time.Time) domain.Event {
	return domain.PasswordResetRequested{CustomerID: customer, ResetID: uuid.New(), ExpiresAt: at.Add(time.Hour)}
}

// call is the ordinal-th counted call of the month, beyond a plan of none.
func call(ordinal int64, at time.Time) domain.Event {
	return domain.CheckCompleted{
		CheckID: uuid.New(), CustomerID: customer, SubscriptionID: subscription, Month: domain.MonthOf(at), Ordinal: ordinal,
		Billing: domain.BillingOverage, OverageTotal: ordinal, Plan: domain.PlanStarter, Overage: domain.OverageContinue, CompletedAt: at,
	}
}

// fill writes a log as a small installation has it: several streams in turns, other programs' events between, metadata of
// streams, and a call that was decided right before an hour's end and recorded behind it.
func (l *log) fill() {
	l.t.Helper()
	start := l.clock()
	usage := domain.UsageStream(subscription, domain.MonthOf(start))
	l.recordRaw("crm-1", foreign("KeyIssued"), foreign("CustomerCalled"))
	l.record(domain.SubscriptionStream(subscription), start, domain.SubscriptionStarted{SubscriptionID: subscription, CustomerID: customer, Plan: domain.PlanStarter, StartedAt: start})
	l.setMetadata(domain.LoginsStream(customer), `{"$maxAge": 7776000, "$acl":{"$r":"$admins"},  "ours":1}`)
	l.record(domain.AccountStream(customer), start, requested(start))
	for i := int64(1); i <= 20; i++ {
		l.record(usage, start, call(i, start))
		l.record(domain.LoginsStream(customer), start, domain.LoginSucceeded{CustomerID: customer, At: start})
		l.recordRaw("crm-2", foreign("Noise"))
	}
	end := domain.UsageHour(start).Add(time.Hour)
	l.set(end.Add(20 * time.Millisecond))
	l.record(usage, end.Add(-20*time.Millisecond), call(21, end.Add(-20*time.Millisecond)))
	l.set(end.Add(20 * time.Second))
	l.record(domain.SealedHoursStream(domain.MonthOf(start)), l.clock(), domain.HourSealed{Hour: domain.UsageHour(start), SealedAt: l.clock()})
	l.record(domain.AccountStream(customer), l.clock(), requested(l.clock()), requested(l.clock()))
	l.record(usage, l.clock(), call(22, l.clock()))
}

func between(from, to *log) logcopy.Config {
	registry := domain.NewRegistry()
	return logcopy.Config{From: from.client, To: to.client, Copies: registry.Owns, CopiesStream: registry.OwnsStream, Forgets: domain.CategoryLogins.Holds}
}

// wantSame fails unless the product's events are the same in both logs.
func wantSame(t *testing.T, from, to *log) {
	t.Helper()
	type event struct {
		ID                           uuid.UUID
		Stream, Type, Content        string
		Revision                     uint64
		Data, Metadata, RecordedHour string
	}
	owned := func(l *log) []event {
		var all []event
		if _, err := l.client.ReadCopied(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, raw := range l.inOrder() {
			if domain.NewRegistry().Owns(raw.StreamID, raw.EventType) {
				all = append(all, event{raw.EventID, raw.StreamID, raw.EventType, raw.ContentType, raw.EventNumber, string(raw.Data), string(raw.UserMetadata),
					domain.UsageHourKey(l.client.RecordedAt(raw))})
			}
		}
		return all
	}
	if diff := cmp.Diff(owned(from), owned(to)); diff != "" {
		t.Errorf("the logs differ (-source +target):\n%s", diff)
	}
}

func TestCopyThereAndBack(t *testing.T) {
	t.Parallel()
	for _, lines := range [][3]node.Line{
		{node.OwnLine, node.OwnLine, node.OwnLine}, {node.OwnLine, node.Line23, node.OwnLine}, {node.OwnLine, node.Line24, node.OwnLine},
	} {
		t.Run(fmt.Sprintf("over %q", lines[1]), func(t *testing.T) {
			t.Parallel()
			from, over, back := newLog(t, lines[0]), newLog(t, lines[1]), newLog(t, lines[2])
			from.fill()
			over.recordRaw("crm-9", foreign("BeforeIt"), foreign("CheckCompleted"))
			for _, l := range []*log{over, back} {
				l.set(from.clock().Add(1000 * time.Hour))
			}
			var reports []logcopy.Report
			for _, config := range []logcopy.Config{between(from, over), between(over, back)} {
				report, err := logcopy.Run(t.Context(), config)
				if err != nil {
					t.Fatal(err)
				}
				if verified, err := logcopy.Verify(t.Context(), config); err != nil || verified.Events != report.Events {
					t.Errorf("verified %+v, %v", verified, err)
				}
				reports = append(reports, report)
			}
			wantSame(t, from, over)
			wantSame(t, from, back)
			if r := reports[0]; r.Events != 47 || r.Appended != 47 || r.Foreign != 22 || r.Metadata != 1 || r.Times != 1 {
				t.Errorf("reported %+v, want 47 events, all appended, 22 foreign, the metadata of 1 stream and the time of 1 event", r)
			}
			if r := reports[1]; r.Events != 47 || r.Foreign != 2 || r.Metadata != 1 || r.Times != 1 {
				t.Errorf("reported on the way back %+v, want 47 events, 2 foreign, the metadata of 1 stream and the time of 1 event", r)
			}
			for _, l := range []*log{over, back} {
				reading, err := l.raw.ReadStream(t.Context(), "$$"+domain.LoginsStream(customer), esdb.ReadStreamOptions{From: esdb.Start{}}, 1)
				if err != nil {
					t.Fatal(err)
				}
				metadata, err := reading.Recv()
				if want := `{"$maxAge": 7776000, "$acl":{"$r":"$admins"},  "ours":1}`; err != nil || string(metadata.OriginalEvent().Data) != want {
					t.Errorf("stream metadata %s, %v; want %s", metadata.OriginalEvent().Data, err, want)
				}
				reading.Close()
			}
		})
	}
}

// audited replays a log as the audits do.
func audited(t *testing.T, l *log) *audit.Audit {
	t.Helper()
	replayed, reader := audit.New(), eventstoredb.NewReader(l.client, domain.NewRegistry())
	if err := l.client.Follow(t.Context(), 0, false, func(raw *esdb.RecordedEvent) error {
		if !domain.NewRegistry().Owns(raw.StreamID, raw.EventType) {
			return nil
		}
		recorded, err := reader.Decode(raw)
		replayed.Observe(recorded)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return replayed
}

func TestCopyAuditsTheSame(t *testing.T) {
	t.Parallel()
	from, to := newLog(t, ""), newLog(t, "")
	from.fill()
	to.set(from.clock().Add(1000 * time.Hour))
	if _, err := logcopy.Run(t.Context(), between(from, to)); err != nil {
		t.Fatal(err)
	}
	source, target := audited(t, from), audited(t, to)
	if diff := cmp.Diff(source.Months(), target.Months()); diff != "" {
		t.Errorf("audited months (-source +target):\n%s", diff)
	}
	withoutPositions := cmp.Options{cmpopts.IgnoreFields(audit.Change{}, "Position"), cmpopts.IgnoreFields(audit.Finding{}, "Position")}
	if diff := cmp.Diff(source.Changes(), target.Changes(), withoutPositions); diff != "" || len(source.Changes()) == 0 {
		t.Errorf("audited changes (-source +target):\n%s", diff)
	}
	if diff := cmp.Diff(source.Settle(), target.Settle(), withoutPositions); diff != "" {
		t.Errorf("metering (-source +target):\n%s", diff)
	}
}

// The leaves of the transparency log survive the move, although positions and times do not: what was signed before holds after.
func TestCopyHasTheSameLeaves(t *testing.T) {
	t.Parallel()
	from, to := newLog(t, ""), newLog(t, "")
	from.fill()
	to.set(from.clock().Add(1000 * time.Hour))
	if _, err := logcopy.Run(t.Context(), between(from, to)); err != nil {
		t.Fatal(err)
	}
	leaves := func(l *log) (hashes []string) {
		for _, raw := range l.inOrder() {
			if transparency.IsLeaf(raw.StreamID, raw.EventType) {
				e := transparency.Event{Type: raw.EventType, Stream: raw.StreamID, Revision: raw.EventNumber, ID: raw.EventID, Data: raw.Data, Metadata: raw.UserMetadata}
				hashes = append(hashes, e.LeafHash().String())
			}
		}
		return hashes
	}
	if diff := cmp.Diff(leaves(from), leaves(to)); diff != "" || len(leaves(from)) < 5 {
		t.Errorf("%d leaves (-source +target):\n%s", len(leaves(from)), diff)
	}
}

// cutShort ends a copy after some events.
func cutShort(t *testing.T, config logcopy.Config, after int64) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	config.Progress = func(p logcopy.Progress) {
		if !p.Verifying && p.Events > after {
			cancel()
		}
	}
	_, err := logcopy.Run(ctx, config)
	return err
}

// TestCopyThatIsCutShort is ended after every few events, until one run finds nothing more to do.
func TestCopyThatIsCutShort(t *testing.T) {
	t.Parallel()
	from, to := newLog(t, ""), newLog(t, "")
	from.fill()
	for limit := int64(7); ; limit += 7 {
		err := cutShort(t, between(from, to), limit)
		if err == nil {
			break
		}
		if err := to.client.Follow(t.Context(), 0, false, func(*esdb.RecordedEvent) error { return nil }); !errors.Is(err, eventstoredb.ErrCopyIncomplete) {
			t.Fatalf("after %d events the incomplete copy is followed: %v", limit, err)
		}
		if limit > 100 {
			t.Fatal(err)
		}
	}
	wantSame(t, from, to)
	report, err := logcopy.Run(t.Context(), between(from, to))
	if err != nil || report.Appended != 0 || report.Events != 47 {
		t.Errorf("once more: %+v, %v; want nothing appended", report, err)
	}
}

func TestIncompleteCopyIsNotCopiedOn(t *testing.T) {
	t.Parallel()
	from, to, third := newLog(t, ""), newLog(t, ""), newLog(t, "")
	from.fill()
	if err := cutShort(t, between(from, to), 20); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	for _, run := range []func(context.Context, logcopy.Config) (logcopy.Report, error){logcopy.Run, logcopy.Verify} {
		if _, err := run(t.Context(), between(to, third)); !errors.Is(err, eventstoredb.ErrCopyIncomplete) {
			t.Errorf("got %v, want %v", err, eventstoredb.ErrCopyIncomplete)
		}
	}
	if written := third.written(); len(written) > 0 {
		t.Errorf("%d events were written to the third", len(written))
	}
}

func TestTargetWithOtherEventsIsRefused(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(from, to *log){
		"of the product": func(_, to *log) {
			to.record(domain.LoginsStream(uuid.New()), to.clock(), domain.LoginSucceeded{CustomerID: customer, At: to.clock()})
		},
		"of the product behind all of the source": func(from, to *log) {
			if _, err := logcopy.Run(to.t.Context(), between(from, to)); err != nil {
				to.t.Fatal(err)
			}
			to.setMetadata(domain.LoginsStream(customer), `{"$maxAge": 86400}`)
			to.record(domain.AccountStream(customer), to.clock(), requested(to.clock()))
		},
		"of another program in a stream of ours": func(_, to *log) {
			to.recordRaw(domain.SealedHoursStream(domain.MonthOf(to.clock())), foreign("CustomerCalled"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from, to := newLog(t, ""), newLog(t, "")
			from.fill()
			prepare(from, to)
			before := len(to.written())
			_, err := logcopy.Run(t.Context(), between(from, to))
			if difference := (*logcopy.DifferenceError)(nil); !errors.As(err, &difference) {
				t.Errorf("got %v, want a difference", err)
			}
			if written := to.written()[before:]; len(written) > 0 {
				t.Errorf("%d events were written before, first %s to %s", len(written), written[0].EventType, written[0].StreamID)
			}
		})
	}
}

// TestTamperedCopyIsFound copies a log and then one that differs in a single event.
func TestTamperedCopyIsFound(t *testing.T) {
	t.Parallel()
	from := newLog(t, "")
	from.fill()
	events := from.inOrder()
	for name, tamper := range map[string]func(*esdb.EventData){
		"data":     func(e *esdb.EventData) { e.Data = append(e.Data, ' ') },
		"metadata": func(e *esdb.EventData) { e.Metadata = append(e.Metadata, ' ') },
		"type":     func(e *esdb.EventData) { e.EventType = "LoginFailed" },
		"id":       func(e *esdb.EventData) { e.EventID = uuid.New() },
		"left out": nil,
		"content":  func(e *esdb.EventData) { e.ContentType = esdb.ContentTypeBinary },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			to := newLog(t, "")
			last := ""
			for _, raw := range events {
				if !domain.NewRegistry().Owns(raw.StreamID, raw.EventType) {
					continue
				}
				e := esdb.EventData{EventID: raw.EventID, EventType: raw.EventType, ContentType: esdb.ContentTypeJson, Data: raw.Data, Metadata: raw.UserMetadata}
				if raw.StreamID == domain.LoginsStream(customer) && raw.EventNumber == 11 {
					if last = raw.EventID.String(); tamper == nil {
						continue
					}
					tamper(&e)
				}
				to.recordRaw(raw.StreamID, e)
			}
			config := between(from, to)
			config.CopiesStream = func(string) bool { return false }
			for _, run := range []func(context.Context, logcopy.Config) (logcopy.Report, error){logcopy.Verify, logcopy.Run} {
				_, err := run(t.Context(), config)
				if difference := (*logcopy.DifferenceError)(nil); !errors.As(err, &difference) || !strings.Contains(err.Error(), last) {
					t.Errorf("got %v, want a difference at event %s", err, last)
				}
			}
		})
	}
}

// handled runs a reactor until it has done what is expected, and lets it store its checkpoint.
func handled(t *testing.T, l *log, want int) []uuid.UUID {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	reactor := eventstoredb.NewReactor(l.client, domain.NewRegistry(), slog.New(slog.DiscardHandler))
	var mu sync.Mutex
	var ids []uuid.UUID
	enough := make(chan struct{})
	reactor.Group, reactor.Events = mails.Name, mails.Events
	reactor.Handle = func(_ context.Context, r domain.Recorded) error {
		mu.Lock()
		defer mu.Unlock()
		if ids = append(ids, r.ID); len(ids) == want {
			close(enough)
		}
		return nil
	}
	done := make(chan error, 1)
	go func() { done <- reactor.Run(ctx) }()
	select {
	case <-enough:
	case <-time.After(time.Minute):
		t.Fatalf("handled %d events, want %d", len(ids), want)
	}
	l.awaitCheckpoint()
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	return ids
}

// awaitCheckpoint waits until the group has stored that it is done with all that it handed out.
func (l *log) awaitCheckpoint() {
	l.t.Helper()
	look := time.NewTicker(20 * time.Millisecond)
	defer look.Stop()
	for range 500 {
		info, err := l.raw.GetPersistentSubscriptionInfoToAll(l.t.Context(), mails.Name, esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			l.t.Fatal(err)
		}
		if at := info.Stats.LastCheckpointedPosition; at != nil && at.Commit >= info.Stats.LastKnownPosition.Commit {
			return
		}
		<-look.C
	}
	l.t.Fatal("the group does not store its checkpoint")
}

var mails = logcopy.Group{Name: "account-mails", Events: []string{domain.PasswordResetRequested{}.EventType()}}

func TestGroupGoesOnWhereItStood(t *testing.T) {
	t.Parallel()
	from, to, back := newLog(t, ""), newLog(t, ""), newLog(t, "")
	from.fill()
	handled(t, from, 3) // everything so far
	copyTo := func(from, to *log) logcopy.GroupReport {
		t.Helper()
		config := between(from, to)
		config.Groups = []logcopy.Group{mails}
		report, err := logcopy.Run(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		return report.Groups[0]
	}
	for range 2 { // what waits in the source
		from.record(domain.AccountStream(customer), from.clock(), requested(from.clock()))
	}
	waiting := from.inOrder()
	waiting = waiting[len(waiting)-2:]
	if r := copyTo(from, to); !r.InSource || r.Waiting != 2 || r.Position == 0 {
		t.Errorf("reported %+v, want 2 waiting", r)
	}
	want := []uuid.UUID{waiting[0].EventID, waiting[1].EventID}
	if r := copyTo(to, back); r.Waiting != 2 { // before anything was handled there: by where the group begins
		t.Errorf("reported on the way back %+v, want 2 waiting", r)
	}
	for _, l := range []*log{to, back} {
		got := handled(t, l, 2)
		if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
			t.Errorf("handled in the target (-want +got):\n%s", diff)
		}
	}
	// All done: the group of a further copy begins behind everything, and of a copy of that one too.
	last, further := newLog(t, ""), newLog(t, "")
	for _, pair := range [][2]*log{{back, last}, {last, further}} {
		if r := copyTo(pair[0], pair[1]); !r.InSource || r.Waiting != 0 {
			t.Errorf("reported %+v, want nothing waiting", r)
		}
	}
	further.record(domain.AccountStream(uuid.New()), further.clock(), requested(further.clock()))
	handled(t, further, 1)
}

func TestCopyFromALogInUseIsRefused(t *testing.T) {
	t.Parallel()
	from, to := newLog(t, ""), newLog(t, "")
	from.fill()
	if err := from.client.CreateGroup(t.Context(), mails.Name, mails.Events, esdb.Start{}); err != nil {
		t.Fatal(err)
	}
	consumer, err := from.raw.SubscribeToPersistentSubscriptionToAll(t.Context(), mails.Name, esdb.SubscribeToPersistentSubscriptionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer consumer.Close()
	config := between(from, to)
	config.Groups = []logcopy.Group{mails}
	if _, err := logcopy.Run(t.Context(), config); err == nil || !strings.Contains(err.Error(), "stop `liveness work`") {
		t.Errorf("got %v", err)
	}
}

func sorted(ids []uuid.UUID) map[uuid.UUID]int {
	counts := map[uuid.UUID]int{}
	for _, id := range ids {
		counts[id]++
	}
	return counts
}
