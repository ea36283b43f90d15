package transparency

import (
	"context"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain/transparency"
)

// Tree is the Merkle tree over the log, as a read model has it. It may be behind the log.
//
// Size returns how many leaves it has.
//
// Root returns its root hash when it had a number of leaves, not more than Size.
//
// OnlyCheckpointsSince returns whether all leaves from an index on are checkpoints.
type Tree interface {
	Size(ctx context.Context) (int64, error)
	Root(ctx context.Context, size int64) (tlog.Hash, error)
	OnlyCheckpointsSince(ctx context.Context, index int64) (bool, error)
}

// Keys returns what signs checkpoints of an origin: the key in use first, then the others of the key ring. All of them sign,
// so that who knows an old key is led to the next one.
type Keys func(origin string) ([]transparency.Signer, error)
