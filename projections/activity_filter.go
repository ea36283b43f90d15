package projections

import (
	"fmt"
	"strings"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// ActivityTopic is what activity is about.
type ActivityTopic string

// The topics; every kind of activity has one.
const (
	TopicKeys   ActivityTopic = "keys"
	TopicPlan   ActivityTopic = "plan"   // the subscription, its usage and what is told of it
	TopicPeople ActivityTopic = "people" // who belongs to the customer
	TopicLogin  ActivityTopic = "login"  // of the person who looks
)

// topics are the kinds of activity by topic.
var topics = map[ActivityTopic][]string{
	TopicKeys: types(domain.KeyIssued{}, domain.KeyRegenerated{}, domain.KeyNamed{}),
	TopicPlan: types(
		domain.SubscriptionScheduled{}, domain.SubscriptionStarted{}, domain.PlanChanged{}, domain.OverageSwitched{}, domain.AgreementLinked{},
		domain.UnsubscribeRequested{}, domain.SubscriptionRenewed{}, domain.SubscriptionEnded{}, domain.SubscriptionReinstated{},
		domain.UsageCredited{}, domain.UsageThresholdReached{}, domain.NotificationsChanged{},
	),
	TopicPeople: types(
		domain.AccountRegistered{}, domain.RegistrationCorrected{}, domain.VerificationRequested{}, domain.EmailVerified{}, domain.AccountActivated{},
		domain.RegistrationAttached{}, domain.MemberInvited{}, domain.InvitationWithdrawn{}, domain.MemberJoined{}, domain.MemberRoleChanged{},
		domain.OwnershipPassedOn{}, domain.MemberRemoved{}, domain.CustomerErased{}, domain.PersonalDataErased{},
	),
	TopicLogin: types(
		domain.LoginSucceeded{}, domain.LoginFailed{}, domain.DeviceFirstUsed{}, domain.PasswordSet{}, domain.PasswordResetRequested{},
		domain.EmailChangeRequested{}, domain.EmailChanged{},
		domain.SecondFactorAdded{}, domain.RecoveryCodesReplaced{}, domain.RecoveryCodeUsed{}, domain.SecondFactorRemoved{},
	),
}

// ParseActivityTopic reads a topic; an empty text is none.
func ParseActivityTopic(text string) (ActivityTopic, error) {
	if _, known := topics[ActivityTopic(text)]; !known && text != "" {
		return "", domain.Invalid("topic", "Choose keys, plan, people or login.")
	}
	return ActivityTopic(text), nil
}

// ActivityFilter says which activity is looked for; its zero value, all.
type ActivityFilter struct {
	Day   time.Time // begin of the UTC day that it happened on
	Topic ActivityTopic
	Slot  domain.KeySlot // what happened to a key
}

// where returns the conditions of the filter as SQL, beginning with " and ", with the arguments behind those that are there.
func (f ActivityFilter) where(args []any) (string, []any) {
	var where strings.Builder
	if !f.Day.IsZero() {
		args = append(args, f.Day, f.Day.AddDate(0, 0, 1))
		fmt.Fprintf(&where, " and at >= $%d and at < $%d", len(args)-1, len(args))
	}
	if f.Topic != "" {
		args = append(args, topics[f.Topic])
		fmt.Fprintf(&where, " and kind = any($%d)", len(args))
	}
	if f.Slot != "" {
		args = append(args, string(f.Slot))
		fmt.Fprintf(&where, " and detail->>'slot' = $%d", len(args))
	}
	return where.String(), args
}
