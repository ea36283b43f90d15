package counting

import (
	"context"
	"log/slog"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RehashKey makes the digest of an API key again under the secret in use. Only who uses the key brings it along, so that this
// is done when it is used.
type RehashKey struct {
	CustomerID uuid.UUID
	Slot       domain.KeySlot
	Former     string // hash by which the key was found
	Key        domain.KeyDigest
}

// How the digests of keys are made again.
const (
	maxWaitingRehashes = 256 // what comes beyond it waits for the key's next use
	rehashTimeout      = 10 * time.Second
)

// KeyRehasher makes digests again behind the answers of calls, one after the other.
type KeyRehasher struct {
	executor commands.Executor
	log      *slog.Logger
	waiting  chan RehashKey
	stop     context.CancelFunc
	done     chan struct{}
}

// NewKeyRehasher begins to work; Close ends it.
func NewKeyRehasher(executor commands.Executor, log *slog.Logger) *KeyRehasher {
	ctx, stop := context.WithCancel(context.Background())
	r := &KeyRehasher{executor: executor, log: log, waiting: make(chan RehashKey, maxWaitingRehashes), stop: stop, done: make(chan struct{})}
	go r.run(ctx)
	return r
}

// Offer has a digest made again soon. It does not wait: the next use of the key offers it again.
func (r *KeyRehasher) Offer(cmd RehashKey) {
	select {
	case r.waiting <- cmd:
	default:
	}
}

// Close ends the work. What waits is left to the keys' next use.
func (r *KeyRehasher) Close() {
	r.stop()
	<-r.done
}

func (r *KeyRehasher) run(ctx context.Context) {
	defer close(r.done)
	for {
		select {
		case cmd := <-r.waiting:
			if err := r.rehash(ctx, cmd); err != nil && ctx.Err() == nil {
				r.log.WarnContext(ctx, "the digest of a key stays under the secret of before until its next use", "customer", cmd.CustomerID, "error", err)
			}
		case <-ctx.Done():
			return
		}
	}
}

// rehash decides on the key's stream: what was replaced or made again meanwhile is left alone.
func (r *KeyRehasher) rehash(ctx context.Context, cmd RehashKey) error {
	ctx, cancel := context.WithTimeout(ctx, rehashTimeout)
	defer cancel()
	_, err := commands.Execute(ctx, r.executor, commands.NewOrigin(domain.ActorSystem), domain.APIKeysStream(cmd.CustomerID),
		func(k domain.APIKeys) ([]domain.Event, error) {
			return k.Rehash(cmd.Slot, cmd.Former, cmd.Key, r.executor.Now()), nil
		})
	return err
}
