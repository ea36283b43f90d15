package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"log/slog"
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
	log     *slog.Logger
	publish func(events []Event)
	release func(size int64)
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
		w.commit(group)
		for i, j := range group {
			w.release(j.size)
			j.done(j.result, j.err)
			group[i] = nil
		}
	}
}

// commit carries out a group and decides the outcome of each of its writes.
func (w *writer) commit(group []*job) {
	position, created := w.position, w.created
	if err := w.attempt(group); err != nil {
		w.position, w.created = position, created
		w.rollback()
		for _, j := range group {
			j.result, j.err = Result{}, err
		}
		w.log.Error("event store: write failed", "writes", len(group), "error", err)
		return
	}
	if len(w.fresh) == 0 {
		return
	}
	if err := w.marker.write(w.position); err != nil {
		// The events are durable; what suffers is the next start's chance to notice that they were lost later.
		w.log.Warn("event store: head marker", "error", err)
	}
	w.publish(w.fresh)
}

func (w *writer) attempt(group []*job) error {
	w.fresh = nil
	if err := w.c.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	for _, j := range group {
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		w.created = max(w.created, ticks(w.now()))
		j.result, j.err = j.apply(&w.transaction)
		if j.err != nil && !refusal(j.err) {
			return j.err
		}
	}
	return w.c.exec("COMMIT")
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
