package proofs

import (
	"context"
	"time"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/transparency"
)

// Log reads whole streams.
//
// ReadStream returns the events in a stream, oldest first and with their bytes; none when the stream does not exist. Those
// that are not the product's come without their Event.
type Log interface {
	ReadStream(ctx context.Context, stream string) ([]domain.Recorded, error)
}

// Tree is the transparency tree, as a read model has it.
//
// Indexes returns the indexes of the leaves of the events at positions of the log. What is not in the tree yet is left out.
//
// Hashes returns a reader of the tree's hashes.
//
// Checkpoint returns the checkpoint that was signed last, CheckpointBefore the last one that was signed before a time; false
// when there is none.
type Tree interface {
	Indexes(ctx context.Context, positions []uint64) (map[uint64]int64, error)
	Hashes(ctx context.Context) tlog.HashReader
	Checkpoint(ctx context.Context) (domain.CheckpointSigned, bool, error)
	CheckpointBefore(ctx context.Context, at time.Time) (domain.CheckpointSigned, bool, error)
}

// Keys returns what signs for the log of an origin.
type Keys func(origin string) ([]transparency.Signer, error)
