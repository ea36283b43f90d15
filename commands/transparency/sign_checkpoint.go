package transparency

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// ErrHistoryChanged says that the tree is not the one that the last checkpoint was signed of. Nothing is signed then: a second
// history would be vouched for beside the first.
var ErrHistoryChanged = errors.New("what was signed of the log's history is not what the tree over it says now")

// SignerConfig is what a CheckpointSigner is built from. All of it is required.
type SignerConfig struct {
	commands.Executor
	Tree   Tree
	Keys   Keys
	Origin string
	Log    *slog.Logger

	// CatchUp returns once the tree holds everything that the log holds at the call. It is called at a month's end, so that
	// the month's last events are not left to a checkpoint of the next one.
	CatchUp func(context.Context) error
}

// CheckpointSigner signs checkpoints. Any number of nodes may run it: each checkpoint is appended at an exact revision, by who
// has seen the one before it.
type CheckpointSigner struct {
	SignerConfig

	mu     sync.Mutex
	status Status
}

// Status is how signing stands on this node.
type Status struct {
	Known  bool  // false before the first look
	Leaves int64 // of the tree
	Signed int64 // leaves of the last checkpoint
	Forked bool  // the tree is not the one that was signed
	Err    error // why the last look did not succeed; nil when it did
}

// NewCheckpointSigner checks the configuration: there has to be a key that can be named by the origin.
func NewCheckpointSigner(config SignerConfig) (*CheckpointSigner, error) {
	if config.Store == nil || config.Now == nil || config.Tree == nil || config.Keys == nil || config.Log == nil || config.CatchUp == nil {
		return nil, errors.New("signing checkpoints needs a store, a clock, a tree that can catch up, keys and a log")
	}
	keys, err := config.Keys(config.Origin)
	if err == nil && len(keys) == 0 {
		err = errors.New("the key ring has none")
	}
	if err != nil {
		return nil, fmt.Errorf("find the keys that sign checkpoints: %w", err)
	}
	return &CheckpointSigner{SignerConfig: config}, nil
}

// Run looks every so often until ctx ends.
func (s *CheckpointSigner) Run(ctx context.Context, every time.Duration) error {
	for ctx.Err() == nil {
		switch _, err := s.SignCheckpoint(ctx); {
		case ctx.Err() != nil:
		case errors.Is(err, ErrHistoryChanged):
			s.Log.ErrorContext(ctx, "NO CHECKPOINT IS SIGNED: the history of the log was changed, or the tree over it. "+
				"`liveness audit verify --read-models` says where", "error", err)
		case err != nil:
			s.Log.WarnContext(ctx, "no checkpoint could be signed; it will be tried again", "error", err)
		}
		_ = commands.Sleep(ctx, every)
	}
	return nil
}

// Status returns how the last look ended.
func (s *CheckpointSigner) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Check returns why checkpoints are not signed on this node, nil when nothing is wrong.
func (s *CheckpointSigner) Check() error { return s.Status().Err }

// SignCheckpoint signs the tree as it is, when it is time and more than checkpoints came since the last one. It returns whether
// it did. In any case the tree has to be the one that was signed last, grown.
func (s *CheckpointSigner) SignCheckpoint(ctx context.Context) (signed bool, err error) {
	status := Status{Known: true}
	defer func() {
		status.Forked, status.Err = errors.Is(err, ErrHistoryChanged), err
		s.mu.Lock()
		defer s.mu.Unlock()
		s.status = status
	}()
	state, revision, err := s.newest(ctx)
	if err != nil {
		return false, commands.Unavailable(fmt.Errorf("read the last checkpoint: %w", err))
	}
	if state.EndsMonth(s.Now()) {
		if err := s.CatchUp(ctx); err != nil {
			return false, fmt.Errorf("wait for the last events of the month: %w", err)
		}
	}
	done, err := commands.ExecuteFrom(ctx, s.Executor, commands.NewOrigin(domain.ActorSystem), domain.TransparencyStream, state, revision,
		func(c domain.Checkpoints) ([]domain.Event, error) {
			size, err := s.Tree.Size(ctx)
			status.Leaves = size
			if err != nil {
				return nil, err
			}
			return s.decide(ctx, c, size)
		})
	status.Signed = done.State.Last.Size
	return done.Position > 0, err
}

// newest returns the newest checkpoint and how far its stream is read. What says nothing hides none before it.
func (s *CheckpointSigner) newest(ctx context.Context) (c domain.Checkpoints, revision int64, err error) {
	last, found, err := s.Store.ReadLast(ctx, domain.TransparencyStream)
	if err != nil || !found {
		return c, commands.NoStream, err
	}
	c = c.Fold(last.Event)
	for before := last.Revision; c.Last.Size == 0 && before > 0; before-- {
		page, err := s.Store.Read(ctx, domain.TransparencyStream, before-1, 1)
		if err != nil {
			return c, commands.NoStream, err
		}
		for _, recorded := range page {
			c = c.Fold(recorded.Event)
		}
	}
	return c, int64(last.Revision), nil
}

// decide returns the next checkpoint, or none.
func (s *CheckpointSigner) decide(ctx context.Context, c domain.Checkpoints, size int64) ([]domain.Event, error) {
	if size < c.Last.Size {
		return nil, nil // the tree is being made anew
	}
	if err := s.grownFrom(ctx, c.Last); err != nil {
		return nil, err
	}
	now := s.Now().UTC().Truncate(time.Microsecond) // as read models keep it
	if size == c.Last.Size || !c.Due(now) {
		return nil, nil
	}
	if only, err := s.Tree.OnlyCheckpointsSince(ctx, c.Last.Size); err != nil || only {
		return nil, err
	}
	root, err := s.Tree.Root(ctx, size)
	if err != nil {
		return nil, err
	}
	event, err := s.sign(transparency.Checkpoint{Origin: s.Origin, Tree: tlog.Tree{N: size, Hash: root}}, now)
	if err != nil {
		return nil, err
	}
	return []domain.Event{event}, nil
}

// grownFrom returns ErrHistoryChanged unless the tree had the root of a checkpoint when it had its size.
func (s *CheckpointSigner) grownFrom(ctx context.Context, last domain.CheckpointSigned) error {
	if last.Size == 0 {
		return nil
	}
	signed, err := transparency.OfEvent(last)
	if err != nil {
		return fmt.Errorf("%w: the checkpoint of %d leaves: %w", ErrHistoryChanged, last.Size, err)
	}
	root, err := s.Tree.Root(ctx, signed.N)
	if err != nil {
		return err
	}
	if root != signed.Hash {
		return fmt.Errorf("%w: the root of its first %d leaves was signed as %s on %s and is %s now",
			ErrHistoryChanged, signed.N, signed.Hash, last.SignedAt.Format(time.RFC3339), root)
	}
	return nil
}

func (s *CheckpointSigner) sign(c transparency.Checkpoint, at time.Time) (domain.CheckpointSigned, error) {
	keys, err := s.Keys(c.Origin)
	if err != nil {
		return domain.CheckpointSigned{}, err
	}
	note, err := c.Sign(keys...)
	if err != nil {
		return domain.CheckpointSigned{}, err
	}
	event := domain.CheckpointSigned{Origin: c.Origin, Size: c.N, Root: c.Hash.String(), Note: note, SignedAt: at}
	for _, key := range keys {
		event.Keys = append(event.Keys, key.VerifierKey)
	}
	return event, nil
}
