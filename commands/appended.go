package commands

import (
	"context"
	"sync/atomic"
)

type appendedKey struct{}

// NoteAppended returns a context under which commands note what they append, so that whoever runs several, or one that fails behind
// an event that stands, knows how far a read model has to come.
func NoteAppended(ctx context.Context) context.Context {
	return context.WithValue(ctx, appendedKey{}, new(atomic.Uint64))
}

// NewestAppended returns the position of the newest event that was appended under a context of NoteAppended; 0 when there is none.
func NewestAppended(ctx context.Context) uint64 {
	if newest, ok := ctx.Value(appendedKey{}).(*atomic.Uint64); ok {
		return newest.Load()
	}
	return 0
}

// Note tells NewestAppended of an append.
func (a Appended) Note(ctx context.Context) {
	newest, ok := ctx.Value(appendedKey{}).(*atomic.Uint64)
	for known := uint64(0); ok && known < a.Position && !newest.CompareAndSwap(known, a.Position); {
		known = newest.Load()
	}
}
