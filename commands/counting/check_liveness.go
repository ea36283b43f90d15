package counting

import (
	"context"
	"encoding/hex"
	"errors"
	"time"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// CheckLiveness asks for a judgement of the largest face of one image. The image is not kept.
type CheckLiveness struct {
	By        commands.Origin
	Image     []byte
	Format    string    // "jpeg" or "png"
	StartedAt time.Time // when the image had arrived whole, for the latency that is reported
	Weight    float64   // of the subscription beside others whose images wait to be judged; see Share
	// Confirm returns why the caller may not call any more, or nil; nil instead of it confirms everybody. An upload takes minutes
	// when it trickles in, and an image waits for its judge: by then the key may have been regenerated.
	Confirm func(ctx context.Context) error
}

func (c CheckLiveness) confirm(ctx context.Context) error {
	if c.Confirm == nil {
		return nil
	}
	return c.Confirm(ctx)
}

// LivenessChecker judges images and counts what it judged.
type LivenessChecker struct {
	counter *UsageCounter
	judge   Judge
	ring    commands.Keyring
	now     func() time.Time
}

// NewLivenessChecker joins inference and counting. The secrets of ring key the digests of requests.
func NewLivenessChecker(counter *UsageCounter, judge Judge, ring commands.Keyring, now func() time.Time) *LivenessChecker {
	return &LivenessChecker{counter: counter, judge: judge, ring: ring, now: now}
}

// Begin admits a check before its image is read; see UsageCounter.Begin.
func (c *LivenessChecker) Begin(ctx context.Context, owner KeyOwner, idempotencyKey string) (*Reservation, error) {
	return c.counter.Begin(ctx, owner, idempotencyKey)
}

// Check judges the image and counts the call. When it returns without an error the event is durable: no result leaves
// without one. A repeated request gets the first answer and is not counted again. The caller is asked to be confirmed
// before anything is judged or answered, and before the call is counted.
func (c *LivenessChecker) Check(ctx context.Context, reservation *Reservation, cmd CheckLiveness) (domain.CheckCompleted, error) {
	if err := cmd.confirm(ctx); err != nil {
		return domain.CheckCompleted{}, err
	}
	digest, others := "", []commands.Secret(nil)
	if reservation.keyed {
		secrets := c.ring.Secrets(commands.PurposeAPIKeys)
		digest, others = cmd.digest(secrets[0]), secrets[1:]
		if event, found, err := reservation.priorUnder(cmd, digest, others); found || err != nil {
			return event, err
		}
	}
	judgement, err := c.judge.Judge(ctx, Share{reservation.owner.SubscriptionID, cmd.Weight}, cmd.Image, cmd.Format)
	if err != nil {
		return domain.CheckCompleted{}, commands.Unavailable(err)
	}
	judgement.LatencyMS = c.now().Sub(cmd.StartedAt).Milliseconds()
	if err := cmd.confirm(ctx); err != nil {
		return domain.CheckCompleted{}, err
	}
	event, err := reservation.Count(ctx, cmd.By, digest, judgement)
	if errors.Is(err, domain.ErrIdempotencyConflict) {
		// Another node has counted the key meanwhile, and may use another secret than this one.
		event, _, err = reservation.priorUnder(cmd, digest, others)
	}
	return event, err
}

// digest tells whether another request is the same.
func (c CheckLiveness) digest(secret commands.Secret) string {
	return hex.EncodeToString(secret.MAC("request", []byte(c.Format), c.Image))
}

// priorUnder returns the first answer to a request that was counted before. Its digest may have been made with a secret that
// was replaced since.
func (r *Reservation) priorUnder(cmd CheckLiveness, digest string, others []commands.Secret) (domain.CheckCompleted, bool, error) {
	event, found, err := r.Prior(digest)
	for _, secret := range others {
		if !errors.Is(err, domain.ErrIdempotencyConflict) {
			break
		}
		event, found, err = r.Prior(cmd.digest(secret))
	}
	return event, found, err
}

// Quota reads how a subscription stands in the current month.
func (c *LivenessChecker) Quota(ctx context.Context, owner KeyOwner) (Quota, error) {
	return c.counter.Quota(ctx, owner.SubscriptionID)
}

// LastQuota is the quota seen last, to accompany an error.
func (c *LivenessChecker) LastQuota(owner KeyOwner) (Quota, bool) {
	return c.counter.LastQuota(owner.SubscriptionID)
}
