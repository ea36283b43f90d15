package transparency_test

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/eventstoretest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/transparency"
	"github.com/pas-ta/liveness/domain"
	leaves "github.com/pas-ta/liveness/domain/transparency"
)

const origin = "liveness.example.com/transparency"

var start = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// tree is a Merkle tree in memory over texts.
type tree struct {
	mu          sync.Mutex
	hashes      []tlog.Hash
	checkpoints []bool // of each leaf, whether it is one
	shown       int64  // how many leaves the read model shows; all of them when it is 0
	err         error
}

func (m *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		hashes[i] = m.hashes[index]
	}
	return hashes, nil
}

// grow adds leaves.
func (m *tree) grow(t *testing.T, checkpoint bool, texts ...string) {
	t.Helper()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, text := range texts {
		added, err := tlog.StoredHashes(int64(len(m.checkpoints)), []byte(text), m)
		if err != nil {
			t.Error(err)
		}
		m.hashes, m.checkpoints = append(m.hashes, added...), append(m.checkpoints, checkpoint)
	}
}

// rewrite makes the tree anew over other texts.
func (m *tree) rewrite(t *testing.T, texts ...string) {
	t.Helper()
	m.hashes, m.checkpoints = nil, nil
	m.grow(t, false, texts...)
}

func (m *tree) Size(context.Context) (int64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown > 0 {
		return m.shown, m.err
	}
	return int64(len(m.checkpoints)), m.err
}

func (m *tree) Root(_ context.Context, size int64) (tlog.Hash, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return tlog.TreeHash(size, m)
}

func (m *tree) OnlyCheckpointsSince(_ context.Context, index int64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return !slices.Contains(m.checkpoints[index:], false), nil
}

// fixture is a log, its tree and what signs it.
type fixture struct {
	t     *testing.T
	store commands.EventStore
	clock *commandstest.Clock
	tree  *tree
	seeds []byte // of the keys of the ring
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	clock := commandstest.NewClock(start)
	f := &fixture{t: t, store: memorystore.New(clock.Now), clock: clock, tree: &tree{}, seeds: []byte{1}}
	f.tree.grow(t, false, "one", "two", "three")
	return f
}

func (f *fixture) keys(origin string) ([]leaves.Signer, error) {
	var signers []leaves.Signer
	for _, seed := range f.seeds {
		signer, err := leaves.NewSigner(origin, ed25519.NewKeyFromSeed(append(make([]byte, ed25519.SeedSize-1), seed)))
		if err != nil {
			return nil, err
		}
		signers = append(signers, signer)
	}
	return signers, nil
}

func (f *fixture) signer() *transparency.CheckpointSigner {
	f.t.Helper()
	signer, err := transparency.NewCheckpointSigner(f.config())
	if err != nil {
		f.t.Fatal(err)
	}
	return signer
}

func (f *fixture) config() transparency.SignerConfig {
	return transparency.SignerConfig{
		Executor: commands.Executor{Store: f.store, Now: f.clock.Now}, Tree: f.tree, Keys: f.keys, Origin: origin, Log: slog.New(slog.DiscardHandler),
		CatchUp: func(context.Context) error { return nil },
	}
}

// sign looks once and returns whether a checkpoint was signed.
func (f *fixture) sign(s *transparency.CheckpointSigner) bool {
	f.t.Helper()
	signed, err := s.SignCheckpoint(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return signed
}

// signed returns the checkpoints in the log.
func (f *fixture) signed() []domain.CheckpointSigned {
	f.t.Helper()
	page, err := f.store.Read(context.Background(), domain.TransparencyStream, 0, 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	var signed []domain.CheckpointSigned
	for _, recorded := range page {
		signed = append(signed, recorded.Event.(domain.CheckpointSigned))
	}
	return signed
}

func TestCheckpointIsSignedOfTheTree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.seeds = []byte{2, 1}
	signer := f.signer()
	if status := signer.Status(); status.Known || signer.Check() != nil {
		t.Errorf("before the first look: %+v", status)
	}
	if !f.sign(signer) {
		t.Fatal("nothing was signed")
	}
	signed := f.signed()
	root, _ := f.tree.Root(t.Context(), 3)
	want := leaves.Checkpoint{Origin: origin, Tree: tlog.Tree{N: 3, Hash: root}}
	if c, err := leaves.OfEvent(signed[0]); err != nil || c != want || !signed[0].SignedAt.Equal(start) {
		t.Errorf("got %+v, %v", signed[0], err)
	}
	keys, _ := f.keys(origin)
	if got := signed[0].Keys; !slices.Equal(got, []string{keys[0].VerifierKey, keys[1].VerifierKey}) {
		t.Errorf("it is signed by %v", got)
	}
	if status := signer.Status(); status != (transparency.Status{Known: true, Leaves: 3, Signed: 3}) {
		t.Errorf("the status is %+v", status)
	}
}

func TestWhenCheckpointsAreSigned(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		then func(f *fixture)
		want bool
	}{
		"more came, and a minute went by": {func(f *fixture) { f.tree.grow(f.t, false, "four"); f.clock.Advance(time.Minute) }, true},
		"more came at once":               {func(f *fixture) { f.tree.grow(f.t, false, "four"); f.clock.Advance(time.Minute - 1) }, false},
		"nothing came":                    {func(f *fixture) { f.clock.Advance(time.Hour) }, false},
		"only the checkpoint came":        {func(f *fixture) { f.tree.grow(f.t, true, "checkpoint"); f.clock.Advance(time.Hour) }, false},
		"more came behind the checkpoint": {func(f *fixture) {
			f.tree.grow(f.t, true, "checkpoint")
			f.tree.grow(f.t, false, "four")
			f.clock.Advance(time.Hour)
		}, true},
		"more came before the checkpoint": {func(f *fixture) {
			f.tree.grow(f.t, false, "four")
			f.tree.grow(f.t, true, "checkpoint")
			f.clock.Advance(time.Hour)
		}, true},
		"the tree is made anew":               {func(f *fixture) { f.tree.shown = 2; f.clock.Advance(time.Hour) }, false},
		"a month has ended, within a minute":  {func(f *fixture) { f.tree.grow(f.t, false, "four"); f.clock.Set(start.Add(12 * time.Hour)) }, true},
		"the month ended and nothing came":    {func(f *fixture) { f.clock.Set(start.Add(12 * time.Hour)) }, false},
		"another key is in use, nothing came": {func(f *fixture) { f.seeds = []byte{2, 1}; f.clock.Advance(time.Hour) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			if strings.Contains(name, "within a minute") {
				f.clock.Set(start.Add(12*time.Hour - time.Second))
			}
			signer := f.signer()
			if !f.sign(signer) {
				t.Fatal("the first was not signed")
			}
			tt.then(f)
			if got := f.sign(signer); got != tt.want || len(f.signed()) != 1+btoi(tt.want) {
				t.Errorf("signed %t, want %t; the log holds %d", got, tt.want, len(f.signed()))
			}
			if size, _ := f.tree.Size(t.Context()); tt.want && signer.Status().Signed != size {
				t.Errorf("of %d leaves %d are signed", size, signer.Status().Signed)
			}
		})
	}
}

// The checkpoint at a month's end holds the month's last events, also when the tree comes to them late.
func TestTheMonthsLastEventsAreUnderItsCheckpoint(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.clock.Set(start.Add(12*time.Hour - time.Second))
	config := f.config()
	waited, behind := 0, errors.New("it is behind")
	config.CatchUp = func(context.Context) error {
		if waited++; waited == 1 {
			return behind
		}
		f.tree.grow(t, false, "the month's last")
		return nil
	}
	signer, err := transparency.NewCheckpointSigner(config)
	if err != nil {
		t.Fatal(err)
	}
	if !f.sign(signer) || waited > 0 {
		t.Fatalf("in the month it has waited %d times", waited)
	}
	f.tree.grow(t, false, "four")
	f.clock.Advance(time.Second)
	if signed, err := signer.SignCheckpoint(t.Context()); signed || !errors.Is(err, behind) || !errors.Is(signer.Check(), behind) {
		t.Errorf("while the tree is behind: %t, %v", signed, err)
	}
	if !f.sign(signer) || f.signed()[1].Size != 5 {
		t.Errorf("the checkpoint is of %d leaves, want 5", f.signed()[1].Size)
	}
	f.tree.grow(t, false, "the next month's first")
	f.clock.Advance(time.Minute)
	if !f.sign(signer) || waited != 2 {
		t.Errorf("it was waited for %d times, want 2", waited)
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func TestNothingIsSignedOfAnEmptyTree(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tree.rewrite(t)
	if f.sign(f.signer()) || len(f.signed()) > 0 {
		t.Errorf("signed %v", f.signed())
	}
}

// Of a history that is not the one that was signed nothing is signed any more, whoever asks, and however often.
func TestChangedHistoryIsNotSigned(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(f *fixture){
		"an event was changed":  func(f *fixture) { f.tree.rewrite(f.t, "one", "TWO", "three", "four") },
		"an event was left out": func(f *fixture) { f.tree.rewrite(f.t, "one", "three", "four") },
		"events were swapped":   func(f *fixture) { f.tree.rewrite(f.t, "two", "one", "three", "four") },
		"one was put in":        func(f *fixture) { f.tree.rewrite(f.t, "one", "one and a half", "two", "three", "four") },
		"the note was rewritten": func(f *fixture) {
			f.forge(func(e *domain.CheckpointSigned) { e.Note = strings.Replace(e.Note, "\n3\n", "\n2\n", 1) })
		},
		"the root was rewritten": func(f *fixture) { f.forge(func(e *domain.CheckpointSigned) { e.Root = tlog.RecordHash(nil).String() }) },
		"nothing is said to have been signed": func(f *fixture) {
			f.forge(func(e *domain.CheckpointSigned) { e.Note, e.Keys = "", nil })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.sign(f.signer())
			f.tree.grow(t, false, "four")
			change(f)
			before := len(f.signed())
			for range 2 {
				f.clock.Advance(time.Hour)
				signer := f.signer()
				if signed, err := signer.SignCheckpoint(t.Context()); signed || !errors.Is(err, transparency.ErrHistoryChanged) {
					t.Errorf("signed %t, %v", signed, err)
				}
				if status := signer.Status(); !status.Forked || !errors.Is(signer.Check(), transparency.ErrHistoryChanged) || !status.Known {
					t.Errorf("the status is %+v", status)
				}
			}
			if after := len(f.signed()); after != before {
				t.Errorf("%d checkpoints were %d", after, before)
			}
		})
	}
}

// What is called a checkpoint and says nothing neither stops the signing nor hides what was signed before it.
func TestCheckpointsOfNothingArePassedOver(t *testing.T) {
	t.Parallel()
	for name, changed := range map[string]bool{"the history is whole": false, "an event was changed": true} {
		f := newFixture(t)
		f.sign(f.signer())
		for range 2 {
			f.forge(func(e *domain.CheckpointSigned) { *e = domain.CheckpointSigned{} })
		}
		if changed {
			f.tree.rewrite(t, "one", "TWO", "three")
		}
		f.tree.grow(t, false, "four")
		f.clock.Advance(time.Minute)
		signer := f.signer()
		if signed, err := signer.SignCheckpoint(t.Context()); signed == changed || errors.Is(err, transparency.ErrHistoryChanged) != changed {
			t.Errorf("%s: signed %t, %v", name, signed, err)
		}
	}
}

// forge appends the last checkpoint again, changed.
func (f *fixture) forge(change func(*domain.CheckpointSigned)) {
	f.t.Helper()
	signed := f.signed()
	event := signed[len(signed)-1]
	change(&event)
	x := commands.Executor{Store: f.store, Now: f.clock.Now}
	proposed := x.Propose(commands.NewOrigin(domain.ActorSystem), domain.TransparencyStream, int64(len(signed)-1), []domain.Event{event})
	if _, err := f.store.Append(f.t.Context(), domain.TransparencyStream, int64(len(signed)-1), proposed); err != nil {
		f.t.Fatal(err)
	}
}

func TestTroubleIsToldAndIsNoFork(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.tree.err = errors.New("the database is down")
	signer := f.signer()
	if _, err := signer.SignCheckpoint(t.Context()); err == nil || signer.Status().Forked || signer.Check() == nil {
		t.Errorf("%v, the status is %+v", err, signer.Status())
	}
	f.tree.err = nil
	if !f.sign(signer) || signer.Check() != nil {
		t.Errorf("afterwards the status is %+v", signer.Status())
	}
}

// However many workers sign, each checkpoint has grown from the one before it: none is signed twice, and there is one history.
func TestWorkersNeverForkTheLog(t *testing.T) {
	t.Parallel()
	for _, late := range []bool{false, true} {
		f := newFixture(t)
		if late {
			f.store = eventstoretest.LateWinner(f.store, 2, true)
		}
		const workers, rounds = 4, 10
		for range rounds {
			f.tree.grow(t, false, "more", "and more")
			var working sync.WaitGroup
			for range workers {
				signer := f.signer()
				working.Go(func() {
					if _, err := signer.SignCheckpoint(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			working.Wait()
			f.clock.Advance(time.Minute)
		}
		signed := f.signed()
		if len(signed) != rounds {
			t.Fatalf("%d checkpoints in %d rounds", len(signed), rounds)
		}
		for i, e := range signed {
			if root, _ := f.tree.Root(t.Context(), e.Size); root.String() != e.Root || e.Size != int64(5+2*i) {
				t.Errorf("checkpoint %d is of %d leaves with the root %s", i, e.Size, e.Root)
			}
		}
	}
}

func TestRunSignsUntilItIsStopped(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	f.store = &commandstest.HookedStore{EventStore: f.store, BeforeReadLast: func(string) {
		if len(f.signed()) > 0 {
			stop()
		}
	}}
	if err := f.signer().Run(ctx, time.Microsecond); err != nil || len(f.signed()) != 1 {
		t.Errorf("%d signed, %v", len(f.signed()), err)
	}
}

// What keeps checkpoints from being signed is logged, by how bad it is; that the node stops is not.
func TestRunLogsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change  func(*fixture)
		stopped bool // while it signs
		want    string
	}{
		"nothing":             {func(*fixture) {}, false, ""},
		"the tree is away":    {func(f *fixture) { f.tree.err = errors.New("no connection") }, false, "level=WARN msg=\"no checkpoint could be signed"},
		"the history changed": {func(f *fixture) { f.tree.rewrite(f.t, "one", "TWO", "three") }, false, "level=ERROR msg=\"NO CHECKPOINT IS SIGNED"},
		"it stops":            {func(f *fixture) { f.tree.err = errors.New("no connection") }, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.sign(f.signer())
			test.change(f)
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			looks := 0
			f.store = &commandstest.HookedStore{EventStore: f.store, BeforeReadLast: func(string) {
				if looks++; looks > 1 || test.stopped {
					stop()
				}
			}}
			config, log := f.config(), &strings.Builder{}
			config.Log = slog.New(slog.NewTextHandler(log, nil))
			signer, err := transparency.NewCheckpointSigner(config)
			if err != nil {
				t.Fatal(err)
			}
			if err := signer.Run(ctx, time.Microsecond); err != nil {
				t.Fatal(err)
			}
			if lines := strings.Count(log.String(), "\n"); !strings.Contains(log.String(), test.want) || (lines == 1) != (test.want != "") || lines > 1 {
				t.Errorf("want %q in %q", test.want, log)
			}
		})
	}
}

func TestSignerNeedsAllItsParts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*transparency.SignerConfig){
		"store": func(c *transparency.SignerConfig) { c.Store = nil }, "clock": func(c *transparency.SignerConfig) { c.Now = nil },
		"tree": func(c *transparency.SignerConfig) { c.Tree = nil }, "keys": func(c *transparency.SignerConfig) { c.Keys = nil },
		"log":              func(c *transparency.SignerConfig) { c.Log = nil },
		"catching up":      func(c *transparency.SignerConfig) { c.CatchUp = nil },
		"origin of a name": func(c *transparency.SignerConfig) { c.Origin = "a log" },
		"any key":          func(c *transparency.SignerConfig) { c.Keys = func(string) ([]leaves.Signer, error) { return nil, nil } },
	} {
		config := newFixture(t).config()
		change(&config)
		if _, err := transparency.NewCheckpointSigner(config); err == nil {
			t.Errorf("without %s it is built", name)
		}
	}
}
