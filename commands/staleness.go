package commands

import (
	"context"
	"time"
)

// MaxStaleness is how old an answer may be, measured from when it was asked for, that a node still acts on. It spares
// most checks of a busy customer a look at the keys and at the subscription.
//
// Whoever changes something that must hold on every node answers only when the change can be seen and this time has
// passed since: by then no node can act on what was before, without any node knowing of another. It takes clocks that
// run at the same speed, not clocks that agree.
const MaxStaleness = 250 * time.Millisecond

// Fresh returns whether what was asked for then may still be acted on.
func Fresh(asked, now time.Time) bool {
	age := now.Sub(asked)
	return age >= 0 && age < MaxStaleness
}

// speedMargin is for clocks that run at slightly different speeds.
const speedMargin = 10 * time.Millisecond

// WaitOutStaleness waits until no node acts any more on what was before this moment.
func WaitOutStaleness(ctx context.Context) error {
	return Sleep(ctx, MaxStaleness+speedMargin)
}
