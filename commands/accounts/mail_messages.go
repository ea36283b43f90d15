package accounts

import (
	_ "embed"
	"fmt"
	"html/template"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// The kinds of mails.
const (
	MailKindVerification    = "verification"
	MailKindPasswordReset   = "password-reset"
	MailKindActivated       = "account-active"
	MailKindPasswordChanged = "password-changed"
	MailKindKeyRegenerated  = "key-regenerated"
	MailKindNewDevice       = "new-device"
)

// MailKinds returns the kinds of mails that there are.
func MailKinds() []string {
	return []string{
		MailKindVerification, MailKindPasswordReset, MailKindActivated, MailKindPasswordChanged, MailKindKeyRegenerated, MailKindNewDevice,
		MailKindAttach, MailKindInvitation, MailKindLoginActive, MailKindRoleChanged, MailKindRemoved, MailKindEmailChange, MailKindEmailTaken,
		MailKindEmailChanged, MailKindPlanChanged, MailKindSubscriptionEnding, MailKindSubscriptionEnded, MailKindSubscriptionStarted,
		MailKindReinstated, MailKindOverageSwitched, MailKindUsageThreshold, MailKindSecondFactorAdded, MailKindSecondFactorRemoved,
		MailKindRecoveryCodesReplaced, MailKindRecoveryCodeUsed,
	}
}

// message is what a mail says, before it is laid out for its reader.
type message struct {
	Kind       string
	Subject    string
	Paragraphs []string
	Action     string // label of the button
	Link       string
	Closing    []string // small print below the button
	// Unproven is set when nobody has shown yet that the address is theirs. The mail then holds no text of whoever asked for it:
	// a registration form must not mail a stranger's words to anybody.
	Unproven bool
}

// about says whose mail it is, which who acts for several customers cannot tell otherwise.
func (m message) about(customer uuid.UUID) message {
	m.Closing = append(m.Closing, "Customer ID: "+customer.String()+" (you find it on the console's account screen).")
	return m
}

func verificationMessage(link string, expires time.Time) message {
	return message{
		Kind: MailKindVerification, Unproven: true,
		Subject: "Verify your email address for the Liveness Detection API",
		Paragraphs: []string{
			"Thank you for subscribing to the Liveness Detection API. One step is left: verify this address and choose a password.",
			"Your two API keys are issued right afterwards and shown once, so have a safe place for them ready.",
		},
		Action: "Verify and set a password", Link: link,
		Closing: []string{
			"The link works once and expires on " + mailTime(expires) + ".",
			"If you did not subscribe on AWS Marketplace, ignore this mail; without the link nothing happens.",
		},
	}
}

func resetMessage(link string, expires time.Time) message {
	return message{
		Kind:       MailKindPasswordReset,
		Subject:    "Reset your password for the Liveness Detection API",
		Paragraphs: []string{"A new password was requested for your account. Choose one with the link below; you will be signed out everywhere else."},
		Action:     "Choose a new password", Link: link,
		Closing: []string{
			"The link works once and expires on " + mailTime(expires) + ".",
			"If you did not ask for this, ignore this mail: your password stays as it is.",
		},
	}
}

func activatedMessage(link string) message {
	return message{
		Kind:    MailKindActivated,
		Subject: "Your Liveness Detection API account is active",
		Paragraphs: []string{
			"Your account is active and your Primary and Secondary API keys are issued. They were shown in full on the screen after you set your password.",
			"Did you miss them? Regenerate a key in the console at any time; the new one is shown there once.",
		},
		Action: "Open the console", Link: link,
		Closing: []string{"Only successful detections are counted. You see every counted call on the console's overview."},
	}
}

func passwordChangedMessage(link string, at time.Time) message {
	return message{
		Kind:    MailKindPasswordChanged,
		Subject: "Your Liveness Detection API password was changed",
		Paragraphs: []string{
			"The password of your account was changed on " + mailTime(at) + ". All other sessions were signed out.",
			"Was it you? Then there is nothing to do. If it was not, reset the password at once.",
		},
		Action: "Reset the password", Link: link,
	}
}

func newDeviceMessage(link string, at time.Time) message {
	return message{
		Kind:    MailKindNewDevice,
		Subject: "A new login to your Liveness Detection API account",
		Paragraphs: []string{
			"Somebody logged in to your account on " + mailTime(at) + ", with your password, " +
				"from a browser that we have not seen on it before.",
			"Was it you? Then there is nothing to do. If it was not, reset the password at once: that signs everybody out.",
		},
		Action: "Reset the password", Link: link,
		Closing: []string{"A browser whose cookies were deleted counts as a new one."},
	}
}

func keyRegeneratedMessage(link string, e domain.KeyRegenerated) message {
	return message{
		Kind:    MailKindKeyRegenerated,
		Subject: fmt.Sprintf("Your %s API key was regenerated", e.Slot.Title()),
		Paragraphs: []string{
			fmt.Sprintf("The %s API key of your account was replaced on %s. The old key %s… is invalid from that moment; the new one begins with %s.",
				e.Slot.Title(), mailTime(e.RegeneratedAt), e.OldKey.Prefix, e.NewKey.Prefix),
			"Was it you? Then there is nothing to do.",
		},
		Action: "See your API keys", Link: link,
		Closing: []string{"If it was not you, change your password at once and regenerate both keys."},
	}
}

func mailTime(t time.Time) string { return t.UTC().Format("2 January 2006 at 15:04 UTC") }

//go:embed mail_layout.html
var mailLayout string

// render lays the message out for a person.
func (m message) render(layout *template.Template, to Person, support string) (Mail, error) {
	if m.Unproven {
		to.FirstName = ""
	}
	var html strings.Builder
	if err := layout.Execute(&html, struct {
		message
		FirstName, Support string
	}{m, to.FirstName, support}); err != nil {
		return Mail{}, fmt.Errorf("lay out mail: %w", err)
	}
	return Mail{Kind: m.Kind, To: to.Email, Subject: m.Subject, Text: m.text(to.FirstName, support), HTML: html.String()}, nil
}

func (m message) text(firstName, support string) string {
	greeting := strings.TrimSpace("Hello "+firstName) + ","
	blocks := append([]string{greeting}, m.Paragraphs...)
	blocks = append(blocks, m.Action+":\n"+m.Link)
	blocks = append(blocks, m.Closing...)
	if support != "" {
		blocks = append(blocks, "Questions? Write to "+support+".")
	}
	return strings.Join(append(blocks, "-- \nLiveness Detection API"), "\n\n") + "\n"
}
