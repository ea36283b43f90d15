package eventstoredb_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
)

// errForGood is a failure that trying again does not mend.
var errForGood = errors.New("it cannot be done")

// startReactor runs a reactor on logins until the test ends.
func startReactor(t *testing.T, client *eventstoredb.Client, group string, log *slog.Logger, handle func(context.Context, domain.Recorded) error) *eventstoredb.Reactor {
	t.Helper()
	reactor := eventstoredb.NewReactor(client, domain.NewRegistry(), log)
	reactor.Group, reactor.Events, reactor.Handle = group, []string{domain.LoginSucceeded{}.EventType()}, handle
	reactor.Permanent = func(err error) bool { return errors.Is(err, errForGood) }
	runReactor(t, reactor)
	return reactor
}

func runReactor(t *testing.T, reactor *eventstoredb.Reactor) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- reactor.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A user who may not create groups works with one that is there.
func TestReactorNeedsNoRightToCreate(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	var asked atomic.Int64
	f := newFront(t, n.Addr(), func(method string, _ metadata.MD) error {
		if !strings.Contains(method, "PersistentSubscriptions/") || strings.HasSuffix(method, "/Read") {
			return nil
		}
		asked.Add(1)
		return accessDenied
	})
	admin := connect(t, n.ConnectionString())
	handled := make(chan domain.Recorded, 10)
	handle := func(_ context.Context, r domain.Recorded) error { handled <- r; return nil }
	logged := &commandstest.Lines{}
	reactor := startReactor(t, connect(t, f.url()), "mails", slog.New(slog.NewTextHandler(logged, nil)), handle)

	// The group is missing: what is missing is named, once, however often it is tried.
	await(t, "the reactor to say what it lacks", func(context.Context) error {
		missing := (*eventstoredb.RightsError)(nil)
		if err := reactor.Check(); !errors.As(err, &missing) || !strings.Contains(err.Error(), "create the persistent subscription mails") || !strings.Contains(err.Error(), "store prepare") {
			return errors.Join(errors.New("it says"), err)
		}
		if asked.Load() < 3 {
			return errors.New("not tried three times yet")
		}
		return nil
	})
	if warnings := strings.Count(logged.String(), "level=WARN"); warnings != 1 {
		t.Errorf("%d warnings:\n%s", warnings, logged.String())
	}

	// An administrator creates it, and again without effect; the reactor goes on by itself.
	prepared := eventstoredb.NewReactor(admin, domain.NewRegistry(), slog.New(slog.DiscardHandler))
	prepared.Group, prepared.Events = "mails", []string{domain.LoginSucceeded{}.EventType()}
	for i := range 2 {
		if created, err := prepared.Prepare(t.Context()); err != nil || created != (i == 0) {
			t.Fatalf("created %t, %v", created, err)
		}
	}
	customer := uuid.New()
	event := login(customer)
	appendAll(t, eventstoredb.NewStore(admin, domain.NewRegistry()), domain.LoginsStream(customer), event)
	if got := <-handled; got.ID != event.ID {
		t.Errorf("handled %v", got)
	}
	if err := reactor.Check(); err != nil {
		t.Errorf("it runs and says %v", err)
	}
	before := asked.Load()

	// The right to read is taken away while it runs.
	f.deny(accessDenied)
	await(t, "the reactor to run again", func(context.Context) error {
		if strings.Count(logged.String(), "runs again") < 2 {
			return errors.New(logged.String())
		}
		return nil
	})
	if text := logged.String(); !strings.Contains(text, "may not read $all") || asked.Load() != before {
		t.Errorf("it asked for %d more rights and said:\n%s", asked.Load()-before, text)
	}
}

// What cannot be handled for now keeps nothing from what can: a hundred mails to a server that is away, from the others.
func TestReactorGoesOnBesideWhatWaits(t *testing.T) {
	t.Parallel()
	client := connect(t, nodetest.Start(t, node.Config{}).ConnectionString())
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	var failed sync.Map
	handled := make(chan struct{})
	healthy := uuid.New()
	startReactor(t, client, "mails", slog.New(slog.DiscardHandler), func(_ context.Context, r domain.Recorded) error {
		if r.Stream == domain.LoginsStream(healthy) {
			close(handled)
			return nil
		}
		failed.Store(r.ID, true)
		return errors.New("not now")
	})
	const waiting = 100
	for range waiting {
		customer := uuid.New()
		appendAll(t, store, domain.LoginsStream(customer), login(customer))
	}
	await(t, "all of them to fail", func(context.Context) error {
		count := 0
		failed.Range(func(any, any) bool { count++; return true })
		if count < waiting {
			return fmt.Errorf("%d have failed", count)
		}
		return nil
	})
	appendAll(t, store, domain.LoginsStream(healthy), login(healthy))
	select {
	case <-handled:
	case <-time.After(time.Minute):
		t.Error("an event is not handled while others wait")
	}
}

// What was parked and is replayed comes as a link; the event that it points to is handled.
func TestReactorHandlesWhatIsReplayed(t *testing.T) {
	t.Parallel()
	uri := nodetest.Start(t, node.Config{}).ConnectionString()
	client := connect(t, uri)
	var mended atomic.Bool
	handled := make(chan domain.Recorded, 10)
	startReactor(t, client, "mails", slog.New(slog.DiscardHandler), func(_ context.Context, r domain.Recorded) error {
		if !mended.Load() {
			return errForGood
		}
		handled <- r
		return nil
	})
	customer := uuid.New()
	event := login(customer)
	appendAll(t, eventstoredb.NewStore(client, domain.NewRegistry()), domain.LoginsStream(customer), event)
	operator := officialClient(t, uri)
	parked := func(ctx context.Context, want int64) error {
		info, err := operator.GetPersistentSubscriptionInfoToAll(ctx, "mails", esdb.GetPersistentSubscriptionOptions{})
		if err == nil && info.Stats.ParkedMessagesCount != want {
			err = errors.New("not parked, or not gone, yet")
		}
		return err
	}
	await(t, "the event to be parked", func(ctx context.Context) error { return parked(ctx, 1) })
	mended.Store(true)
	if err := operator.ReplayParkedMessagesToAll(t.Context(), "mails", esdb.ReplayParkedMessagesOptions{}); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-handled:
		if got.ID != event.ID || got.Stream != domain.LoginsStream(customer) || got.Position == 0 {
			t.Errorf("handled %+v", got)
		}
	case <-deadline(t).Done():
		t.Fatal("what was replayed was not handled")
	}
	await(t, "the parked messages to be gone", func(ctx context.Context) error { return parked(ctx, 0) })
}

// Another program's event, whatever it is called and holds, is passed over: neither handled nor parked.
func TestReactorPassesOverOtherPrograms(t *testing.T) {
	t.Parallel()
	uri := nodetest.Start(t, node.Config{}).ConnectionString()
	client := connect(t, uri)
	other := officialClient(t, uri)
	for _, stream := range []string{"crm-1", "logins-of-ours", "logins"} {
		if _, err := other.AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, esdb.EventData{
			EventID: uuid.New(), EventType: domain.LoginSucceeded{}.EventType(), ContentType: esdb.ContentTypeJson, Data: []byte("{}"),
		}); err != nil {
			t.Fatal(err)
		}
	}
	logged := &commandstest.Lines{}
	handled := make(chan domain.Recorded, 10)
	startReactor(t, client, "mails", slog.New(slog.NewTextHandler(logged, nil)), func(_ context.Context, r domain.Recorded) error {
		handled <- r
		return nil
	})
	customer := uuid.New()
	event := login(customer)
	appendAll(t, eventstoredb.NewStore(client, domain.NewRegistry()), domain.LoginsStream(customer), event)
	if got := <-handled; got.ID != event.ID || strings.Contains(logged.String(), "parked") {
		t.Errorf("handled %+v\n%s", got, logged.String())
	}
}

// A group that an older program has created gets the settings of this one: the store gives nothing up by itself.
func TestReactorSettlesAnOlderGroup(t *testing.T) {
	t.Parallel()
	uri := nodetest.Start(t, node.Config{}).ConnectionString()
	client, operator := connect(t, uri), officialClient(t, uri)
	customer := uuid.New()
	appendAll(t, eventstoredb.NewStore(client, domain.NewRegistry()), domain.LoginsStream(customer), login(customer))
	old := esdb.SubscriptionSettingsDefault()
	old.MaxRetryCount = 300
	if err := operator.CreatePersistentSubscriptionToAll(t.Context(), "mails", esdb.PersistentAllSubscriptionOptions{
		Settings: &old, StartFrom: esdb.Start{},
		Filter: &esdb.SubscriptionFilter{Type: esdb.EventFilterType, Prefixes: []string{domain.LoginSucceeded{}.EventType()}},
	}); err != nil {
		t.Fatal(err)
	}
	handled := make(chan domain.Recorded, 10)
	startReactor(t, client, "mails", slog.New(slog.DiscardHandler), func(_ context.Context, r domain.Recorded) error {
		handled <- r
		return nil
	})
	select {
	case <-handled:
	case <-deadline(t).Done():
		t.Fatal("nothing was handled")
	}
	info, err := operator.GetPersistentSubscriptionInfoToAll(t.Context(), "mails", esdb.GetPersistentSubscriptionOptions{})
	if err != nil || info.Settings.MaxRetryCount != math.MaxInt32 {
		t.Errorf("the group gives up after %d attempts, %v", info.Settings.MaxRetryCount, err)
	}
}

// Who keeps what became of events is told of each that is parked; the store lists them with the reason, until they are
// replayed.
func TestParkedEventsAreToldAndListed(t *testing.T) {
	t.Parallel()
	client := connect(t, nodetest.Start(t, node.Config{}).ConnectionString())
	var mended atomic.Bool
	told := make(chan eventstoredb.ParkedEvent, 10)
	reactor := eventstoredb.NewReactor(client, domain.NewRegistry(), slog.New(slog.DiscardHandler))
	reactor.Group, reactor.Events = "mails", []string{domain.LoginSucceeded{}.EventType()}
	reactor.Permanent = func(err error) bool { return errors.Is(err, errForGood) }
	reactor.Parked = func(_ context.Context, event eventstoredb.ParkedEvent) { told <- event }
	reactor.Handle = func(context.Context, domain.Recorded) error {
		if mended.Load() {
			return nil
		}
		return errForGood
	}
	runReactor(t, reactor)
	customer := uuid.New()
	event := login(customer)
	appendAll(t, eventstoredb.NewStore(client, domain.NewRegistry()), domain.LoginsStream(customer), event)
	select {
	case got := <-told:
		if got.ID != event.ID || got.Stream != domain.LoginsStream(customer) || got.Type != "LoginSucceeded" || got.Reason != errForGood.Error() {
			t.Errorf("told of %+v", got)
		}
	case <-deadline(t).Done():
		t.Fatal("nobody was told")
	}
	listed := func(want int) func(context.Context) error {
		return func(ctx context.Context) error {
			parked, err := client.ParkedEvents(ctx, "mails")
			if err != nil {
				return err
			}
			if len(parked) != want {
				return fmt.Errorf("listed: %+v", parked)
			}
			if want > 0 && (parked[0].ID != event.ID || parked[0].Reason == "" || parked[0].ParkedAt.IsZero()) {
				return fmt.Errorf("listed: %+v", parked[0])
			}
			return nil
		}
	}
	await(t, "the event to be listed", listed(1))
	mended.Store(true)
	if err := client.ReplayParked(t.Context(), "mails"); err != nil {
		t.Fatal(err)
	}
	await(t, "the list to be empty", listed(0))
	if err := client.ReplayParked(t.Context(), "no such group"); err == nil {
		t.Error("a group that is not there was replayed")
	}
	if parked, err := client.ParkedEvents(t.Context(), "no such group"); err != nil || len(parked) != 0 {
		t.Errorf("a group that is not there has parked %v, %v", parked, err)
	}
}

func officialClient(t *testing.T, uri string) *esdb.Client {
	t.Helper()
	settings, err := esdb.ParseConnectionString(uri)
	if err != nil {
		t.Fatal(err)
	}
	client, err := esdb.NewClient(settings)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	return client
}
