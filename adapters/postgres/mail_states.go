package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pas-ta/liveness/commands/accounts"
)

// MailState says what became of a mail.
type MailState string

// The states of a mail.
const (
	MailWaiting MailState = "waiting" // is tried again until it is sent or too old
	MailSent    MailState = "sent"    // the delivery service has taken it
	MailFailed  MailState = "failed"  // its recipient will never get it
	MailParked  MailState = "parked"  // its event cannot be handled
	MailExpired MailState = "expired" // was never sent, and its link or its news is too old by now
	MailDropped MailState = "dropped" // an operator has decided that it is not sent
)

// AllMailStates returns the states that a mail can be in.
func AllMailStates() []MailState {
	return []MailState{MailWaiting, MailSent, MailFailed, MailParked, MailExpired, MailDropped}
}

// MailStates is a mailer in front of another that keeps what becomes of each mail: no address, only whose it is. What is kept
// is for people to look at; but for what an operator has decided nothing rests on it.
type MailStates struct {
	pool   *pgxpool.Pool
	mailer accounts.Mailer
	log    *slog.Logger
}

var (
	_ accounts.Mailer       = (*MailStates)(nil)
	_ accounts.MailRegister = (*MailStates)(nil)
	_ accounts.Deliveries   = (*MailStates)(nil)
)

// NewMailStates sends through mailer and keeps states in pool. Without a mailer it only answers questions.
func NewMailStates(pool *pgxpool.Pool, mailer accounts.Mailer, log *slog.Logger) *MailStates {
	return &MailStates{pool: pool, mailer: mailer, log: log}
}

// errHeld parks a mail again, whose neighbours only are replayed.
var errHeld = fmt.Errorf("%w: it stays parked, because others are replayed", accounts.ErrUndeliverable)

// Send hands a mail on, unless an operator has decided otherwise, and keeps what came of it.
func (s *MailStates) Send(ctx context.Context, mail accounts.Mail) error {
	state, held, err := s.begin(ctx, mail)
	switch {
	case err != nil:
		return err
	case state == MailDropped:
		return nil
	case held:
		return errHeld
	}
	failure := s.mailer.Send(ctx, mail)
	if failure != nil && ctx.Err() != nil {
		return failure // the program is being stopped: that says nothing about the mail
	}
	s.conclude(ctx, mail, failure)
	return failure
}

// begin notes an attempt.
func (s *MailStates) begin(ctx context.Context, mail accounts.Mail) (state MailState, held bool, err error) {
	var customer *uuid.UUID
	if mail.CustomerID != uuid.Nil {
		customer = &mail.CustomerID
	}
	err = s.pool.QueryRow(ctx, `
		insert into mail_states as m (mail_id, event_id, stream, revision, kind, customer_id, recipient, state, attempts)
		values ($1, $2, $3, $4, $5, $6, nullif($7, ''), 'waiting', 1)
		on conflict (mail_id) do update set attempts = m.attempts + 1, changed_at = now(),
			kind = excluded.kind, customer_id = excluded.customer_id, recipient = excluded.recipient,
			state = case when m.state in ('sent', 'dropped') or m.returned or m.held_until > now() then m.state else 'waiting' end
		returning state, coalesce(held_until > now(), false)`,
		mail.ID, mail.Source.EventID, mail.Source.Stream, int64(mail.Source.Revision), mail.Kind, customer, mail.Recipient).Scan(&state, &held)
	if err != nil {
		return "", false, fmt.Errorf("note that a mail is tried: %w", err)
	}
	return state, held, nil
}

// conclude notes what came of an attempt. A note that is missing is written by the next attempt, or leaves a mail looking as
// if it waited: that must not have it sent again.
func (s *MailStates) conclude(ctx context.Context, mail accounts.Mail, failure error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	state, problem, service, cause, answer := MailSent, "", false, "", ""
	if failure != nil {
		state, problem, service = MailWaiting, failure.Error(), !errors.Is(failure, accounts.ErrDeferred)
	}
	if undeliverable, ok := errors.AsType[*accounts.UndeliverableError](failure); ok {
		state, service, cause, answer = MailFailed, false, string(undeliverable.Cause), undeliverable.Answer
	}
	if _, err := s.pool.Exec(ctx, `
		with old as (delete from mail_states where changed_at < now() - interval '90 days')
		update mail_states set state = $2, problem = nullif($3, ''), service = $4, cause = nullif($5, ''), answer = nullif($6, ''),
			changed_at = now()
		where mail_id = $1 and not returned and state <> 'dropped'`, mail.ID, state, problem, service, cause, answer); err != nil {
		s.log.WarnContext(ctx, "it is not noted what became of a mail", "mail", mail.ID, "error", err)
	}
}

// Expired notes that the mails of an event, as far as there are any that wait, are not sent any more.
func (s *MailStates) Expired(ctx context.Context, event uuid.UUID) error {
	if _, err := s.pool.Exec(ctx, `
		update mail_states set state = 'expired', changed_at = now()
		where event_id = $1 and state in ('waiting', 'failed', 'parked') and not returned`,
		event); err != nil {
		return fmt.Errorf("note that a mail is too old: %w", err)
	}
	return nil
}

// Park notes that an event is set aside whose mail was not even tried, because it cannot be read.
func (s *MailStates) Park(ctx context.Context, source accounts.MailSource, eventType, problem string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	if _, err := s.pool.Exec(ctx, `
		insert into mail_states (mail_id, event_id, stream, revision, kind, state, problem) select $1, $1, $2, $3, $4, 'parked', $5
		where not exists (select from mail_states where event_id = $1)
		on conflict (mail_id) do nothing`, source.EventID, source.Stream, int64(source.Revision), eventType, problem); err != nil {
		s.log.WarnContext(ctx, "it is not noted that an event is parked", "event", source.EventID, "error", err)
	}
}

// Return notes that a mail which went out came back, or that its recipient does not want any: what a delivery service tells
// later. It reports false for a mail that is not known.
func (s *MailStates) Return(ctx context.Context, mail uuid.UUID, why accounts.UndeliverableError) (known bool, err error) {
	tag, err := s.pool.Exec(ctx, `
		update mail_states set state = 'failed', returned = true, problem = $2, cause = $3, answer = nullif($4, ''), changed_at = now()
		where mail_id = $1`, mail, "it came back: "+why.Error(), string(why.Cause), why.Answer)
	if err != nil {
		return false, fmt.Errorf("note that a mail came back: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// serviceProblemValidity is how long a failed attempt says something about the delivery service: longer than the longest pause
// between two.
const serviceProblemValidity = 3 * time.Minute

// CheckService returns why mails do not go out, as the newest attempt on any node says; nil while they do.
func (s *MailStates) CheckService(ctx context.Context) error {
	var problem *string
	err := s.pool.QueryRow(ctx, `
		select (select problem from mail_states m where state = 'waiting' and service and changed_at > now() - make_interval(secs => $1)
			and not exists (
				select from mail_states s where s.state in ('sent', 'failed') and not s.returned and s.changed_at > m.changed_at)
			order by changed_at desc limit 1)`, serviceProblemValidity.Seconds()).Scan(&problem)
	switch {
	case err != nil:
		return fmt.Errorf("look whether mails go out: %w", err)
	case problem != nil:
		return errors.New(*problem)
	}
	return nil
}
