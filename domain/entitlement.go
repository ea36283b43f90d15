package domain

import "time"

// Rules of following an entitlement. What AWS announces and what it answers when asked may be of different age:
//  1. What AWS answers holds: its plan, limit and term are taken over, whatever the message said. An answer is decided on
//     only while the subscription is as it was when AWS was asked.
//  2. The announced end of its licence, or of the agreement it rests on, ends a subscription at once, whether AWS still lists
//     the entitlement or not: AWS takes the usage of the open hour for one hour only. The end of another agreement ends nothing.
//     An announcement from before AWS, or an operator, said that it goes on ends it only when AWS lists nothing either.
//  3. What has left comes back when AWS announces, after the end, another agreement for this licence and lists its entitlement.
//     That the entitlement is still listed, or that its buyer returns, is not enough: it may merely not have gone yet.
//  4. Without such a message a subscription ends when AWS was found to list nothing twice in a row: one empty answer may be AWS's
//     mistake. It ends as well when its term is over and AWS has not answered for a while, or when SNS tells of a change after its
//     term and AWS lists nothing: SNS has no other word for the end of a contract.

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
	Entitled Entitlement // what AWS lists
	Inbox    MarketplaceInbox
	StartsAt time.Time // when the account's next contract starts; zero when none is announced
}

// FollowEnd decides on an announced end, for which AWS need not be asked. It returns nothing for any other message, and for
// an announcement that is out of date: FollowAnnouncement then decides by AWS's answer.
func (s Subscription) FollowEnd(announced MarketplaceEvent, inbox MarketplaceInbox, at time.Time) []Event {
	if message := announced.Message; s.endedBy(announced, inbox) && !inbox.supersedes(message) && !s.ReinstatedAt.After(message.HappenedAt) {
		return s.End(message.endReason(), endedAt(message.HappenedAt, at))
	}
	return nil
}

// Follows returns whether AWS's answer to a message can change anything.
func (s Subscription) Follows(announced MarketplaceEvent) bool {
	return s.Serves() || s.Status == StatusScheduled || s.comesBack(announced)
}

// FollowAnnouncement decides what a message means for the subscription, given what AWS answered after it.
func (s Subscription) FollowAnnouncement(announced MarketplaceEvent, observed Observation, at time.Time) []Event {
	message, entitled := announced.Message, observed.Entitled
	if entitled.None() {
		if s.endedBy(announced, observed.Inbox) || message.CustomerIdentifier != "" && s.expired(at) {
			return s.End(message.endReason(), endedAt(message.HappenedAt, at))
		}
		if s.Status == StatusScheduled && !observed.StartsAt.IsZero() {
			return s.Schedule(s.Marketplace, observed.StartsAt, at)
		}
		return nil // the timer looks again
	}
	var events []Event
	if s.Status == StatusScheduled {
		events = s.Start(s.Marketplace, entitled, at)
	} else if s.comesBack(announced) {
		events = []Event{SubscriptionRenewed{SubscriptionID: s.ID, ExpiresAt: entitled.ExpiresAt.UTC(), RenewedAt: at.UTC()}}
		if s.Status == StatusEnded {
			events = s.reinstate("AWS Marketplace: "+message.Type, at)
		}
	}
	for _, event := range events {
		s = s.Fold(event)
	}
	events = append(events, s.FollowEntitlement(entitled, at)...)
	return append(events, s.LinkAgreement(observed.Inbox.AgreementID, at)...)
}

// endedBy returns whether a message announces the end of the subscription's licence or of the agreement it rests on.
func (s Subscription) endedBy(announced MarketplaceEvent, inbox MarketplaceInbox) bool {
	switch agreement := announced.Message.AgreementID; announced.Kind {
	case LicenceEnded:
		return true
	case AgreementEnding:
		return agreement == "" || agreement == s.Marketplace.AgreementID || agreement == inbox.AgreementID
	}
	return false
}

// comesBack returns whether a message announces, after the buyer has left, a new agreement for the licence.
func (s Subscription) comesBack(announced MarketplaceEvent) bool {
	message, known := announced.Message, s.Marketplace.AgreementID
	if announced.Kind != EntitlementChanged || s.LeftAt.IsZero() || !message.HappenedAt.After(s.LeftAt) {
		return false
	}
	another := message.AgreementID != "" && known != "" && message.AgreementID != known
	return message.begins() || another && message.LicenseID == LicenceID(s.Marketplace.LicenseARN)
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
	if s.Status == StatusEnding && !s.renewedBy(listed) {
		return nil
	}
	return s.FollowEntitlement(listed, at)
}

// EndUnanswered ends a subscription whose term is over, because AWS has not answered since a time that is a grace ago.
func (s Subscription) EndUnanswered(since time.Time, grace time.Duration, at time.Time) []Event {
	if since.IsZero() || s.ExpiresAt.IsZero() || at.Before(since.Add(grace)) || at.Before(s.ExpiresAt.Add(grace)) {
		return nil
	}
	return s.End("the term is over and AWS does not answer", at)
}

// ListedAfterEnd returns whether AWS should not list an entitlement of the subscription any more: it has ended a while ago.
func (s Subscription) ListedAfterEnd(at time.Time) bool {
	const lingering = time.Hour // AWS takes usage for so long, and lists the entitlement at most as long
	return s.Status == StatusEnded && !at.Before(s.EndedAt.Add(lingering))
}

// FollowEntitlement takes over the plan, the limit and the term that AWS now states. Only a later term withdraws an end that was
// announced.
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
	if s.renewedBy(entitled) {
		events = append(events, SubscriptionRenewed{SubscriptionID: s.ID, ExpiresAt: entitled.ExpiresAt.UTC(), RenewedAt: at.UTC()})
	}
	return events
}

// renewedBy returns whether an entitlement has a later term. Of a subscription that is ending no later term is known while
// none was known before.
func (s Subscription) renewedBy(entitled Entitlement) bool {
	return entitled.ExpiresAt.After(s.ExpiresAt) && (s.Status != StatusEnding || !s.ExpiresAt.IsZero())
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
