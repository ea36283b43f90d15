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

// pageSize is how many events are read at a time; streams are short, so one page is the rule.
const pageSize = 500

// maxDecisions bounds how often a command decides again after losing to another writer.
const maxDecisions = 10

// foldable is an aggregate's state.
type foldable[S any] interface {
	Fold(event domain.Event) S
}

// load folds a stream. The revision is NoStream when it has no events.
func load[S foldable[S]](ctx context.Context, store EventStore, stream string) (state S, revision int64, err error) {
	return catchUp(ctx, store, stream, state, NoStream)
}

// catchUp folds what a stream has gained since revision.
func catchUp[S foldable[S]](ctx context.Context, store EventStore, stream string, state S, revision int64) (S, int64, error) {
	for {
		page, err := store.Read(ctx, stream, uint64(revision+1), pageSize)
		if err != nil {
			return state, revision, fmt.Errorf("read %s: %w", stream, err)
		}
		for _, recorded := range page {
			state, revision = state.Fold(recorded.Event), int64(recorded.Revision)
		}
		if len(page) < pageSize {
			return state, revision, nil
		}
	}
}

// decision is what a command came to: the state with its events folded in, its revision, and the position to wait for when
// a screen follows. Position is 0 when nothing was recorded.
type decision[S any] struct {
	State    S
	Revision int64
	Position uint64
}

// execute runs a command on one stream: load, decide, append at the loaded revision, again on a conflict.
func execute[S foldable[S]](
	ctx context.Context, a *Application, by Origin, stream string, decide func(S) ([]domain.Event, error),
) (decision[S], error) {
	state, revision, err := load[S](ctx, a.store, stream)
	if err != nil {
		return decision[S]{State: state}, unavailable(err)
	}
	return executeFrom(ctx, a, by, stream, state, revision, decide)
}

// executeFrom runs a command on a stream that is loaded already.
func executeFrom[S foldable[S]](
	ctx context.Context, a *Application, by Origin, stream string, state S, revision int64, decide func(S) ([]domain.Event, error),
) (decision[S], error) {
	var err error
	for attempt := 1; err == nil; attempt++ {
		events, refusal := decide(state)
		if refusal != nil || len(events) == 0 {
			return decision[S]{State: state, Revision: revision}, refusal
		}
		appended, appendErr := appendSurely(ctx, a.store, stream, revision, a.propose(by, stream, revision, events))
		if appendErr == nil {
			for _, event := range events {
				state = state.Fold(event)
			}
			return decision[S]{State: state, Revision: int64(appended.Revision), Position: appended.Position}, nil
		}
		if !errors.Is(appendErr, ErrConflict) || attempt == maxDecisions {
			return decision[S]{State: state}, unavailable(fmt.Errorf("append to %s: %w", stream, appendErr))
		}
		state, revision, err = catchUp(ctx, a.store, stream, state, revision)
	}
	return decision[S]{State: state}, unavailable(err)
}

// propose gives events their ids and metadata. The ids follow from the command, the stream and the place in it: the
// same decision repeated gets the same ids, a new decision after a conflict new ones.
func (a *Application) propose(by Origin, stream string, revision int64, events []domain.Event) []Proposed {
	proposed := make([]Proposed, len(events))
	for i, event := range events {
		place := stream + "@" + strconv.FormatInt(revision+1+int64(i), 10)
		proposed[i] = Proposed{
			ID:    domain.DerivedID(by.CommandID, place),
			Event: event,
			Meta: domain.Metadata{
				CorrelationID: by.CorrelationID, CausationID: by.CommandID, Actor: by.Actor, OccurredAt: a.now().UTC(),
			},
		}
	}
	return proposed
}

// appendSurely repeats an append whose outcome is unknown until the store says what became of it. The repetition is
// identical to the letter, so the store recognises it when the first one got through.
func appendSurely(ctx context.Context, store EventStore, stream string, expected int64, events []Proposed) (Appended, error) {
	policy := backoff.NewExponentialBackOff()
	policy.InitialInterval, policy.MaxInterval = 20*time.Millisecond, time.Second
	return backoff.Retry(ctx, func() (Appended, error) {
		appended, err := store.Append(ctx, stream, expected, events)
		if err != nil && !errors.Is(err, ErrStoreUnavailable) {
			return appended, backoff.Permanent(err)
		}
		return appended, err
	}, backoff.WithBackOff(policy), backoff.WithMaxElapsedTime(15*time.Second))
}

// unavailable tells the caller that a part of ours does not answer, unless the error already says what is wrong.
func unavailable(err error) error {
	if err == nil || domain.KindOf(err) != "" || errors.Is(err, context.Canceled) {
		return err
	}
	return domain.ErrUnavailable.Because(err)
}
