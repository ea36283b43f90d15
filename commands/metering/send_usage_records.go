package metering

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// openRecord is a record as it stands in the log.
type openRecord struct {
	domain.UsageRecord
	revision int64
}

// SendUsageRecords reports what is due, call by call, the nearest deadline first, and decides on what is too late. It
// tells when something is due next; the zero time when no record is open.
func (m *ProcessManager) SendUsageRecords(ctx context.Context) (next time.Time, err error) {
	failed := m.expireUsageRecords(ctx)
	if commands.ConcernsAll(ctx, failed) {
		return next, failed
	}
	tried := map[uuid.UUID]bool{} // once in a step, so that a step ends
	for !m.breaker.open(m.Now()) {
		if err := m.awaitReadModel(ctx); err != nil {
			return next, errors.Join(failed, err)
		}
		due, err := m.Model.Due(ctx, m.Region, m.Now(), !m.breaker.closed, pageSize)
		if err != nil {
			return next, errors.Join(failed, err)
		}
		due = slices.DeleteFunc(due, func(key domain.UsageRecordKey) bool { return tried[key.RecordID] })
		sent, err := m.sendDue(ctx, due, tried)
		failed = errors.Join(failed, err)
		if commands.ConcernsAll(ctx, err) {
			return next, failed
		}
		if sent == 0 {
			break
		}
	}
	if next, err = m.Model.NextDue(ctx, m.Region); err == nil && !next.IsZero() && next.Before(m.breaker.openUntil) {
		next = m.breaker.openUntil
	}
	return next, errors.Join(failed, err)
}

// sendDue sends a page of due records. It ends early when the circuit breaker opens, or closes: more may then be sent at
// once.
func (m *ProcessManager) sendDue(ctx context.Context, due []domain.UsageRecordKey, tried map[uuid.UUID]bool) (sent int, err error) {
	closed := m.breaker.closed
	for len(due) > 0 && m.breaker.closed == closed && !m.breaker.open(m.Now()) && ctx.Err() == nil {
		var batch []openRecord
		var unread error
		batch, due, unread = m.takeBatch(ctx, due, tried)
		if err = errors.Join(err, unread); commands.ConcernsAll(ctx, unread) {
			return sent, err
		}
		if len(batch) == 0 {
			continue
		}
		// A call that has begun is brought to its end, so that a stopping worker leaves no answer behind.
		calling, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		unsettled := m.sendBatch(calling, batch)
		cancel()
		sent += len(batch)
		if err = errors.Join(err, unsettled); commands.ConcernsAll(ctx, unsettled) {
			return sent, err
		}
	}
	return sent, errors.Join(err, ctx.Err())
}

// callTimeout bounds a call with the events around it.
const callTimeout = 2 * time.Minute

// takeBatch reads the next records from the log until a call is full, and returns the keys that are left. One call has
// records of one product that name their buyers the same way. It goes on without records that cannot be read.
func (m *ProcessManager) takeBatch(ctx context.Context, due []domain.UsageRecordKey, tried map[uuid.UUID]bool) ([]openRecord, []domain.UsageRecordKey, error) {
	var batch []openRecord
	var left []domain.UsageRecordKey
	var failed error
	size, now := m.breaker.batchSize(), m.Now()
	for len(due) > 0 && len(batch) < size {
		page := due[:min(size-len(batch), len(due))]
		due = due[len(page):]
		records, err := m.readRecords(ctx, page)
		if failed = errors.Join(failed, err); commands.ConcernsAll(ctx, err) {
			return nil, nil, failed
		}
		for i, r := range records {
			switch {
			case tried[page[i].RecordID] || r.Status != domain.RecordOpen || r.Region != m.Region || r.Expired(now):
				// Sent in this step, or not readable or closed meanwhile, or the next step decides on it.
				tried[page[i].RecordID] = true
			case len(batch) > 0 && !sameCall(batch[0], r):
				left = append(left, page[i])
			default:
				batch = append(batch, r)
			}
		}
	}
	for _, r := range batch {
		tried[r.RecordID] = true
	}
	return batch, append(left, due...), failed
}

func sameCall(a, b openRecord) bool {
	return a.ProductCode == b.ProductCode && (a.LicenseARN == "") == (b.LicenseARN == "")
}

// readRecords reads records from the log. One that cannot be read is zero.
func (m *ProcessManager) readRecords(ctx context.Context, keys []domain.UsageRecordKey) ([]openRecord, error) {
	records := make([]openRecord, len(keys))
	err := each(len(keys), func(_ *sync.Mutex, i int) error {
		record, revision, err := commands.Load[domain.UsageRecord](ctx, m.Store, keys[i].Stream())
		if err != nil {
			return fmt.Errorf("read the usage record %s: %w", keys[i].Stream(), err)
		}
		records[i] = openRecord{record, revision}
		return nil
	})
	return records, err
}

// sendBatch sends records in one call and settles each. A batch that is refused for one of its records is halved until
// that one is found.
func (m *ProcessManager) sendBatch(ctx context.Context, batch []openRecord) error {
	attempt := uuid.New()
	batch, err := m.noteAttempt(ctx, attempt, batch)
	if err != nil || len(batch) == 0 {
		return err
	}
	reports := make([]UsageReport, len(batch))
	for i, r := range batch {
		reports[i] = UsageReport{Identity: r.Identity(), Dimension: r.Dimension, Quantity: r.Quantity, Timestamp: r.Timestamp}
	}
	answers, callErr := m.Meter.MeterUsage(ctx, reports)
	if callErr != nil {
		m.breaker.record(answers[0].Outcome, m.Now())
		m.Log.WarnContext(ctx, "a metering call failed", "records", len(batch), "outcome", answers[0].Outcome, "error", callErr)
		if answers[0].Outcome == domain.MeteringAccessRefused {
			m.Log.ErrorContext(ctx, "metering is paused: AWS refuses the call as such; look at the Region and the permissions",
				"error", callErr, "retry_at", m.breaker.openUntil)
		}
	} else {
		m.breaker.record(domain.MeteringSuccess, m.Now())
	}
	actions, err := m.settleAll(ctx, attempt, batch, answers)
	if actions[0] == domain.MeteringSplit && !commands.ConcernsAll(ctx, err) {
		middle := len(batch) / 2
		return errors.Join(err, m.sendBatch(ctx, batch[:middle]), m.sendBatch(ctx, batch[middle:]))
	}
	return err
}

// noteAttempt writes down that records are about to be sent and returns those for which that succeeded: of nodes that try
// the same, one does.
func (m *ProcessManager) noteAttempt(ctx context.Context, attempt uuid.UUID, batch []openRecord) ([]openRecord, error) {
	noted := make([]bool, len(batch))
	err := each(len(batch), func(mu *sync.Mutex, i int) error {
		r := &batch[i]
		events := r.Attempt(attempt, m.Now())
		if len(events) == 0 {
			return nil
		}
		by := commands.NewOrigin(domain.ActorSystem)
		appended, err := commands.AppendUntilKnown(ctx, m.Store, r.Stream(), r.revision, m.Propose(by, r.Stream(), r.revision, events))
		if errors.Is(err, commands.ErrConflict) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("note an attempt in %s: %w", r.Stream(), err)
		}
		r.UsageRecord, r.revision, noted[i] = r.Fold(events[0]), int64(appended.Revision), true
		m.advance(mu, appended.Position)
		return nil
	})
	var ready []openRecord
	for i, r := range batch {
		if noted[i] {
			ready = append(ready, r)
		}
	}
	if err != nil {
		// No call follows. Without saying so these would count as perhaps billed.
		answers := make([]UsageAnswer, len(ready))
		for i := range answers {
			answers[i].Outcome = domain.MeteringNotSent
		}
		_, settleErr := m.settleAll(ctx, attempt, ready, answers)
		return nil, errors.Join(err, settleErr)
	}
	return ready, nil
}

// settleAll writes down what became of an attempt and returns the action for each record.
func (m *ProcessManager) settleAll(ctx context.Context, attempt uuid.UUID, batch []openRecord, answers []UsageAnswer) ([]domain.MeteringAction, error) {
	actions := make([]domain.MeteringAction, len(batch))
	err := each(len(batch), func(mu *sync.Mutex, i int) error {
		r := &batch[i]
		answer := domain.MeteringAnswer{
			AttemptID: attempt, Outcome: answers[i].Outcome, MeteringRecordID: answers[i].RecordID, BatchSize: len(batch), Subscription: domain.StatusActive,
		}
		if answer.Outcome == domain.MeteringNotSubscribed || answer.Outcome == domain.MeteringTimestampRefused && len(batch) == 1 {
			var err error // only these are decided on it
			if answer.Subscription, err = m.status(ctx, r.SubscriptionID); err != nil {
				return err
			}
		}
		var decision domain.MeteringDecision
		done, err := commands.ExecuteFrom(ctx, m.Executor, commands.NewOrigin(domain.ActorSystem), r.Stream(), r.UsageRecord, r.revision, func(s domain.UsageRecord) ([]domain.Event, error) {
			var events []domain.Event
			events, decision = s.Settle(answer, m.Now())
			return events, nil
		})
		if err != nil {
			return fmt.Errorf("settle %s: %w", r.Stream(), err)
		}
		actions[i], r.UsageRecord, r.revision = decision.Action, done.State, done.Revision
		if done.Position > 0 {
			m.advance(mu, done.Position)
			m.followUp(ctx, r.UsageRecord, answer.Outcome, decision)
		}
		return nil
	})
	return actions, err
}

// followUp alerts a person where the decision asks for it, and looks at AWS again.
func (m *ProcessManager) followUp(ctx context.Context, r domain.UsageRecord, outcome domain.MeteringOutcome, decision domain.MeteringDecision) {
	if decision.Alert && decision.Action != domain.MeteringPause {
		m.alert(ctx, "a usage record needs attention", r.UsageRecordKey,
			"outcome", outcome, "action", decision.Action, "reason", decision.Reason, "quantity", r.Quantity)
	}
	if decision.RereadEntitlement && m.Reread != nil {
		if err := m.Reread(ctx, r.SubscriptionID); err != nil {
			m.Log.WarnContext(ctx, "an entitlement could not be read again", "subscription", r.SubscriptionID, "error", err)
		}
	}
}

// lateMargin makes Late find every record that could be too late; the record itself decides.
const lateMargin = 10 * time.Minute

// expireUsageRecords decides on open records that AWS takes no more, whether it can be reached or not.
func (m *ProcessManager) expireUsageRecords(ctx context.Context) error {
	late, err := m.Model.Late(ctx, m.Now().Add(lateMargin), pageSize)
	if err != nil || len(late) == 0 {
		return err
	}
	records, err := m.readRecords(ctx, late)
	if commands.ConcernsAll(ctx, err) {
		return err
	}
	return errors.Join(err, each(len(records), func(mu *sync.Mutex, i int) error {
		r := &records[i]
		if !r.Expired(m.Now()) {
			return nil
		}
		status, err := m.status(ctx, r.SubscriptionID)
		if err != nil {
			return err
		}
		var decision domain.MeteringDecision
		done, err := commands.ExecuteFrom(ctx, m.Executor, commands.NewOrigin(domain.ActorSystem), r.Stream(), r.UsageRecord, r.revision, func(s domain.UsageRecord) ([]domain.Event, error) {
			var events []domain.Event
			events, decision = s.Expire(status, m.Now())
			return events, nil
		})
		if err != nil {
			return fmt.Errorf("close %s, which is too late: %w", r.Stream(), err)
		}
		m.advance(mu, done.Position)
		m.followUp(ctx, done.State, "", decision) // of a record that was closed meanwhile nothing
		return nil
	}))
}
