package commands

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/pas-ta/liveness/domain"
)

// PageSize is how many events are read at a time; streams are short, so one page is the rule.
const PageSize = 500

// MaxDecisions bounds how often a command decides again after losing to another writer.
const MaxDecisions = 10

// Aggregate is the state that a stream's events fold into.
type Aggregate[S any] interface {
	Fold(event domain.Event) S
}

// Load folds a stream. The revision is NoStream when it has no events.
func Load[S Aggregate[S]](ctx context.Context, store EventStore, stream string) (state S, revision int64, err error) {
	return CatchUp(ctx, store, stream, state, NoStream)
}

// CatchUp folds what a stream has gained since revision.
func CatchUp[S Aggregate[S]](ctx context.Context, store EventStore, stream string, state S, revision int64) (S, int64, error) {
	for {
		page, err := store.Read(ctx, stream, uint64(revision+1), PageSize)
		if err != nil {
			return state, revision, fmt.Errorf("read %s: %w", stream, err)
		}
		for _, recorded := range page {
			state, revision = state.Fold(recorded.Event), int64(recorded.Revision)
		}
		if len(page) < PageSize {
			return state, revision, nil
		}
	}
}

// Read folds a stream as Load does, for a caller that decides on another stream; its errors carry a kind.
func Read[S Aggregate[S]](ctx context.Context, store EventStore, stream string) (S, error) {
	state, _, err := Load[S](ctx, store, stream)
	return state, Unavailable(err)
}

// Result is what a command came to: the state with its events folded in, its revision, and the position to wait for when
// a screen follows. Position is 0 when nothing was recorded.
type Result[S any] struct {
	State    S
	Revision int64
	Position uint64
}

// Executor is what commands run with. Now is the wall clock; tests set their own.
type Executor struct {
	Store EventStore
	Now   func() time.Time
}

// Execute runs a command on one stream: load, decide, append at the loaded revision, again on a conflict.
func Execute[S Aggregate[S]](
	ctx context.Context, x Executor, by Origin, stream string, decide func(S) ([]domain.Event, error),
) (Result[S], error) {
	state, revision, err := Load[S](ctx, x.Store, stream)
	if err != nil {
		return Result[S]{State: state}, Unavailable(err)
	}
	return ExecuteFrom(ctx, x, by, stream, state, revision, decide)
}

// ExecuteFrom runs a command on a stream that is loaded already.
func ExecuteFrom[S Aggregate[S]](
	ctx context.Context, x Executor, by Origin, stream string, state S, revision int64, decide func(S) ([]domain.Event, error),
) (Result[S], error) {
	var err error
	for attempt := 1; err == nil; attempt++ {
		events, refusal := decide(state)
		if refusal != nil || len(events) == 0 {
			return Result[S]{State: state, Revision: revision}, refusal
		}
		appended, appendErr := AppendUntilKnown(ctx, x.Store, stream, revision, x.Propose(by, stream, revision, events))
		if appendErr == nil {
			for _, event := range events {
				state = state.Fold(event)
			}
			return Result[S]{State: state, Revision: int64(appended.Revision), Position: appended.Position}, nil
		}
		winner, conflicted := ConflictRevision(appendErr, revision)
		if !conflicted || attempt == MaxDecisions {
			return Result[S]{State: state}, Unavailable(fmt.Errorf("append to %s: %w", stream, appendErr))
		}
		err = AwaitRevision(ctx, winner, func(ctx context.Context) (int64, error) {
			var err error
			state, revision, err = CatchUp(ctx, x.Store, stream, state, revision)
			return revision, err
		})
	}
	return Result[S]{State: state}, Unavailable(err)
}

// ConflictRevision returns the revision that has to be read before it makes sense to decide again on a stream that was
// expected at another: how far the store says that the stream has come, or else anything newer.
func ConflictRevision(err error, expected int64) (revision int64, conflicted bool) {
	if conflict := (*ConflictError)(nil); errors.As(err, &conflict) {
		return conflict.Revision, true
	}
	return expected + 1, errors.Is(err, ErrConflict)
}

// winnerTimeout bounds how long the event that won a conflict may stay unreadable.
const winnerTimeout = 5 * time.Second

// AwaitRevision reads until a stream is known up to a revision. A store answers a conflict as soon as another append is
// decided, which may be before a read shows it: to decide again at once would lose to the same event again and again.
func AwaitRevision(ctx context.Context, revision int64, read func(context.Context) (int64, error)) error {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval = time.Millisecond, 200*time.Millisecond
	_, err := backoff.Retry(ctx, func() (int64, error) {
		reached, err := read(ctx)
		switch {
		case err != nil:
			return reached, backoff.Permanent(err)
		case reached < revision:
			return reached, fmt.Errorf("%w: revision %d is decided and cannot be read yet, only up to %d", ErrStoreUnavailable, revision, reached)
		}
		return reached, nil
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(winnerTimeout))
	return err
}

// Propose gives events their ids and metadata. The ids follow from the command, the stream and the place in it: the
// same decision repeated gets the same ids, a new decision after a conflict new ones.
func (x Executor) Propose(by Origin, stream string, revision int64, events []domain.Event) []Proposed {
	proposed := make([]Proposed, len(events))
	for i, event := range events {
		place := stream + "@" + strconv.FormatInt(revision+1+int64(i), 10)
		proposed[i] = Proposed{
			ID:    domain.DerivedID(by.CommandID, place),
			Event: event,
			Meta: domain.Metadata{
				CorrelationID: by.CorrelationID, CausationID: by.CommandID, Actor: by.Actor, Account: by.Account, OccurredAt: x.Now().UTC(),
			},
		}
	}
	return proposed
}

// appendKnownTimeout is how long after the first attempt an append of unknown outcome is still repeated.
const appendKnownTimeout = 5 * time.Second

// AppendUntilKnown repeats an append whose outcome is unknown until the store says what became of it. The repetition is
// identical to the letter, so the store recognises it when the first one got through. What was never sent, because the
// store is known to be down, is not repeated. It fails with ErrOutcomeUnknown when it gives up on an append that was sent;
// after any other error nothing was appended.
func AppendUntilKnown(ctx context.Context, store EventStore, stream string, expected int64, events []Proposed) (Appended, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval = 20*time.Millisecond, time.Second
	sent := false // and not answered
	appended, err := backoff.Retry(ctx, func() (Appended, error) {
		appended, err := store.Append(ctx, stream, expected, events)
		down := errors.Is(err, ErrStoreDown)
		sent = sent || errors.Is(err, ErrStoreUnavailable) && !down || isOver(err)
		if err != nil && !errors.Is(err, ErrStoreUnavailable) || down && !sent {
			return appended, backoff.Permanent(err)
		}
		return appended, err
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(appendKnownTimeout))
	if err == nil {
		appended.Note(ctx)
	}
	if err != nil && sent && !errors.Is(err, ErrConflict) { // which also says that the first attempt did not get through
		err = fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return appended, err
}

// isOver returns whether a call was given up because its context has ended.
func isOver(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

// errPerhapsDone is what a caller is told whose command may have been carried out or not.
var errPerhapsDone = domain.ErrUnavailable.Saying(
	"Whether this was done is not known: the answer did not come in time. Look whether it was before you try again.")

// Unavailable tells the caller that a part of ours does not answer, unless the error already says what is wrong, and that
// the outcome is not known where that is so.
func Unavailable(err error) error {
	if err == nil || domain.KindOf(err) != "" || errors.Is(err, context.Canceled) {
		return err
	}
	if errors.Is(err, ErrOutcomeUnknown) {
		return errPerhapsDone.Because(err)
	}
	return domain.ErrUnavailable.Because(err)
}

// ConcernsAll tells what fails for everything that is worked on alike from what fails for one, say because its stream holds an
// event that this program does not know.
func ConcernsAll(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, ErrStoreUnavailable) || errors.Is(err, context.DeadlineExceeded))
}
