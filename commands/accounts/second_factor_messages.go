package accounts

import (
	"fmt"

	"github.com/pas-ta/liveness/domain"
)

// The kinds of mails about a second factor.
const (
	MailKindSecondFactorAdded     = "second-factor-added"
	MailKindSecondFactorRemoved   = "second-factor-removed"
	MailKindRecoveryCodesReplaced = "recovery-codes-replaced"
	MailKindRecoveryCodeUsed      = "recovery-code-used"
)

// secondFactorMessage tells somebody what happened to their second factor: whoever has taken a session or a telephone over would
// begin with it.
func secondFactorMessage(link string, account domain.Account, recorded domain.Recorded) message {
	m := message{Action: "Reset the password", Link: link}
	switch e := recorded.Event.(type) {
	case domain.SecondFactorAdded:
		m.Kind, m.Subject = MailKindSecondFactorAdded, "Two-step login to your Liveness Detection API account is on"
		m.Paragraphs = []string{
			"Since " + mailTime(e.AddedAt) + " a login to your account needs a code of your authenticator app besides the password. " +
				"All other sessions were signed out.",
			"Keep the recovery codes that were shown to you: each stands for a code of the app once, should you lose it.",
		}
	case domain.SecondFactorRemoved:
		m.Kind, m.Subject = MailKindSecondFactorRemoved, "Two-step login to your Liveness Detection API account is off"
		switched := "Two-step login was switched off on "
		if recorded.Meta.Actor == domain.ActorOperator {
			switched = "Our support, asked to, switched two-step login off on "
		}
		m.Paragraphs = []string{switched + mailTime(e.RemovedAt) + ". The password alone is enough for a login to your account now."}
	case domain.RecoveryCodesReplaced:
		m.Kind, m.Subject = MailKindRecoveryCodesReplaced, "Your Liveness Detection API recovery codes were replaced"
		m.Paragraphs = []string{"Fresh recovery codes for two-step login were made on " + mailTime(e.ReplacedAt) + ". Those from before no longer work."}
	case domain.RecoveryCodeUsed:
		m.Kind, m.Subject = MailKindRecoveryCodeUsed, "A recovery code of your Liveness Detection API account was used"
		m.Paragraphs = []string{fmt.Sprintf("Somebody with your password gave a recovery code in place of your app's on %s. %s",
			mailTime(e.UsedAt), codesLeft(account.SecondFactor))}
	}
	m.Paragraphs = append(m.Paragraphs, "Was it you? Then there is nothing to do. If it was not, reset the password at once, and write to us: a new password "+
		"leaves two-step login as it is.")
	return m
}

// codesLeft says how many recovery codes can still be used.
func codesLeft(factor domain.SecondFactor) string {
	switch left := factor.CodesLeft(); left {
	case 0:
		return "None is left: make fresh ones on the account screen."
	case 1:
		return "One is left: make fresh ones on the account screen."
	default:
		return fmt.Sprintf("%d are left.", left)
	}
}
