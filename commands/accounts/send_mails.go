package accounts

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/url"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Paths of the pages that mails link to, below the public address.
const (
	ActivationPath    = "/console/activate"
	PasswordResetPath = "/console/password/reset"
	LoginPath         = "/console/login"
	ForgotPath        = "/console/password/forgot"
)

// noticeValidity is how long after the fact a notice is worth sending. It keeps a subscription that starts at the
// beginning of an old log from mailing everybody about the past.
const noticeValidity = 24 * time.Hour

// Mails turns what happens to an account into mails. It is driven event by event, at least once each: the same
// event gives the same mail with the same link, and a link that is void by now gives none.
type Mails struct {
	commands *Commands
	mailer   Mailer
	site     url.URL
	support  string
	layout   *template.Template
}

// NewMails sends mails through mailer, with links below the public address site and support as the address for
// questions.
func NewMails(c *Commands, mailer Mailer, site *url.URL, support string) (*Mails, error) {
	layout, err := template.New("mail").Parse(mailLayout)
	if err != nil {
		return nil, fmt.Errorf("parse the layout of mails: %w", err)
	}
	return &Mails{commands: c, mailer: mailer, site: *site, support: support, layout: layout}, nil
}

// MailGroup names the subscription whose events nodes compete for.
const MailGroup = "account-mails"

// MailEvents are the types of the events that HandleRecorded acts on.
func MailEvents() []string {
	return []string{
		domain.VerificationRequested{}.EventType(), domain.PasswordResetRequested{}.EventType(), domain.AccountActivated{}.EventType(),
		domain.PasswordSet{}.EventType(), domain.KeyRegenerated{}.EventType(),
	}
}

// HandleRecorded sends the mail that an event calls for, if any. An error means: deliver the event again.
func (m *Mails) HandleRecorded(ctx context.Context, recorded domain.Recorded) error {
	customer, ok := mailedCustomer(recorded.Event)
	if !ok {
		return nil
	}
	account, err := m.commands.Account(ctx, customer)
	if err != nil {
		return fmt.Errorf("read account for a mail: %w", err)
	}
	message, due := m.decide(account, recorded, m.commands.Now())
	if !due {
		return m.expired(ctx, recorded.ID)
	}
	person, err := DecryptPerson(ctx, m.commands.vault, customer, account.Person)
	if errors.Is(err, ErrErased) {
		return m.expired(ctx, recorded.ID)
	}
	if err != nil {
		return fmt.Errorf("decrypt the addressee of a mail: %w", err)
	}
	mail, err := message.render(m.layout, person, m.support)
	if err != nil {
		return err
	}
	mail.ID, mail.CustomerID = recorded.ID, customer
	mail.Source = MailSource{EventID: recorded.ID, Stream: recorded.Stream, Revision: recorded.Revision}
	if err := m.mailer.Send(ctx, mail); err != nil {
		return fmt.Errorf("send mail for %s: %w", recorded.Event.EventType(), err)
	}
	return nil
}

// expired tells who keeps what becomes of mails that those of an event are not sent any more.
func (m *Mails) expired(ctx context.Context, event uuid.UUID) error {
	if register, ok := m.mailer.(MailRegister); ok {
		return register.Expired(ctx, event)
	}
	return nil
}

// mailedCustomer returns whom an event could call for a mail to.
func mailedCustomer(event domain.Event) (uuid.UUID, bool) {
	switch e := event.(type) {
	case domain.VerificationRequested:
		return e.CustomerID, true
	case domain.PasswordResetRequested:
		return e.CustomerID, true
	case domain.AccountActivated:
		return e.CustomerID, true
	case domain.PasswordSet:
		return e.CustomerID, e.Cause != domain.PasswordActivation
	case domain.KeyRegenerated:
		return e.CustomerID, true
	}
	return uuid.Nil, false
}

// decide returns which message an event calls for, given the account as it stands now.
func (m *Mails) decide(account domain.Account, recorded domain.Recorded, now time.Time) (message, bool) {
	if account.Erased {
		return message{}, false
	}
	recent := now.Sub(recorded.Meta.OccurredAt) < noticeValidity
	switch e := recorded.Event.(type) {
	case domain.VerificationRequested:
		token := m.commands.LinkToken(LinkVerification, Link{CustomerID: e.CustomerID, RequestID: e.VerificationID})
		return verificationMessage(m.link(ActivationPath, token), e.ExpiresAt), account.CheckVerification(e.VerificationID, now) == nil
	case domain.PasswordResetRequested:
		token := m.commands.LinkToken(LinkPasswordReset, Link{CustomerID: e.CustomerID, RequestID: e.ResetID})
		return resetMessage(m.link(PasswordResetPath, token), e.ExpiresAt), account.CheckReset(e.ResetID, now) == nil
	case domain.AccountActivated:
		return activatedMessage(m.link(LoginPath, "")), recent
	case domain.PasswordSet:
		return passwordChangedMessage(m.link(ForgotPath, ""), e.SetAt), recent
	case domain.KeyRegenerated:
		return keyRegeneratedMessage(m.link("/console/keys", ""), e), recent
	}
	return message{}, false
}

func (m *Mails) link(path, token string) string {
	link := m.site.JoinPath(path)
	if token != "" {
		link.RawQuery = url.Values{"token": {token}}.Encode()
	}
	return link.String()
}
