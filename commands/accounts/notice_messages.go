package accounts

import (
	"fmt"

	"golang.org/x/text/language"
	numbers "golang.org/x/text/message"

	"github.com/pas-ta/liveness/domain"
)

// The kinds of mails to the owners of a customer.
const (
	MailKindPlanChanged         = "plan-changed"
	MailKindSubscriptionEnding  = "subscription-ending"
	MailKindSubscriptionEnded   = "subscription-ended"
	MailKindSubscriptionStarted = "subscription-started"
	MailKindReinstated          = "subscription-reinstated"
	MailKindOverageSwitched     = "over-limit-switched"
	MailKindUsageThreshold      = "usage-threshold"
)

func planChangedMessage(link string, catalogue domain.Catalogue, e domain.PlanChanged) message {
	return message{
		Kind:    MailKindPlanChanged,
		Subject: "Your plan is now " + planName(catalogue, e.Plan),
		Paragraphs: []string{
			fmt.Sprintf("Your subscription on AWS Marketplace changed from %s with %s calls a month to %s with %s calls a month, on %s.",
				planName(catalogue, e.FromPlan), thousands(e.FromLimit), planName(catalogue, e.Plan), thousands(e.Limit),
				mailTime(e.ChangedAt)),
			"The new limit holds at once and for the whole current month: calls that you have made this month count towards it.",
		},
		Action: "See your plan", Link: link,
		Closing: []string{"Did you not change it? Somebody with access to your AWS account did: " +
			"look at AWS Marketplace, Manage subscriptions."},
	}
}

func subscriptionEndingMessage(link string, e domain.UnsubscribeRequested) message {
	return message{
		Kind:    MailKindSubscriptionEnding,
		Subject: "Your Liveness Detection API subscription is ending",
		Paragraphs: []string{
			"The subscription was cancelled on AWS Marketplace on " + mailTime(e.RequestedAt) + ". " +
				"Calls are answered until AWS ends it, and refused from then on.",
			"Do you want to keep it? Withdraw the cancellation on AWS Marketplace before then: " +
				"your keys go on working and nothing changes.",
		},
		Action: "See your subscription", Link: link,
	}
}

func subscriptionEndedMessage(link string, e domain.SubscriptionEnded) message {
	return message{
		Kind:    MailKindSubscriptionEnded,
		Subject: "Your Liveness Detection API subscription has ended",
		Paragraphs: []string{
			"The subscription ended on " + mailTime(e.EndedAt) + ". " +
				"Calls with your API keys are refused, and nothing is counted or billed from then on.",
			"Calls beyond your plan that were made before then still appear on your AWS bill.",
		},
		Action: "See what was used", Link: link,
		Closing: []string{"To go on, subscribe again on AWS Marketplace."},
	}
}

// subscriptionStartedMessage is for who set the account up before the contract started: others have no active account yet.
func subscriptionStartedMessage(link string, catalogue domain.Catalogue, e domain.SubscriptionStarted) message {
	return message{
		Kind:    MailKindSubscriptionStarted,
		Subject: "Your Liveness Detection API contract has started",
		Paragraphs: []string{
			fmt.Sprintf("Calls with your API keys are answered since %s. Your plan is %s, with %s calls a month.",
				mailTime(e.StartedAt), planName(catalogue, e.Plan), thousands(e.Limit)),
		},
		Action: "See your plan", Link: link,
	}
}

func subscriptionReinstatedMessage(link string, e domain.SubscriptionReinstated) message {
	return message{
		Kind:    MailKindReinstated,
		Subject: "Your Liveness Detection API subscription goes on",
		Paragraphs: []string{
			"The subscription had ended and goes on since " + mailTime(e.ReinstatedAt) + ". Calls with your API keys are answered again; plan, keys and settings are as they were.",
		},
		Action: "See your subscription", Link: link,
	}
}

func overageSwitchedMessage(link string, e domain.OverageSwitched) message {
	says := "Calls beyond your plan are answered and billed as you use them, until you switch again."
	switch {
	case e.To == domain.OverageStop:
		says = "Calls beyond your plan are refused (quota_exceeded) until the next month begins, or until you switch again."
	case e.Ceiling > 0:
		says = fmt.Sprintf("Up to %s calls a month beyond your plan are answered and billed as you use them; "+
			"further ones are refused (quota_exceeded).", thousands(e.Ceiling))
	}
	return message{
		Kind: MailKindOverageSwitched,
		Subject: "Calls beyond your plan are now " +
			map[bool]string{true: "refused", false: "answered and billed"}[e.To == domain.OverageStop],
		Paragraphs: []string{
			"What happens to calls beyond your plan was changed in the console on " + mailTime(e.SwitchedAt) + ".", says,
		},
		Action: "See or change it", Link: link,
		Closing: []string{"If it was none of you, change your password at once."},
	}
}

func usageThresholdMessage(link string, catalogue domain.Catalogue, e domain.UsageThresholdReached) message {
	month := e.Month.Start().Format("January 2006")
	used := fmt.Sprintf("%s of the %s calls of your %s plan", thousands(e.Counted), thousands(e.Limit), planName(catalogue, e.Plan))
	if beyond := e.Counted - e.Limit; beyond >= 0 {
		used = fmt.Sprintf("all %s calls of your %s plan", thousands(e.Limit), planName(catalogue, e.Plan))
		if beyond > 0 {
			used += ", and " + thousands(beyond) + " beyond it"
		}
	}
	subject, next := fmt.Sprintf("You have used %d%% of your calls in %s", e.Percent, month), "Once they are used up"
	switch {
	case e.Percent == 100:
		subject, next = "Your calls of "+month+" are used up", "From the next call on"
	case e.Percent > 100:
		next = "From here on"
	}
	return message{
		Kind: MailKindUsageThreshold, Subject: subject,
		Paragraphs: []string{"In " + month + " you have used " + used + ".", next + ", " + beyondThePlan(e)},
		Action:     "See your usage and your plan", Link: link,
		Closing: []string{"Months are those of UTC. " +
			"At which shares of the plan we write to you, and whether at all, is set on the same screen."},
	}
}

// beyondThePlan says what happens to calls beyond the plan.
func beyondThePlan(e domain.UsageThresholdReached) string {
	end := e.Month.End().Format("2 January")
	switch {
	case e.Overage == domain.OverageStop:
		return "calls are refused (quota_exceeded) until " + end + ", as you have chosen. Choose a larger plan on AWS Marketplace, " +
			"or have calls beyond the plan answered and billed, on the console's Plan screen."
	case e.Ceiling > 0:
		return fmt.Sprintf("calls are answered and billed as you use them, up to %s beyond the plan; "+
			"further ones are refused (quota_exceeded) until %s.", thousands(e.Ceiling), end)
	}
	return "calls are answered and billed as you use them. Do you not want that? " +
		"Have them refused instead, on the console's Plan screen."
}

// planName returns what people call a plan.
func planName(catalogue domain.Catalogue, id domain.PlanID) string {
	if plan, err := catalogue.Plan(id); err == nil {
		return plan.Name
	}
	return string(id)
}

// thousands writes a number as 12,345.
func thousands(n int64) string { return english.Sprintf("%d", n) }

var english = numbers.NewPrinter(language.English)
