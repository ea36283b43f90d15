package postgres

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/accounts"
)

// SentMails is a mailer in front of another that sends the mail of an event once. The log delivers an event again whenever
// an acknowledgement is lost: with the leader of a cluster, with a worker, or with a log that is copied while one event was
// being retried and later ones were done. Only what dies, or loses Postgres, between handing a mail over and writing that
// down sends it twice. Mails older than 90 days are forgotten: no event calls for one that late.
type SentMails struct {
	pool   *pgxpool.Pool
	mailer accounts.Mailer
	log    *slog.Logger
}

var _ accounts.Mailer = (*SentMails)(nil)

// NewSentMails sends through mailer and keeps what was sent in pool.
func NewSentMails(pool *pgxpool.Pool, mailer accounts.Mailer, log *slog.Logger) *SentMails {
	return &SentMails{pool: pool, mailer: mailer, log: log}
}

// noteTimeout bounds writing down that a mail went out.
const noteTimeout = 5 * time.Second

// Send hands a mail over unless that was done before. No connection is held meanwhile: a mail server may take its time.
func (s *SentMails) Send(ctx context.Context, mail accounts.Mail) error {
	var sent bool
	if err := s.pool.QueryRow(ctx, "select exists (select from sent_mails where event_id = $1)", mail.ID).Scan(&sent); err != nil {
		return fmt.Errorf("look whether a mail was sent: %w", err)
	}
	if sent {
		return nil
	}
	if err := s.mailer.Send(ctx, mail); err != nil {
		return err
	}
	// A worker that is stopped now must still write it down.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, `
		with old as (delete from sent_mails where sent_at < now() - interval '90 days')
		insert into sent_mails (event_id, sent_at) values ($1, now()) on conflict do nothing`, mail.ID); err != nil {
		// An error would send it again for certain; without one only a lost acknowledgement does.
		s.log.WarnContext(ctx, "it is not noted that a mail went out", "event", mail.ID, "error", err)
	}
	return nil
}
