package counting

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// KeyOwner is what a valid API key stands for.
type KeyOwner struct {
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	Slot           domain.KeySlot
}

// KeyDirectory finds the owner of a current key by any of the hashes that the server's secrets give it, in one look at what is
// known: while a digest is made again under another secret, the key is known by the one or the other. It returns by which one it is,
// empty when no current key has any of them.
type KeyDirectory interface {
	FindKey(ctx context.Context, hashes []string) (owner KeyOwner, by string, err error)
}

// CheckIndex finds counted calls that had an Idempotency-Key by their id; others are never looked up. It may lag behind the
// log; indexed says up to which ordinal of the month it is complete, so that the caller reads the rest from the stream.
type CheckIndex interface {
	FindCheck(ctx context.Context, subscription uuid.UUID, month domain.Month, check uuid.UUID) (ordinal int64, found bool, indexed int64, err error)
}

// Share is for which subscription an image is judged. While several wait, each gets processor time in proportion to its
// weight, 1 when that is not above 0.
type Share struct {
	SubscriptionID uuid.UUID
	Weight         float64
}

// Judge judges the largest face of an image. Its refusals are domain errors (invalid image, overloaded).
type Judge interface {
	Judge(ctx context.Context, share Share, image []byte, format string) (domain.Judgement, error)
}
