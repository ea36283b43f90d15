package keyring

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"
)

// lockTimeout is how long a change waits for one that somebody else is making. One takes milliseconds.
const lockTimeout = 30 * time.Second

// lock keeps everybody else from changing a key ring: of two who read the same file and each write theirs, one would lose what
// the other has added, or bring back what the other has retired. It is the folder that is locked, because the file is replaced,
// and a lock of its own would be another file that both may have to open.
func lock(ctx context.Context, file string) (unlock func(), err error) {
	folder := flock.New(filepath.Dir(file), flock.SetFlag(os.O_RDONLY))
	waiting, cancel := context.WithTimeout(ctx, lockTimeout)
	defer cancel()
	locked, err := folder.TryLockContext(waiting, 10*time.Millisecond)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case waiting.Err() != nil:
		return nil, fmt.Errorf("somebody else is changing a key ring in %s: nothing was changed, try again", folder.Path())
	case err != nil || !locked:
		return nil, fmt.Errorf("keep others from changing the key ring meanwhile: %w", err)
	}
	return func() { _ = folder.Unlock() }, nil // with the process it would end, too
}
