package commands_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

// calls is an aggregate that counts the events of its stream.
type calls struct{ Count int }

func (c calls) Fold(domain.Event) calls { return calls{c.Count + 1} }

func ping() domain.Event { return domain.LoginFailed{At: time.Unix(0, 0).UTC()} }

const stream = "logins-00000000-0000-0000-0000-000000000001"

// fill gives the stream so many events.
func fill(t *testing.T, store commands.EventStore, count int) {
	t.Helper()
	events := make([]commands.Proposed, count)
	for i := range events {
		events[i] = commands.Proposed{ID: uuid.New(), Event: ping()}
	}
	if _, err := store.Append(t.Context(), stream, commands.NoStream, events); err != nil {
		t.Fatal(err)
	}
}

// upTo decides on events until the stream has so many.
func upTo(want int) func(calls) ([]domain.Event, error) {
	return func(c calls) ([]domain.Event, error) {
		var events []domain.Event
		for range want - c.Count {
			events = append(events, ping())
		}
		return events, nil
	}
}

var errRefused = &domain.Error{Kind: domain.KindConflict, Code: "refused"}

func TestExecute(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given  int
		decide func(calls) ([]domain.Event, error)
		want   commands.Result[calls]
		err    error
	}{
		"begins a stream":            {0, upTo(2), commands.Result[calls]{State: calls{2}, Revision: 1, Position: 2}, nil},
		"goes on with one":           {3, upTo(4), commands.Result[calls]{State: calls{4}, Revision: 3, Position: 4}, nil},
		"has nothing to record":      {3, upTo(3), commands.Result[calls]{State: calls{3}, Revision: 2}, nil},
		"of an empty stream neither": {0, upTo(0), commands.Result[calls]{Revision: commands.NoStream}, nil},
		"refuses": {3, func(calls) ([]domain.Event, error) { return []domain.Event{ping()}, errRefused },
			commands.Result[calls]{State: calls{3}, Revision: 2}, errRefused},
		"reads page by page": {2 * commands.PageSize, upTo(2*commands.PageSize + 1),
			commands.Result[calls]{State: calls{2*commands.PageSize + 1}, Revision: 2 * commands.PageSize, Position: 2*commands.PageSize + 1}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := memorystore.New(time.Now)
			if c.given > 0 {
				fill(t, store, c.given)
			}
			got, err := commands.Execute(t.Context(), commands.Executor{Store: store, Now: time.Now}, commands.NewOrigin("test"), stream, c.decide)
			if got != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %+v, %v, want %+v, %v", got, err, c.want, c.err)
			}
			if state, err := commands.Read[calls](t.Context(), store, stream); err != nil || state != got.State {
				t.Errorf("the stream holds %+v, %v", state, err)
			}
		})
	}
}

func TestEventsSayWhereTheyComeFrom(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 12, 0, 0, 0, time.FixedZone("CET", 3600))
	executor := commands.Executor{Now: func() time.Time { return at }}
	by := commands.NewOrigin("somebody")
	if by.CorrelationID != by.CommandID || by == commands.NewOrigin("somebody") {
		t.Errorf("origin %+v", by)
	}
	want := domain.Metadata{CorrelationID: by.CorrelationID, CausationID: by.CommandID, Actor: "somebody", OccurredAt: at.UTC()}
	seen := map[uuid.UUID]string{}
	for _, c := range []struct {
		stream   string
		revision int64
	}{{"a", commands.NoStream}, {"a", 1}, {"b", commands.NoStream}} {
		proposed := executor.Propose(by, c.stream, c.revision, []domain.Event{ping(), ping()})
		again := executor.Propose(by, c.stream, c.revision, []domain.Event{ping(), ping()})
		for i, p := range proposed {
			place := fmt.Sprintf("%s@%d", c.stream, c.revision+1+int64(i))
			if p.Meta != want || p.Event != ping() || p.ID != domain.DerivedID(by.CommandID, place) {
				t.Errorf("proposed %+v", p)
			}
			if p.ID != again[i].ID {
				t.Error("the same decision gets other ids the second time")
			}
			if where := fmt.Sprint(c, i); seen[p.ID] != "" {
				t.Errorf("%s and %s have one id", where, seen[p.ID])
			} else {
				seen[p.ID] = where
			}
		}
	}
}

// A command that loses decides again on what has won, as often as is sensible.
func TestConflicts(t *testing.T) {
	t.Parallel()
	for _, lost := range []int{0, 1, commands.MaxDecisions - 1, commands.MaxDecisions} {
		t.Run(fmt.Sprintf("lost %d times", lost), func(t *testing.T) {
			t.Parallel()
			log := memorystore.New(time.Now)
			decisions := 0
			result, err := commands.Execute(t.Context(), commands.Executor{Store: log, Now: time.Now}, commands.NewOrigin("test"), stream,
				func(c calls) ([]domain.Event, error) {
					if c.Count != decisions {
						t.Errorf("decision %d is made on %d events", decisions, c.Count)
					}
					if decisions++; decisions <= lost { // another writer is faster
						_, err := log.Append(t.Context(), stream, int64(c.Count)-1, []commands.Proposed{{ID: uuid.New(), Event: ping()}})
						if err != nil {
							t.Error(err)
						}
					}
					return []domain.Event{ping()}, nil
				})
			if lost == commands.MaxDecisions {
				if !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, commands.ErrConflict) || decisions != commands.MaxDecisions {
					t.Errorf("after %d decisions: %v", decisions, err)
				}
				return
			}
			if err != nil || result.State.Count != lost+1 || decisions != lost+1 {
				t.Errorf("after %d decisions: %+v, %v", decisions, result, err)
			}
		})
	}
}

func TestConflictRevision(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err        error
		revision   int64
		conflicted bool
	}{
		"none":                  {nil, 6, false},
		"another failure":       {commands.ErrStoreUnavailable, 6, false},
		"one that says nothing": {fmt.Errorf("append: %w", commands.ErrConflict), 6, true},
		"one that says it":      {fmt.Errorf("append: %w", &commands.ConflictError{Revision: 9}), 9, true},
	} {
		if revision, conflicted := commands.ConflictRevision(c.err, 5); revision != c.revision && c.conflicted || conflicted != c.conflicted {
			t.Errorf("%s: got %d, %t", name, revision, conflicted)
		}
	}
}

// A stream is read until it shows a revision, for five seconds at most.
func TestAwaitRevision(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		for name, c := range map[string]struct {
			reached []int64
			failure error
			err     error
			reads   int
			within  time.Duration
		}{
			"at once":        {[]int64{7}, nil, nil, 1, 0},
			"after a while":  {[]int64{5, 6, 7}, nil, nil, 3, 10 * time.Millisecond},
			"further":        {[]int64{9}, nil, nil, 1, 0},
			"never":          {[]int64{6}, nil, commands.ErrStoreUnavailable, 0, 6 * time.Second},
			"reading breaks": {[]int64{7}, broken, broken, 1, 0},
		} {
			began, reads := time.Now(), 0
			err := commands.AwaitRevision(t.Context(), 7, func(context.Context) (int64, error) {
				at := c.reached[min(reads, len(c.reached)-1)]
				reads++
				return at, c.failure
			})
			took := time.Since(began)
			if !errors.Is(err, c.err) || c.reads > 0 && reads != c.reads || took > c.within || c.reads == 0 && (reads < 20 || reads > 100 || took < 4*time.Second) {
				t.Errorf("%s: %v after %d reads and %s", name, err, reads, took)
			}
		}
	})
}

func TestUnavailable(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err  error
		same bool
	}{
		"nothing": {nil, true}, "a refusal": {errRefused, true}, "a caller that has left": {fmt.Errorf("read: %w", context.Canceled), true},
		"a store that is down": {commands.ErrStoreUnavailable, false}, "a deadline": {context.DeadlineExceeded, false},
	} {
		got := commands.Unavailable(c.err)
		if (got == c.err) != c.same || !errors.Is(got, c.err) || !c.same && !errors.Is(got, domain.ErrUnavailable) { //nolint:errorlint // the same error
			t.Errorf("%s: %v", name, got)
		}
	}
}

// Whoever may have been carried out is not told that nothing was done.
func TestUnavailableOfAnUnknownOutcome(t *testing.T) {
	t.Parallel()
	for known, err := range map[bool]error{true: commands.ErrStoreUnavailable, false: fmt.Errorf("append: %w", commands.ErrOutcomeUnknown)} {
		var refusal *domain.Error
		if got := commands.Unavailable(err); !errors.As(got, &refusal) || !errors.Is(got, err) || (refusal.Message == "") != known || refusal.RetryAfter == 0 {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// What a store refuses to say is asked for again, and no answer is given in its place.
func TestReadsThatFail(t *testing.T) {
	t.Parallel()
	store := memorystore.New(time.Now)
	fill(t, store, 1)
	store.Inject(func(memorystore.Operation) memorystore.Fault { return memorystore.UnavailableBefore })
	if _, err := commands.Read[calls](t.Context(), store, stream); !errors.Is(err, domain.ErrUnavailable) {
		t.Errorf("read: %v", err)
	}
	decided := false
	_, err := commands.Execute(t.Context(), commands.Executor{Store: store, Now: time.Now}, commands.NewOrigin("test"), stream,
		func(calls) ([]domain.Event, error) { decided = true; return nil, nil })
	if !errors.Is(err, domain.ErrUnavailable) || decided {
		t.Errorf("decided: %t, %v", decided, err)
	}
}

// An append of unknown outcome is repeated for five seconds and then said to be unknown.
func TestAppendThatStaysUnknown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &commandstest.BrokenStore{EventStore: memorystore.New(time.Now), Fail: func(context.Context) error { return commands.ErrStoreUnavailable }}
		began := time.Now()
		_, err := commands.AppendUntilKnown(t.Context(), store, stream, commands.NoStream, []commands.Proposed{{ID: uuid.New(), Event: ping()}})
		took := time.Since(began)
		if !errors.Is(err, commands.ErrStoreUnavailable) || !errors.Is(err, commands.ErrOutcomeUnknown) || took < 3*time.Second || took > 6*time.Second || store.Appends.Load() < 8 {
			t.Errorf("after %s and %d attempts: %v", took, store.Appends.Load(), err)
		}
	})
}

// What will not be otherwise when it is asked again is not asked again.
func TestAppendThatIsRefusedIsNotRepeated(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, refusal := range []error{commands.ErrConflict, refused} {
		store := &commandstest.BrokenStore{EventStore: memorystore.New(time.Now), Fail: func(context.Context) error { return refusal }}
		_, err := commands.AppendUntilKnown(t.Context(), store, stream, commands.NoStream, []commands.Proposed{{ID: uuid.New(), Event: ping()}})
		if !errors.Is(err, refusal) || errors.Is(err, commands.ErrOutcomeUnknown) || store.Appends.Load() != 1 {
			t.Errorf("%v after %d attempts: %v", refusal, store.Appends.Load(), err)
		}
	}
}

type emptyRing struct{}

func (emptyRing) Secrets(commands.Purpose) []commands.Secret { return nil }

func TestSecret(t *testing.T) {
	t.Parallel()
	for length, good := range map[int]bool{0: false, 31: false, 32: true, 33: true} {
		if err := commands.ValidateKeyring(make(commands.OneSecret, length)); (err == nil) != good {
			t.Errorf("%d bytes: %v", length, err)
		}
	}
	if err := commands.ValidateKeyring(nil); err == nil {
		t.Error("no key ring is taken for one")
	}
	if err := commands.ValidateKeyring(emptyRing{}); err == nil {
		t.Error("an empty key ring is taken for one")
	}
	secret := commands.InUse(commands.OneSecret("0123456789abcdef0123456789abcdef"), commands.PurposeAPIKeys)
	if secret.ID != domain.EldestSecretID || fmt.Sprintf("%v and %+v or %#v", secret, secret, secret) != "eldest and eldest or eldest" {
		t.Errorf("the secret prints as %v %+v %#v", secret, secret, secret)
	}
	macs := []string{
		string(secret.MAC("a")), string(secret.MAC("b")), string(secret.MAC("a", []byte("b"))), string(secret.MAC("a", []byte("b"), nil)),
		string(secret.MAC("a", []byte("bc"), []byte("d"))), string(secret.MAC("a", []byte("b"), []byte("cd"))), string(commands.Secret{Key: []byte("other")}.MAC("a")),
	}
	slices.Sort(macs)
	if len(slices.Compact(macs)) != 7 {
		t.Error("two uses of the secret give one value")
	}
	// Keys that customers hold were stored under this.
	const known = "75cab0efbf9a10dbc9138365bac0c86e4fc6e49bb091502baeb01901a178928a"
	if got := secret.APIKeyHash("lc_abc"); got != known {
		t.Errorf("the hash of a key is %s", got)
	}
}

func TestFresh(t *testing.T) {
	t.Parallel()
	asked := time.Unix(1000, 0)
	for age, want := range map[time.Duration]bool{-1: false, 0: true, commands.MaxStaleness - 1: true, commands.MaxStaleness: false} {
		if commands.Fresh(asked, asked.Add(age)) != want {
			t.Errorf("what is %s old is not as fresh as it should be", age)
		}
	}
}

func TestWaitOutStaleness(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		if err := commands.WaitOutStaleness(t.Context()); err != nil || time.Since(began) != commands.MaxStaleness+10*time.Millisecond {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := commands.WaitOutStaleness(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("for a caller that has left: %v", err)
		}
	})
}
