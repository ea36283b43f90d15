package v1

import (
	"context"
	"errors"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// Queue is where images wait to be judged, in fair order between subscriptions. It refuses by itself, when an image is there
// and no place or no worker; the API looks at it to refuse before it reads an image.
type Queue interface {
	Workers() int                     // how many checks are judged at the same time
	Admitted() (now, most int)        // how many wait or are judged, and how many may
	Admits(share counting.Share) bool // whether one more of a subscription would get a place, be it another's
	GaveWay() int64                   // how many gave their place to a subscription that had less
}

// gate admits checks before anything of their images is read.
type gate struct {
	queue  Queue
	places *fairshare.Pool // of checks under way, uploads included
}

// newGate leaves room for others checks besides those in the queue, so that the queue is what is full first.
func newGate(queue Queue, others int) *gate {
	_, places := queue.Admitted()
	return &gate{queue: queue, places: fairshare.NewPool(int64(places+others), fairshare.NewestFirst)}
}

// full returns domain.ErrOverloaded while the queue has no place for another image.
func (g *gate) full() error {
	if now, most := g.queue.Admitted(); now >= most {
		return domain.ErrOverloaded
	}
	return nil
}

// component returns the queue as health reports it.
func (g *gate) component() Component {
	return Component{Name: "inference", Probe: func(context.Context) error { return g.full() }}
}

// look refuses a check that would find no place, before anything is done for it.
func (g *gate) look(share counting.Share) error {
	if !g.queue.Admits(share) || !g.places.Admits(holderOf(share), 1) {
		return domain.ErrOverloaded
	}
	return nil
}

// enter admits a check, or refuses it at once. The caller calls leave when it is answered; giveWay asks it to do so soon.
func (g *gate) enter(share counting.Share, giveWay func()) (leave func(), err error) {
	place := g.places.Claim(holderOf(share), giveWay)
	if err := place.Take(1); err != nil {
		place.Release()
		return nil, domain.ErrOverloaded.Because(err)
	}
	return place.Release, nil
}

// waiting returns how many images wait for a worker.
func (g *gate) waiting() int64 {
	now, _ := g.queue.Admitted()
	return int64(max(0, now-g.queue.Workers()))
}

// judged returns how many images workers are at.
func (g *gate) judged() int64 {
	now, _ := g.queue.Admitted()
	return int64(min(now, g.queue.Workers()))
}

// holderOf names a subscription to the pools that it has its shares of.
func holderOf(share counting.Share) fairshare.Holder {
	return fairshare.Holder{Group: share.SubscriptionID.String(), Weight: share.Weight}
}

// share is for whom the check is, with the weight of the plan as far as it is known.
func (x *exchange) share() counting.Share {
	share := counting.Share{SubscriptionID: x.owner.SubscriptionID}
	if last, ok := x.api.checks.LastQuota(x.owner); ok {
		share.Weight = x.api.limits.PlanWeights[last.Subscription.Plan]
	}
	return share
}

// unavailable returns what a check is refused with for want of room that others take which wait for the event store: they are not
// too many, and more nodes would not help.
func (x *exchange) unavailable(err error) error {
	if !errors.Is(err, domain.ErrOverloaded) {
		return err
	}
	if trouble := x.api.trouble(); trouble != nil {
		return domain.ErrUnavailable.Because(errors.Join(trouble, err))
	}
	return err
}

// gaveWay returns what a check is refused with that had to give way, and every other error as it is. What a worker had begun
// with is not answered either; what was handed over to be counted is.
func (x *exchange) gaveWay(err error) error {
	if !fairshare.GaveWay(x.request.Context()) || x.reservation != nil && x.reservation.HandedOver() {
		return err
	}
	return domain.ErrOverloaded.Saying("The service is busy, and other customers need the room that this request took: this account had more than " +
		"its share of it. The request was not counted; try again as Retry-After says.").Because(err)
}
