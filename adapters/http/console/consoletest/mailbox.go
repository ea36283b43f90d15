package consoletest

import (
	"context"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// Mailbox gets the mails that events call for, when a test looks into it.
type Mailbox struct {
	handler *accounts.Mails
	read    int

	mu      sync.Mutex
	mails   []accounts.Mail
	refusal error // of whatever is sent, while it is set
}

// Refuse has the mail service refuse what is sent from now on; nil ends that.
func (m *Mailbox) Refuse(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refusal = err
}

// Send implements accounts.Mailer.
func (m *Mailbox) Send(_ context.Context, mail accounts.Mail) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.refusal != nil {
		return m.refusal
	}
	m.mails = append(m.mails, mail)
	return nil
}

// Sent returns what was sent.
func (m *Mailbox) Sent() []accounts.Mail {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.mails)
}

// StartOver forgets what was sent, and has the log delivered from its beginning again.
func (m *Mailbox) StartOver() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.read, m.mails = 0, nil
}

// MailsOf returns the mails that an event calls for.
func (w *World) MailsOf(event domain.Event) []accounts.Mail {
	w.t.Helper()
	w.Mails.mu.Lock()
	w.Mails.mails = nil
	w.Mails.mu.Unlock()
	Must(w.t, w.Mails.handler.HandleRecorded(w.t.Context(), domain.Recorded{ID: uuid.New(), Event: event, Meta: domain.Metadata{OccurredAt: w.Clock.Now()}}))
	w.Mails.mu.Lock()
	defer w.Mails.mu.Unlock()
	return slices.Clone(w.Mails.mails)
}

// NewestMail delivers what is due and gives the newest mail to an address whose subject contains a text.
func (w *World) NewestMail(to, subject string) (accounts.Mail, bool) {
	w.t.Helper()
	all, err := w.Store.All()
	Must(w.t, err)
	for ; w.Mails.read < len(all); w.Mails.read++ {
		if err := w.Mails.handler.HandleRecorded(w.t.Context(), all[w.Mails.read]); err != nil && !accounts.Undeliverable(err) {
			w.t.Fatal(err)
		}
	}
	w.Mails.mu.Lock()
	defer w.Mails.mu.Unlock()
	for _, mail := range slices.Backward(w.Mails.mails) {
		if mail.To == to && strings.Contains(mail.Subject, subject) {
			return mail, true
		}
	}
	return accounts.Mail{}, false
}

// MailedLink returns the path and query of the link in the newest mail.
func (w *World) MailedLink(to, subject string) string {
	w.t.Helper()
	mail, ok := w.NewestMail(to, subject)
	if !ok {
		w.t.Fatalf("no mail %q was sent to %s", subject, to)
	}
	_, rest, found := strings.Cut(mail.Text, w.URL)
	if !found {
		w.t.Fatalf("the mail holds no link to us:\n%s", mail.Text)
	}
	link, _, _ := strings.Cut(rest, "\n")
	return link
}

// TokenOf returns the secret part of a mailed link.
func TokenOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	Must(t, err)
	return u.Query().Get("token")
}
