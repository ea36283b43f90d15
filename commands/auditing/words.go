package auditing

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"github.com/pas-ta/liveness/domain"
)

// inWords says what an event says, without personal data: of the events that decide how calls are treated in a sentence, of all
// others by their name.
func inWords(event domain.Event) string {
	switch e := event.(type) {
	case domain.CheckCompleted:
		return fmt.Sprintf("Call %d of %s was counted", e.Ordinal, e.Month)
	case domain.SubscriptionScheduled:
		return "The subscription is to start on " + e.StartsAt.UTC().Format(time.DateOnly)
	case domain.SubscriptionStarted:
		return fmt.Sprintf("The subscription started with the plan %s, %d calls a month", e.Plan, e.Limit)
	case domain.PlanChanged:
		return fmt.Sprintf("The plan changed from %s (%d calls a month) to %s (%d), for the whole month", e.FromPlan, e.FromLimit, e.Plan, e.Limit)
	case domain.OverageSwitched:
		return "The over-limit switch changed. " + strings.TrimSuffix(behaviourInWords(domain.Subscription{Overage: e.To, Ceiling: e.Ceiling}), ".")
	case domain.SubscriptionRenewed:
		return "The subscription was renewed"
	case domain.SubscriptionEnded:
		return "The subscription ended: " + e.Reason
	case domain.SubscriptionReinstated:
		return "The subscription goes on: " + e.Why
	case domain.KeyIssued:
		return fmt.Sprintf("The %s key %s… was issued", e.Slot, e.Key.Prefix)
	case domain.KeyRegenerated:
		return fmt.Sprintf("The %s key %s… was replaced by %s…", e.Slot, e.OldKey.Prefix, e.NewKey.Prefix)
	case domain.UsageCredited:
		return fmt.Sprintf("%d calls beyond the plan of %s were credited: %s", e.Calls, e.Month, e.Why)
	case domain.UsageThresholdReached:
		return fmt.Sprintf("%d %% of the plan's calls of %s were used, %d in all", e.Percent, e.Month, e.Counted)
	case domain.HourSealed:
		return "The hour from " + e.Hour.UTC().Format("2006-01-02 15:04") + " UTC was closed for metering"
	case domain.UsageRecordPrepared:
		return fmt.Sprintf("%d calls beyond the plan are to be reported to AWS for the hour from %s UTC", e.Quantity, e.Hour.UTC().Format("2006-01-02 15:04"))
	}
	return inSentenceCase(event.EventType())
}

// inSentenceCase writes a name like MemberJoined as "Member joined".
func inSentenceCase(name string) string {
	var words strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			words.WriteByte(' ')
			r = unicode.ToLower(r)
		}
		words.WriteRune(r)
	}
	return words.String()
}

// actorInWords names on whose behalf an event was written.
func actorInWords(actor string) string {
	names := map[string]string{
		domain.ActorBuyer: "the buyer", domain.ActorUser: "a user of the console", domain.ActorAPIClient: "a caller of the API",
		domain.ActorMarketplace: "AWS Marketplace", domain.ActorSystem: "the service itself", domain.ActorOperator: "an operator",
	}
	if name, known := names[actor]; known {
		return name
	}
	return actor
}
