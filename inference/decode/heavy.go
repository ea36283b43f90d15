package decode

import (
	"context"
	"runtime/debug"

	"golang.org/x/sync/semaphore"
)

// heavy is from how many bytes on, by the estimate of the header, the pure Go decoders take an image only when there is
// room for it. Ordinary photos, up to 24 megapixels and more, stay below.
const heavy = 64 << 20

// heavyGate bounds the memory of all heavy images that are decoded and judged at the same time to what a single one may
// need. Their number would otherwise be that of the workers, and the garbage collector would let as much again pile up
// before it looks: a few small files could take gigabytes.
type heavyGate struct {
	room *semaphore.Weighted
	size int64
}

func newHeavyGate(limits Limits) *heavyGate {
	size := int64(limits.MaxDecodedBytes)
	return &heavyGate{room: semaphore.NewWeighted(size), size: size}
}

// enter waits for room for an image of about n bytes. Leave gives it back, and
// the memory to the operating system; nothing may refer to the pixels by then.
func (g *heavyGate) enter(ctx context.Context, n int64) (leave func(), err error) {
	if n < heavy {
		return func() {}, nil
	}
	n = min(n, g.size)
	if err := g.room.Acquire(ctx, n); err != nil {
		return nil, err
	}
	return func() {
		debug.FreeOSMemory()
		g.room.Release(n)
	}, nil
}
