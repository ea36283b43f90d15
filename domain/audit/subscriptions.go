package audit

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

func (a *Audit) followSubscription(r domain.Recorded) {
	id, err := subscriptionOf(r.Stream)
	if err != nil {
		a.find(r, uuid.Nil, "%s stands in a stream of another kind", r.Event.EventType())
		return
	}
	s := a.subscription(id)
	a.decideSubscription(r, id, s.newest())
	a.customers[domain.CustomerIDForSubscription(id)] = id
	s.states = append(s.states, stateSince{s.newest().Fold(r.Event), r.RecordedAt})
	switch e := r.Event.(type) {
	case domain.SubscriptionScheduled:
		a.change(r, id, "subscription scheduled to start on %s", e.StartsAt.UTC().Format(time.DateOnly))
	case domain.SubscriptionReinstated:
		s.ended = false
		a.change(r, id, "subscription reinstated: %s", e.Why)
	case domain.SubscriptionStarted:
		a.change(r, id, "subscription started: %s, %d calls a month", e.Plan, e.Limit)
	case domain.PlanChanged:
		a.change(r, id, "plan changed from %s (%d) to %s (%d)", e.FromPlan, e.FromLimit, e.Plan, e.Limit)
	case domain.OverageSwitched:
		a.change(r, id, "over-limit behaviour switched from %s to %s", behaviour(e.From, e.FromCeiling), behaviour(e.To, e.Ceiling))
	case domain.UnsubscribeRequested:
		a.change(r, id, "unsubscription requested")
	case domain.SubscriptionRenewed:
		a.change(r, id, "subscription renewed")
	case domain.SubscriptionEnded:
		a.change(r, id, "subscription ended: %s", e.Reason)
	}
}

func subscriptionOf(stream string) (uuid.UUID, error) {
	return uuid.Parse(strings.TrimPrefix(stream, string(domain.CategorySubscription)+"-"))
}

// behaviour names an over-limit behaviour with its ceiling, if it has one.
func behaviour(policy domain.OveragePolicy, ceiling int64) string {
	if ceiling == 0 {
		return string(policy)
	}
	return fmt.Sprintf("%s up to %d calls beyond the plan", policy, ceiling)
}

// decideSubscription looks whether an event of a subscription follows from the state before it.
func (a *Audit) decideSubscription(r domain.Recorded, id uuid.UUID, before domain.Subscription) {
	about := id
	follows, state := true, before.Status
	switch e := r.Event.(type) {
	case domain.SubscriptionScheduled:
		about, follows = e.SubscriptionID, state == domain.StatusUnknown || state == domain.StatusScheduled
	case domain.SubscriptionStarted:
		about, follows = e.SubscriptionID, state == domain.StatusUnknown || state == domain.StatusScheduled
	case domain.PlanChanged:
		about, follows = e.SubscriptionID, before.Serves()
		if e.FromPlan != before.Plan || e.FromLimit != before.Limit {
			a.find(r, id, "it changes the plan from %s (%d), and the plan was %s (%d)", e.FromPlan, e.FromLimit, before.Plan, before.Limit)
		}
	case domain.OverageSwitched:
		about, follows = e.SubscriptionID, before.Serves()
		if e.From != before.Overage || e.FromCeiling != before.Ceiling {
			a.find(r, id, "it switches from %s, and the over-limit behaviour was %s",
				behaviour(e.From, e.FromCeiling), behaviour(before.Overage, before.Ceiling))
		}
	case domain.AgreementLinked:
		about, follows = e.SubscriptionID, state != domain.StatusUnknown
	case domain.UnsubscribeRequested:
		about = e.SubscriptionID
	case domain.SubscriptionRenewed:
		about = e.SubscriptionID
	case domain.SubscriptionEnded:
		about, follows = e.SubscriptionID, before.Registers()
	case domain.SubscriptionReinstated:
		about, follows = e.SubscriptionID, state == domain.StatusEnded
	}
	if about != id {
		a.find(r, id, "%s of subscription %s stands in the stream of another", r.Event.EventType(), about)
	}
	if !follows {
		a.find(r, id, "%s of a subscription that %s", r.Event.EventType(), standing(state))
	}
}

// standing says in words where a subscription stands.
func standing(status domain.SubscriptionStatus) string {
	if status == domain.StatusUnknown {
		return "has not started"
	}
	return "is " + string(status)
}

// Standing is a subscription as of the newest event.
type Standing struct {
	SubscriptionID uuid.UUID                 `json:"subscriptionId"`
	CustomerID     uuid.UUID                 `json:"customerId"`
	Licence        string                    `json:"licence,omitempty"` // l-…
	Status         domain.SubscriptionStatus `json:"status"`
	Plan           domain.PlanID             `json:"plan,omitempty"`
	Limit          int64                     `json:"limit"` // calls a month
	Overage        domain.OveragePolicy      `json:"overage,omitempty"`
	Ceiling        int64                     `json:"ceiling,omitempty"`
	Revision       uint64                    `json:"revision"` // of its last event
	Keys           []HeldKey                 `json:"keys"`
}

// HeldKey is what a slot holds.
type HeldKey struct {
	Slot   domain.KeySlot `json:"slot"`
	Prefix string         `json:"prefix"` // of the key, as lists show it
}

// Standings returns how the subscriptions stand.
func (a *Audit) Standings() []Standing {
	var standings []Standing
	for id, s := range a.subscriptions {
		if len(s.states) > 0 {
			standings = append(standings, NewStanding(id, s.newest(), uint64(len(s.states)-1), a.keys[domain.CustomerIDForSubscription(id)]))
		}
	}
	slices.SortFunc(standings, func(x, y Standing) int { return cmp.Compare(x.SubscriptionID.String(), y.SubscriptionID.String()) })
	return standings
}

// NewStanding returns how a subscription stands whose last event has a revision.
func NewStanding(id uuid.UUID, s domain.Subscription, revision uint64, keys domain.APIKeys) Standing {
	standing := Standing{
		SubscriptionID: id, CustomerID: domain.CustomerIDForSubscription(id), Licence: domain.LicenceID(s.Marketplace.LicenseARN), Status: s.Status,
		Plan: s.Plan, Limit: s.Limit, Overage: s.Overage, Ceiling: s.Ceiling, Revision: revision, Keys: []HeldKey{},
	}
	for _, slot := range slices.Sorted(maps.Keys(keys.Keys)) {
		standing.Keys = append(standing.Keys, HeldKey{slot, keys.Keys[slot].Prefix})
	}
	return standing
}

// Behaviour names the over-limit behaviour with its ceiling, if it has one.
func (s Standing) Behaviour() string { return behaviour(s.Overage, s.Ceiling) }
