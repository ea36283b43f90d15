package accounts

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// mailAddress sends what an event calls for to an address that is not, or not any more, the one of an account.
func (m *Mails) mailAddress(ctx context.Context, recorded domain.Recorded, customer uuid.UUID) error {
	message, account, to, err := m.toAddress(ctx, recorded)
	switch {
	case errors.Is(err, domain.ErrLinkInvalid), errors.Is(err, domain.ErrLinkExpired), errors.Is(err, domain.ErrLinkUsed), errors.Is(err, ErrErased):
		return m.expired(ctx, recorded.ID)
	case err != nil:
		return fmt.Errorf("write a mail for %s: %w", recorded.Event.EventType(), err)
	}
	return m.send(ctx, recorded, message, customer, account, to)
}

// toAddress returns the message, whose it is, and whom it goes to. A link that is void by now, or a notice that is old news,
// is an error.
func (m *Mails) toAddress(ctx context.Context, recorded domain.Recorded) (message, uuid.UUID, Person, error) {
	switch e := recorded.Event.(type) {
	case domain.MemberInvited:
		token := m.commands.LinkToken(LinkInvitation, Link{CustomerID: e.CustomerID, RequestID: e.InvitationID})
		open, err := m.commands.CheckInvitationLink(ctx, token)
		return invitationMessage(m.link(InvitationPath, token), open, e.ExpiresAt), e.InvitationID, Person{Email: open.Email}, err
	case domain.EmailChangeRequested:
		message, to, err := m.newEmail(ctx, e)
		return message, e.CustomerID, to, err
	case domain.EmailChanged:
		if m.commands.Now().Sub(recorded.Meta.OccurredAt) >= noticeValidity {
			return message{}, e.CustomerID, Person{}, domain.ErrLinkExpired
		}
		former, err := DecryptPerson(ctx, m.commands.vault, e.CustomerID, e.Former)
		return emailChangedMessage(m.link(LoginPath, ""), e.ChangedAt), e.CustomerID, former, err
	}
	return message{}, uuid.Nil, Person{}, fmt.Errorf("no mail is written for %s", recorded.Event.EventType())
}

// newEmail writes to the address that a login is to have. One that has a login of its own is told so: it cannot have two.
func (m *Mails) newEmail(ctx context.Context, e domain.EmailChangeRequested) (message, Person, error) {
	token := m.commands.LinkToken(LinkEmailChange, Link{CustomerID: e.CustomerID, RequestID: e.ChangeID})
	change, account, err := m.commands.emailChange(ctx, token)
	if err != nil {
		return message{}, Person{}, err
	}
	holder, err := m.commands.AccountOfMail(ctx, change.Email)
	if err != nil {
		return message{}, Person{}, err
	}
	if holder.Active && holder.CustomerID != e.CustomerID {
		to, err := DecryptPerson(ctx, m.commands.vault, holder.CustomerID, holder.Person)
		return emailTakenMessage(m.link(LoginPath, "")), to, err
	}
	to, err := DecryptPerson(ctx, m.commands.vault, e.CustomerID, account.Person)
	to.Email = change.Email
	return emailChangeMessage(m.link(EmailChangePath, token), e.ExpiresAt), to, err
}

// The kinds of mails about people and their addresses.
const (
	MailKindAttach       = "attach"
	MailKindInvitation   = "invitation"
	MailKindLoginActive  = "login-active"
	MailKindRoleChanged  = "role-changed"
	MailKindRemoved      = "removed"
	MailKindEmailChange  = "email-change"
	MailKindEmailTaken   = "email-taken"
	MailKindEmailChanged = "email-changed"
)

func attachMessage(link string, expires time.Time) message {
	return message{
		Kind: MailKindAttach, Unproven: true,
		Subject: "Add your new subscription to your Liveness Detection API login",
		Paragraphs: []string{
			"A subscription to the Liveness Detection API was registered with this address, which you log in with already.",
			"Log in with the link below to add the subscription to your login. It gets keys, usage and a plan of its own; you switch between your subscriptions in the console.",
		},
		Action: "Log in and add the subscription", Link: link,
		Closing: []string{
			"The link works once and expires on " + mailTime(expires) + ".",
			"If you did not subscribe on AWS Marketplace, ignore this mail: without you nothing happens, and your login stays as it is.",
		},
	}
}

func invitationMessage(link string, open OpenInvitation, expires time.Time) message {
	to, may := "the Liveness Detection API", "see everything and change nothing"
	if open.Company != "" {
		to = open.Company + " on " + to
	}
	if open.Role == domain.RoleOwner {
		may = "see and change everything"
	}
	closing := "You need no account yet: the link lets you choose a password."
	if open.AccountID != uuid.Nil {
		closing = "You accept with the login that you have; you switch between your customers in the console."
	}
	return message{
		Kind:       MailKindInvitation,
		Subject:    "You are invited to the Liveness Detection API",
		Paragraphs: []string{fmt.Sprintf("You are invited to %s, as %s: you can %s there.", to, roleName(open.Role), may), closing},
		Action:     "See the invitation", Link: link,
		Closing: []string{
			"The link works once and expires on " + mailTime(expires) + ".",
			"If you do not know who this is from, ignore this mail; without the link nothing happens.",
		},
	}
}

func roleName(role domain.Role) string {
	if role == domain.RoleOwner {
		return "an owner"
	}
	return "a reader"
}

func loginActiveMessage(link string) message {
	return message{
		Kind:       MailKindLoginActive,
		Subject:    "Your Liveness Detection API login is active",
		Paragraphs: []string{"You have accepted the invitation and can log in with this address and your password."},
		Action:     "Open the console", Link: link,
	}
}

func roleChangedMessage(link string, to domain.Role) message {
	may := "You can see everything of the customer and change nothing."
	if to == domain.RoleOwner {
		may = "You can see and change everything of the customer, its people among it, and our mails for it go to you."
	}
	return message{
		Kind:       MailKindRoleChanged,
		Subject:    "You are now " + roleName(to) + " on the Liveness Detection API",
		Paragraphs: []string{"An owner has made you " + roleName(to) + ". " + may},
		Action:     "Open the console", Link: link,
	}
}

func removedMessage(link string) message {
	return message{
		Kind:       MailKindRemoved,
		Subject:    "You were removed from a customer of the Liveness Detection API",
		Paragraphs: []string{"An owner has removed you: you can no longer see or change anything of the customer. Your login stays, with whatever else it belongs to."},
		Action:     "Open the console", Link: link,
	}
}

func emailChangeMessage(link string, expires time.Time) message {
	return message{
		Kind: MailKindEmailChange, Unproven: true,
		Subject:    "Confirm your new work email for the Liveness Detection API",
		Paragraphs: []string{"This address is to become the work email of your login: what you log in with, and where our mails go. Confirm it with the link below."},
		Action:     "Confirm the address", Link: link,
		Closing: []string{
			"The link works once and expires on " + mailTime(expires) + ". Until then you log in with your old address.",
			"If you did not ask for this, ignore this mail; without the link nothing happens.",
		},
	}
}

func emailTakenMessage(link string) message {
	return message{
		Kind:       MailKindEmailTaken,
		Subject:    "This address has a Liveness Detection API login already",
		Paragraphs: []string{"Somebody asked to make this address the work email of a login. It has a login of its own already, so nothing was changed.", "Was it you? Log in with this address, or choose another one."},
		Action:     "Log in", Link: link,
		Closing: []string{"If it was not you, ignore this mail."},
	}
}

func emailChangedMessage(link string, at time.Time) message {
	return message{
		Kind:    MailKindEmailChanged,
		Subject: "Your Liveness Detection API work email was changed",
		Paragraphs: []string{
			"The work email of your login was changed on " + mailTime(at) + ". This address is no longer a login, and our mails go to the new one.",
			"Was it you? Then there is nothing to do.",
		},
		Action: "Open the console", Link: link,
		Closing: []string{"If it was not you, answer this mail or write to support at once: somebody else knows your password."},
	}
}
