package console

import (
	"net/http"
	"time"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/http/v1/checkbody"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

const (
	tryPath = apiPath + "try"
	// triesADay is how many photos a subscription may try here in a day (UTC).
	triesADay = 30
	// triesMemory bounds the photos that are tried at the same time on this node, in bytes.
	triesMemory = 64 << 20
)

// tryOfSubscription is limited by the day: its subject names one.
const tryOfSubscription = "try-subscription"

// oneDayOnly lets triesADay through. The wait behind them is longer than what is left of the day, after which the subject is
// another.
var oneDayOnly = AttemptLimit{Free: triesADay, Base: 24 * time.Hour, Max: 24 * time.Hour, Window: 48 * time.Hour}

// tryPhoto judges a photo as the API does, by the same body, limits and models. It is not counted as a call, and neither the
// photo nor what is said of it is kept.
func (c *console) tryPhoto(r *http.Request, user visitor) (any, error) {
	subscription, err := c.Subscriptions.Subscription(r.Context(), user.subscription)
	if err != nil {
		return nil, err
	}
	if !subscription.Serves() {
		return nil, domain.ErrSubscriptionInactive
	}
	photo, err := c.photos.Read(fairshare.Holder{Group: user.subscription.String()}, fairshare.From(r.Context()).GiveWay(), r.Body, r.ContentLength)
	if err != nil {
		return nil, err
	}
	defer photo.Release()
	if err := c.countTry(r, user); err != nil {
		return nil, err
	}
	started := c.Now()
	judgement, err := c.Judge.Judge(r.Context(), counting.Share{SubscriptionID: user.subscription}, photo.Image, photo.Format)
	if err != nil {
		if kind := domain.KindOf(err); kind != domain.KindInvalid && kind != domain.KindTooLarge {
			c.refundAttempt(r.Context(), tryOfSubscription, c.tryToday(user)) // it was not judged for a fault of ours
		}
		return nil, err
	}
	judgement.LatencyMS = c.Now().Sub(started).Milliseconds()
	return v1.NewVerdict(judgement, true), nil
}

type triesAnswer struct {
	Left int `json:"left"` // today (UTC)
	ADay int `json:"aDay"`
}

// readTries says how many photos the subscription may still try today.
func (c *console) readTries(r *http.Request, user visitor) (any, error) {
	made, err := c.Attempts.Made(r.Context(), c.subject(tryOfSubscription, c.tryToday(user)), oneDayOnly)
	if err != nil {
		return nil, domain.ErrUnavailable.Because(err)
	}
	return triesAnswer{Left: max(0, triesADay-made), ADay: triesADay}, nil
}

func (c *console) countTry(r *http.Request, user visitor) error {
	wait, err := c.Attempts.Take(r.Context(), c.subject(tryOfSubscription, c.tryToday(user)), oneDayOnly)
	switch {
	case err != nil:
		return domain.ErrUnavailable.Because(err)
	case wait > 0:
		now := c.Now().UTC()
		tomorrow := now.Truncate(24 * time.Hour).Add(24 * time.Hour)
		return errTooManyAttempts.Saying("Today’s %d photos are used up. Go on tomorrow (UTC), or call the API, which has your plan’s limit.", triesADay).
			After(tomorrow.Sub(now))
	}
	return nil
}

func (c *console) tryToday(user visitor) string {
	return user.subscription.String() + " " + c.Now().UTC().Format(time.DateOnly)
}

func newPhotoReader() *checkbody.Reader {
	return checkbody.NewReader(checkbody.NewMemory(v1.MaxImage, triesMemory))
}
