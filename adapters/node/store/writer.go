package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
	"slices"
	"time"
)

const (
	// queuedWrites and queuedBytes bound what waits for the writer; whoever comes then waits outside.
	queuedWrites = 1024
	queuedBytes  = 64 << 20
	// groupWrites and groupBytes bound one transaction, so that the first of a group does not wait for ever.
	groupWrites = 512
	groupBytes  = 4 << 20
)

// job is one write in the writer's queue.
type job struct {
	ctx   context.Context
	size  int64
	apply func(*transaction) (Result, error)
	done  func(Result, error)

	result Result
	err    error
}

// transaction is the writer's state: what one group of writes is doing to the log.
type transaction struct {
	c     *conn
	heads *heads
	// position and created belong to the last event written.
	position uint64
	created  int64
	// fresh are the events that become visible with the commit.
	fresh []Event
}

// writer carries out the queued writes, everything waiting at the moment in one transaction with one sync.
type writer struct {
	transaction
	queue   <-chan *job
	now     func() time.Time
	marker  *marker
	spare   *spare
	log     *slog.Logger
	publish func(events []Event)
	release func(size int64)
	metrics *metrics
	// holdCommit is Options.HoldCommit.
	holdCommit func(conflict bool) <-chan struct{}
}

// run works until the queue is closed and empty.
func (w *writer) run() {
	group := make([]*job, 0, groupWrites)
	for first := range w.queue {
		group = append(group[:0], first)
		size := first.size
	gather:
		for len(group) < groupWrites && size < groupBytes {
			select {
			case j, open := <-w.queue:
				if !open {
					break gather
				}
				group = append(group, j)
				size += j.size
			default:
				break gather
			}
		}
		group = w.commit(group)
		for i, j := range group {
			w.answer(j)
			group[i] = nil
		}
		if err := w.spare.lengthen(); err != nil {
			w.log.Debug("event store: the write-ahead log has no spare room, so that commits take longer", "error", err)
		}
	}
}

// answer tells the outcome of a write, once.
func (w *writer) answer(j *job) {
	if j.done != nil {
		w.metrics.observeWrite(j.err)
		w.release(j.size)
		j.done(j.result, j.err)
		j.done = nil
	}
}

// commit carries out a group and decides the outcome of each of its writes. It returns the group with what has joined it.
func (w *writer) commit(group []*job) []*job {
	position, created := w.position, w.created
	group, err := w.attempt(group)
	if err != nil {
		w.position, w.created = position, created
		w.rollback()
		for _, j := range group {
			j.result, j.err = Result{}, err
		}
		w.log.Error("event store: write failed", "writes", len(group), "error", err)
		return group
	}
	if len(w.fresh) == 0 {
		return group
	}
	if err := w.marker.write(w.position); err != nil {
		// The events are durable; what suffers is the next start's chance to notice that they were lost later.
		w.log.Warn("event store: head marker", "error", err)
	}
	w.metrics.events.Add(float64(len(w.fresh)))
	w.publish(w.fresh)
	return group
}

func (w *writer) attempt(group []*job) ([]*job, error) {
	w.fresh = nil
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return group, err
	}
	for _, j := range group {
		if err := w.carryOut(j); err != nil {
			return group, err
		}
	}
	if w.holdCommit != nil {
		var err error
		if group, err = w.hold(group); err != nil {
			return group, err
		}
	}
	began := time.Now()
	err := w.c.exec("COMMIT")
	w.metrics.observeCommit(len(group), time.Since(began), err)
	return group, err
}

// carryOut does one write of the transaction. An error is one of the transaction as a whole.
func (w *writer) carryOut(j *job) error {
	if j.err = j.ctx.Err(); j.err != nil {
		return nil
	}
	w.created = max(w.created, ticks(w.now()))
	j.result, j.err = j.apply(&w.transaction)
	if j.err != nil && !refusal(j.err) {
		return j.err
	}
	return nil
}

// hold keeps the transaction open as long as holdCommit says.
func (w *writer) hold(group []*job) ([]*job, error) {
	held := w.holdCommit(slices.ContainsFunc(group, w.lost))
	if held == nil {
		return group, nil
	}
	for _, j := range group {
		if w.lost(j) {
			w.answer(j)
		}
	}
	for {
		select {
		case <-held:
			return group, nil
		case j, open := <-w.queue:
			if !open {
				return group, nil
			}
			group = append(group, j)
			if err := w.carryOut(j); err != nil {
				return group, err
			}
			if w.lost(j) {
				w.answer(j)
			}
		}
	}
}

// lost returns whether a write was refused because of another one of the same transaction.
func (w *writer) lost(j *job) bool {
	var wrong *WrongExpectedError
	return errors.As(j.err, &wrong) && slices.ContainsFunc(w.fresh, func(e Event) bool { return e.Stream == wrong.Stream })
}

func (w *writer) rollback() {
	w.fresh = nil
	// The database may have undone it already, as it does when it is full.
	if !w.c.raw.AutoCommit() {
		if err := w.c.exec("ROLLBACK"); err != nil {
			w.log.Error("event store: rollback failed", "error", err)
		}
	}
	w.heads.forget()
}

// refusal tells an answer about a stream, which concerns its writer alone, from a failure of the transaction. Refusals are
// decided before anything is written.
func refusal(err error) bool {
	var wrong *WrongExpectedError
	var deleted *StreamDeletedError
	return errors.As(err, &wrong) || errors.As(err, &deleted)
}

// putRecords writes and deletes records.
func (t *transaction) putRecords(records []Record) error {
	for _, r := range records {
		var err error
		if r.Value == nil {
			err = t.c.exec(`DELETE FROM records WHERE bucket = ? AND key = ?`, r.Bucket, r.Key)
		} else {
			err = t.c.exec(`INSERT INTO records (bucket, key, value) VALUES (?, ?, ?) ON CONFLICT (bucket, key) DO UPDATE SET value = excluded.value`,
				r.Bucket, r.Key, driver.Value(r.Value))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
