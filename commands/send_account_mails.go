package commands

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

// Mail is a message to one person, as text and as HTML.
type Mail struct {
	ID      uuid.UUID // of the event that led to it: a mail sent again after a crash carries the same one
	To      string
	Subject string
	Text    string
	HTML    string
}

// Mailer hands mails to a delivery service. Send returns nil once the service has taken the mail over.
type Mailer interface {
	Send(ctx context.Context, mail Mail) error
}

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

// AccountMails turns what happens to an account into mails. It is driven event by event, at least once each: the same
// event gives the same mail with the same link, and a link that is void by now gives none.
type AccountMails struct {
	app     *Application
	mailer  Mailer
	site    url.URL
	support string
	layout  *template.Template
}

// NewAccountMails sends mails through mailer, with links below the public address site and support as the address for
// questions.
func NewAccountMails(app *Application, mailer Mailer, site *url.URL, support string) (*AccountMails, error) {
	layout, err := template.New("mail").Parse(mailLayout)
	if err != nil {
		return nil, fmt.Errorf("parse the layout of mails: %w", err)
	}
	return &AccountMails{app: app, mailer: mailer, site: *site, support: support, layout: layout}, nil
}

// AccountMailEvents are the types of the events that HandleRecorded acts on.
func AccountMailEvents() []string {
	return []string{
		domain.VerificationRequested{}.EventType(), domain.PasswordResetRequested{}.EventType(), domain.AccountActivated{}.EventType(),
		domain.PasswordSet{}.EventType(), domain.KeyRegenerated{}.EventType(),
	}
}

// HandleRecorded sends the mail that an event calls for, if any. An error means: deliver the event again.
func (m *AccountMails) HandleRecorded(ctx context.Context, recorded domain.Recorded) error {
	customer, ok := mailedCustomer(recorded.Event)
	if !ok {
		return nil
	}
	account, err := m.app.Account(ctx, customer)
	if err != nil {
		return fmt.Errorf("read account for a mail: %w", err)
	}
	message, due := m.decide(account, recorded, m.app.Now())
	if !due {
		return nil
	}
	person, err := OpenPerson(ctx, m.app.vault, customer, account.Person)
	if errors.Is(err, ErrErased) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the addressee of a mail: %w", err)
	}
	mail, err := message.render(m.layout, person, m.support)
	if err != nil {
		return err
	}
	mail.ID = recorded.ID
	if err := m.mailer.Send(ctx, mail); err != nil {
		return fmt.Errorf("send mail for %s: %w", recorded.Event.EventType(), err)
	}
	return nil
}

// mailedCustomer says whom an event could call for a mail to.
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

// decide says which message an event calls for, given the account as it stands now.
func (m *AccountMails) decide(account domain.Account, recorded domain.Recorded, now time.Time) (message, bool) {
	if account.Erased {
		return message{}, false
	}
	recent := now.Sub(recorded.Meta.OccurredAt) < noticeValidity
	switch e := recorded.Event.(type) {
	case domain.VerificationRequested:
		token := m.app.LinkToken(LinkVerification, Link{CustomerID: e.CustomerID, RequestID: e.VerificationID})
		return verificationMessage(m.link(ActivationPath, token), e.ExpiresAt), account.CheckVerification(e.VerificationID, now) == nil
	case domain.PasswordResetRequested:
		token := m.app.LinkToken(LinkPasswordReset, Link{CustomerID: e.CustomerID, RequestID: e.ResetID})
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

func (m *AccountMails) link(path, token string) string {
	link := m.site.JoinPath(path)
	if token != "" {
		link.RawQuery = url.Values{"token": {token}}.Encode()
	}
	return link.String()
}
