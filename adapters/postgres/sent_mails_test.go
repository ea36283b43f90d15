package postgres_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands/accounts"
)

// countingMailer counts what it is handed, and refuses it when told to.
type countingMailer struct {
	sent    map[uuid.UUID]int
	refusal error
	before  func() // may be nil
}

func (m *countingMailer) Send(_ context.Context, mail accounts.Mail) error {
	if m.before != nil {
		m.before()
	}
	if m.refusal != nil {
		return m.refusal
	}
	m.sent[mail.ID]++
	return nil
}

func TestMailOfAnEventIsSentOnce(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	box := &countingMailer{sent: map[uuid.UUID]int{}}
	mail := accounts.Mail{ID: uuid.New(), To: "ada@example.com"}

	box.refusal = errors.New("mailbox is full")
	if err := postgres.NewSentMails(pool, box, slog.New(slog.DiscardHandler)).Send(t.Context(), mail); !errors.Is(err, box.refusal) {
		t.Errorf("got %v, want %v", err, box.refusal)
	}
	box.refusal = nil
	for range 3 {
		if err := postgres.NewSentMails(pool, box, slog.New(slog.DiscardHandler)).Send(t.Context(), mail); err != nil {
			t.Error(err)
		}
	}
	if box.sent[mail.ID] != 1 {
		t.Errorf("the mail was sent %d times, want once", box.sent[mail.ID])
	}
	if err := postgres.NewSentMails(pool, box, slog.New(slog.DiscardHandler)).Send(t.Context(), accounts.Mail{ID: uuid.New()}); err != nil || len(box.sent) != 2 {
		t.Errorf("%d mails were sent, %v; want another event's too", len(box.sent), err)
	}
	if _, err := pool.Exec(t.Context(), "update sent_mails set sent_at = now() - interval '91 days'"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.NewSentMails(pool, box, slog.New(slog.DiscardHandler)).Send(t.Context(), accounts.Mail{ID: uuid.New()}); err != nil {
		t.Fatal(err)
	}
	var kept int
	if err := pool.QueryRow(t.Context(), "select count(*) from sent_mails").Scan(&kept); err != nil || kept != 1 {
		t.Errorf("%d mails are kept, %v; want the new one", kept, err)
	}
}
