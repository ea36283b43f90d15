package commands

import (
	"context"
	"encoding/hex"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// CheckLiveness asks for a judgement of the largest face of one image. The image is not kept.
type CheckLiveness struct {
	By        Origin
	Image     []byte
	Format    string    // "jpeg" or "png"
	StartedAt time.Time // when the image had arrived whole, for the latency that is reported
}

// LivenessChecker judges images and counts what it judged.
type LivenessChecker struct {
	counter *UsageCounter
	judge   Judge
	secret  Secret
	now     func() time.Time
}

// NewLivenessChecker joins inference and counting. The secret keys the digests of requests.
func NewLivenessChecker(counter *UsageCounter, judge Judge, secret Secret, now func() time.Time) *LivenessChecker {
	return &LivenessChecker{counter: counter, judge: judge, secret: secret, now: now}
}

// Begin admits a check before its image is read; see UsageCounter.Begin.
func (c *LivenessChecker) Begin(ctx context.Context, owner KeyOwner, idempotencyKey string) (*Ticket, error) {
	return c.counter.Begin(ctx, owner, idempotencyKey)
}

// Check judges the image and counts the call. When it returns without an error the event is durable: no result leaves
// without one. A repeated request gets the first answer and is not counted again.
func (c *LivenessChecker) Check(ctx context.Context, ticket *Ticket, cmd CheckLiveness) (domain.CheckCompleted, error) {
	digest := ""
	if ticket.keyed {
		digest = hex.EncodeToString(c.secret.MAC("request", []byte(cmd.Format), cmd.Image))
	}
	if event, found, err := ticket.Prior(digest); found || err != nil {
		return event, err
	}
	judgement, err := c.judge.Judge(ctx, cmd.Image, cmd.Format)
	if err != nil {
		return domain.CheckCompleted{}, Unavailable(err)
	}
	judgement.LatencyMS = c.now().Sub(cmd.StartedAt).Milliseconds()
	return ticket.Count(ctx, cmd.By, digest, judgement)
}

// Standing reads how a subscription stands in the current month.
func (c *LivenessChecker) Standing(ctx context.Context, owner KeyOwner) (Standing, error) {
	return c.counter.Standing(ctx, owner.SubscriptionID)
}

// LastStanding is the standing seen last, to accompany an error.
func (c *LivenessChecker) LastStanding(owner KeyOwner) (Standing, bool) {
	return c.counter.LastStanding(owner.SubscriptionID)
}
