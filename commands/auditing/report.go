package auditing

import (
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/domain/audit"
)

// Scope is what of a log a report is about. The whole log is read and proved whatever it is.
type Scope struct {
	Customer     uuid.UUID    `json:"customerId,omitzero"`
	Subscription uuid.UUID    `json:"subscriptionId,omitzero"`
	Month        domain.Month `json:"month,omitzero"`
}

// report gathers what a run has found.
func (v *verification) report(models []ReadModel) Report {
	settled := v.replayed.Settle()
	compared := []string{"rules"}
	if v.AskedAWS {
		v.replayed.CompareWithAWS(&settled, v.Billed)
		compared = append(compared, "AWS")
	}
	if v.ReadModels != nil {
		compared = append(compared, "read models")
	}
	if v.tree.Checkpoints > 0 {
		compared = append(compared, "checkpoints")
	}
	if v.StoredTree != nil {
		compared = append(compared, "stored tree")
	}
	for _, held := range v.Held {
		compared = append(compared, held.From)
	}
	return Report{
		Events: v.replayed.Events(), Others: v.replayed.Others(), Head: v.place.Position, LastAt: v.place.RecordedAt,
		Subscriptions: v.replayed.Standings(), Months: v.replayed.Months(), Hours: v.replayed.Hours(), Accounts: settled.Accounts,
		Changes: v.replayed.Changes(), Skips: v.replayed.Skips(), Transparency: v.tree, ReadModels: models, Compared: compared,
		Findings: append(settled.Findings, v.findings...), Unlisted: v.replayed.Unlisted(),
	}
}

// narrow leaves in a report what is in scope. Findings that concern no single customer stay: they are about everybody's log.
func (s Scope) narrow(r Report) Report {
	r.Scope = s
	r.Subscriptions = kept(r.Subscriptions, func(x audit.Standing) bool { return s.holds(x.SubscriptionID) })
	r.Months = kept(r.Months, func(x audit.Month) bool { return s.holds(x.SubscriptionID) && s.during(x.Month) })
	r.Hours = kept(r.Hours, func(x audit.Hour) bool { return s.holds(x.SubscriptionID) && s.during(domain.MonthOf(x.Hour)) })
	r.Accounts = kept(r.Accounts, func(x audit.Account) bool { return s.holds(x.SubscriptionID) })
	r.Changes = kept(r.Changes, func(x audit.Change) bool { return s.holds(x.SubscriptionID) && s.during(domain.MonthOf(x.At)) })
	r.Skips = kept(r.Skips, func(audit.Skip) bool { return true })
	all := int64(len(r.Findings))
	r.Findings = kept(r.Findings, s.concerns)
	r.OfOthers = all - int64(len(r.Findings))
	return r
}

// kept returns the elements that are wanted, never nil.
func kept[T any](of []T, wanted func(T) bool) []T {
	some := make([]T, 0, len(of))
	for _, x := range of {
		if wanted(x) {
			some = append(some, x)
		}
	}
	return some
}

// holds returns whether a subscription is in scope.
func (s Scope) holds(subscription uuid.UUID) bool {
	return (s.Subscription == uuid.Nil || s.Subscription == subscription) &&
		(s.Customer == uuid.Nil || s.Customer == domain.CustomerIDForSubscription(subscription))
}

func (s Scope) during(month domain.Month) bool { return s.Month == domain.Month{} || s.Month == month }

// ofOneCustomer are the categories of streams whose names say whose they are.
var ofOneCustomer = []domain.Category{
	domain.CategorySubscription, domain.CategoryAccount, domain.CategoryAPIKeys, domain.CategoryUsage, domain.CategoryMetering, domain.CategoryUsageEnd,
	domain.CategoryUsageCredits, domain.CategoryMembers, domain.CategoryUsageNotices, domain.CategoryNotifications,
}

// concerns returns whether a finding is in scope: unless it is known to be on somebody else, it is.
func (s Scope) concerns(f audit.Finding) bool {
	if s.Customer == uuid.Nil && s.Subscription == uuid.Nil {
		return true
	}
	if f.SubscriptionID != uuid.Nil {
		return s.holds(f.SubscriptionID)
	}
	if !slices.ContainsFunc(ofOneCustomer, func(c domain.Category) bool { return c.Holds(f.Stream) }) {
		return true
	}
	customer := s.Customer
	if customer == uuid.Nil {
		customer = domain.CustomerIDForSubscription(s.Subscription)
	}
	return s.Subscription != uuid.Nil && strings.Contains(f.Stream, s.Subscription.String()) ||
		strings.Contains(f.Stream, customer.String()) || s.holdsStream(f.Stream)
}

// holdsStream returns whether a stream is named after a subscription of the scope's customer.
func (s Scope) holdsStream(stream string) bool {
	_, rest, _ := strings.Cut(stream, "-")
	const uuidLength = 36
	id, err := uuid.Parse(rest[:min(len(rest), uuidLength)])
	return err == nil && s.holds(id)
}
