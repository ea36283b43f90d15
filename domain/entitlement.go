package domain

import "time"

// Rules of following an entitlement. What AWS announces and what it answers when asked may be of different age, and an end
// is final:
//  1. What AWS answers holds: its plan, limit and term are taken over, whatever the message said.
//  2. A subscription ends when AWS lists no entitlement of it and has announced the end of its licence or of the agreement it
//     rests on, or its term is over. The end of another agreement ends nothing.
//  3. Announced while the entitlement is still listed, the end makes the subscription ending. After the end of a licence AWS is
//     to be asked again; what it still lists 15 minutes later counts: the buyer has come back.
//  4. Without a message a subscription ends when AWS was found to list no entitlement twice in a row: one empty answer may be
//     AWS's mistake. One whose end is announced goes on only with a later term: its entitlement may merely not have gone yet.

// Entitlement is what AWS says a licence entitles to, in terms of the catalogue. The zero Entitlement says that AWS lists none.
type Entitlement struct {
	Plan      PlanID
	Limit     int64
	ExpiresAt time.Time
}

// None returns whether AWS lists no entitlement.
func (e Entitlement) None() bool { return e.Plan == "" }

// ContractEntitlement is one dimension of a contract as AWS states it.
type ContractEntitlement struct {
	Dimension string    // API name of the dimension: a plan's id
	Quantity  int64     // for a custom plan the calls per month, else the number of units bought (1)
	ExpiresAt time.Time // through which it is valid at least; the zero time when AWS names none
}

// Entitlement returns the plan of a contract, none when it states no dimension. A contract may state several, as it does
// for a moment around an upgrade; the plan with the most calls counts. Dimensions that are metered, and not bought, are no
// plan.
func (c Catalogue) Entitlement(contract []ContractEntitlement) (Entitlement, error) {
	var best Entitlement
	var unknown error
	for _, stated := range contract {
		plan, err := c.Plan(PlanID(stated.Dimension))
		if err != nil {
			unknown = err
			continue
		}
		if limit := plan.Limit(stated.Quantity); limit > best.Limit {
			best = Entitlement{Plan: plan.ID, Limit: limit, ExpiresAt: stated.ExpiresAt}
		}
	}
	if best.None() {
		return best, unknown
	}
	return best, nil
}

// Observation is what is known of a licence after a message of AWS.
type Observation struct {
	Entitled    Entitlement // what AWS lists
	AgreementID string      // of the newest message that names one, "" when none has
}

// FollowAnnouncement decides what a message means for the subscription, given what AWS answered after it. It returns again
// when AWS is to be asked once more, because the two contradict each other.
func (s Subscription) FollowAnnouncement(announced MarketplaceEvent, observed Observation, at time.Time) (events []Event, again bool) {
	const outlived = 15 * time.Minute // how long an entitlement may outlive the message that its licence has ended
	message := announced.Message
	itsAgreement := message.AgreementID == "" || message.AgreementID == s.Marketplace.AgreementID
	licenceEnds := announced.Kind == LicenceEnded
	agreementEnds := announced.Kind == AgreementEnding && itsAgreement
	if observed.Entitled.None() {
		if licenceEnds || agreementEnds || s.expired(at) {
			return s.End(message.endReason(), endedAt(message.HappenedAt, at)), false
		}
		return nil, false // the timer looks again
	}
	if licenceEnds && at.Sub(message.HappenedAt) < outlived {
		return s.RequestUnsubscribe(at), s.Serves()
	}
	if agreementEnds {
		return s.RequestUnsubscribe(at), false
	}
	return append(s.FollowEntitlement(observed.Entitled, at), s.LinkAgreement(observed.AgreementID, at)...), false
}

// FollowListing decides what an answer of AWS means that no message has asked for. Before is how many times in a row AWS has
// listed no entitlement already.
func (s Subscription) FollowListing(listed Entitlement, before int, at time.Time) []Event {
	if listed.None() {
		if before == 0 {
			return nil
		}
		return s.End("no entitlement", endedAt(s.ExpiresAt, at))
	}
	if s.Status == StatusEnding && !listed.ExpiresAt.After(s.ExpiresAt) {
		return nil
	}
	return s.FollowEntitlement(listed, at)
}

// FollowEntitlement takes over the plan, the limit and the term that AWS now states.
func (s Subscription) FollowEntitlement(entitled Entitlement, at time.Time) []Event {
	if !s.Serves() {
		return nil
	}
	var events []Event
	if entitled.Plan != s.Plan || entitled.Limit != s.Limit {
		events = append(events, PlanChanged{
			SubscriptionID: s.ID, FromPlan: s.Plan, FromLimit: s.Limit, Plan: entitled.Plan, Limit: entitled.Limit, ChangedAt: at.UTC(),
		})
	}
	if s.Status == StatusEnding || entitled.ExpiresAt.After(s.ExpiresAt) {
		events = append(events, SubscriptionRenewed{SubscriptionID: s.ID, ExpiresAt: entitled.ExpiresAt.UTC(), RenewedAt: at.UTC()})
	}
	return events
}

// expired returns whether the term is over.
func (s Subscription) expired(at time.Time) bool {
	return !s.ExpiresAt.IsZero() && !at.Before(s.ExpiresAt)
}

// endedAt returns when it ended by AWS's word: AWS takes no usage stamped later. A time from the future is a clock's fault.
func endedAt(happened, now time.Time) time.Time {
	if happened.IsZero() || happened.After(now) {
		return now
	}
	return happened
}

// endReason returns the message's words for an end.
func (n MarketplaceNotified) endReason() string {
	if n.AgreementStatus != "" {
		return n.Type + ": " + n.AgreementStatus
	}
	return n.Type
}
