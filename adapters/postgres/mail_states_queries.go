package postgres

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/commands/accounts"
)

// MailRecord is what is kept of a mail.
type MailRecord struct {
	ID        uuid.UUID  `json:"id"`
	EventID   uuid.UUID  `json:"eventId"`
	Stream    string     `json:"stream"`
	Revision  int64      `json:"revision"`
	Kind      string     `json:"kind"`
	Customer  *uuid.UUID `json:"customerId,omitempty"`
	State     MailState  `json:"state"`
	Attempts  int        `json:"attempts"`
	Problem   string     `json:"problem,omitempty"`
	Cause     string     `json:"cause,omitempty"`
	Answer    string     `json:"answer,omitempty"`
	Returned  bool       `json:"returned,omitempty"`
	Why       string     `json:"why,omitempty"`
	DecidedBy string     `json:"decidedBy,omitempty"`
	BegunAt   time.Time  `json:"begunAt"`
	ChangedAt time.Time  `json:"changedAt"`
}

const selectMailStates = `
	select mail_id, event_id, stream, revision, kind, customer_id, state, attempts, coalesce(problem, ''), coalesce(cause, ''),
		coalesce(answer, ''), returned, coalesce(why, ''), coalesce(decided_by, ''), begun_at, changed_at
	from mail_states `

// List returns the newest mails in the given states, newest first; in every state when none is given.
func (s *MailStates) List(ctx context.Context, states []MailState, limit int) ([]MailRecord, error) {
	rows, _ := s.pool.Query(ctx, selectMailStates+`
		where cardinality($1::text[]) = 0 or state = any ($1) order by changed_at desc limit $2`, states, limit)
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[MailRecord])
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	return append([]MailRecord{}, list...), nil // an empty list, not null, in JSON
}

// Find returns one mail; false when nothing is kept of it.
func (s *MailStates) Find(ctx context.Context, id uuid.UUID) (MailRecord, bool, error) {
	rows, _ := s.pool.Query(ctx, selectMailStates+`where mail_id = $1 or event_id = $1 order by mail_id = $1 desc limit 1`, id)
	record, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[MailRecord])
	if errors.Is(err, pgx.ErrNoRows) {
		return record, false, nil
	}
	if err != nil {
		return record, false, fmt.Errorf("find mail: %w", err)
	}
	return record, true, nil
}

// Drop has a mail that was not sent never be sent. It reports false when it was sent or dropped already.
func (s *MailStates) Drop(ctx context.Context, id uuid.UUID, why, by string) (dropped bool, err error) {
	tag, err := s.pool.Exec(ctx, `
		update mail_states set state = 'dropped', why = $2, decided_by = $3, changed_at = now()
		where mail_id = $1 and state in ('waiting', 'parked', 'failed') and not returned`, id, why, by)
	if err != nil {
		return false, fmt.Errorf("drop mail: %w", err)
	}
	return tag.RowsAffected() > 0, nil
}

// holdFor is how long those that are not meant stay parked while others are replayed.
const holdFor = time.Minute

// HoldOthers has a replay leave alone what is parked, but for the given mails.
func (s *MailStates) HoldOthers(ctx context.Context, chosen []uuid.UUID) error {
	if _, err := s.pool.Exec(ctx, `
		update mail_states set held_until = case when mail_id = any ($1) then null else now() + make_interval(secs => $2) end
		where state in ('parked', 'failed') and not returned`, chosen, holdFor.Seconds()); err != nil {
		return fmt.Errorf("hold what is not to be replayed: %w", err)
	}
	return nil
}

// MailCount is how many mails of a kind are in a state.
type MailCount struct {
	Kind  string
	State MailState
	Count int64
	// Oldest is the age of the one that has been there longest, since it was first tried.
	Oldest time.Duration
}

// Counts returns how many mails of each kind are in each state, of those that are kept.
func (s *MailStates) Counts(ctx context.Context) ([]MailCount, error) {
	rows, _ := s.pool.Query(ctx, `
		select kind, state, count(*), coalesce(extract(epoch from now() - min(begun_at)), 0)::float8
		from mail_states group by kind, state order by kind, state`)
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (MailCount, error) {
		var c MailCount
		var seconds float64
		err := row.Scan(&c.Kind, &c.State, &c.Count, &seconds)
		c.Oldest = time.Duration(seconds * float64(time.Second))
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("count mails: %w", err)
	}
	return list, nil
}

// Delivery implements accounts.Deliveries.
func (s *MailStates) Delivery(ctx context.Context, event uuid.UUID) (accounts.Delivery, error) {
	record, found, err := s.Find(ctx, event)
	if err != nil || !found {
		return accounts.Delivery{}, err
	}
	return record.delivery(), nil
}

// DeliveryTo implements accounts.Deliveries.
func (s *MailStates) DeliveryTo(ctx context.Context, recipient string) (accounts.Delivery, error) {
	rows, _ := s.pool.Query(ctx, selectMailStates+`
		where recipient = $1 and state in ('sent', 'failed') order by changed_at desc limit 1`, recipient)
	record, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByPos[MailRecord])
	if errors.Is(err, pgx.ErrNoRows) {
		return accounts.Delivery{}, nil
	}
	if err != nil {
		return accounts.Delivery{}, fmt.Errorf("find the newest mail to an address: %w", err)
	}
	return record.delivery(), nil
}

func (record MailRecord) delivery() accounts.Delivery {
	delivery := accounts.Delivery{Known: true, Sent: record.State == MailSent}
	if record.State == MailFailed {
		delivery.Refused = &accounts.UndeliverableError{Cause: accounts.UndeliverableCause(record.Cause), Answer: record.Answer}
	}
	return delivery
}
