package engine

import (
	"context"
	"fmt"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Batch is a run of events in the order of the log.
type Batch struct {
	// Events are those of the types asked for, all of them up to Position, with their bytes. Empty when none of them matched.
	// An event that cannot be decoded is in it as Undecodable: left out, it would be skipped without anybody noticing.
	Events []domain.Recorded
	// Position is the commit position up to which the log is covered: that of the last event, or a later one that the log
	// reaches. It may be that of an event of somebody else.
	Position uint64
	// CaughtUp says that the log is covered as far as it went when the subscription began; what follows is live.
	CaughtUp bool
}

// One Watermill message carries a whole batch, because the router hands over one message at a time and waits for it: a
// message per event would mean a database transaction per event. The batch travels by reference in the message's context
// and the payload stays empty; the message never leaves the process, so encoding it would only cost time.
type batchKey struct{}

// WithBatch puts a batch into a message. The message's context must end with that of the subscription.
func WithBatch(msg *message.Message, batch Batch) {
	msg.SetContext(context.WithValue(msg.Context(), batchKey{}, batch))
}

// BatchOf returns the batch of a message; false when it carries none.
func BatchOf(msg *message.Message) (Batch, bool) {
	batch, ok := msg.Context().Value(batchKey{}).(Batch)
	return batch, ok
}

// Deliver hands a batch over until it is acknowledged, with a pause after every Nack; false when ctx ends first. It is what
// subscribers are made of. Nacked, if not nil, is told of every Nack.
func Deliver(ctx context.Context, messages chan<- *message.Message, batch Batch, wait time.Duration, nacked func()) bool {
	for {
		msg := message.NewMessageWithContext(ctx, uuid.NewString(), nil)
		WithBatch(msg, batch)
		select {
		case messages <- msg:
		case <-ctx.Done():
			return false
		}
		select {
		case <-msg.Acked():
			return true
		case <-msg.Nacked():
			if nacked != nil {
				nacked()
			}
		case <-ctx.Done():
			return false
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return false
		}
	}
}

// Place is how far a reader of the log has come.
type Place struct {
	Position uint64 // everything up to and including this commit position is dealt with
	Started  bool   // false: nothing yet; begin at the very start of the log
}

// Source is the log as projections follow it.
//
// Subscriber returns a subscriber to the events of eventTypes, for the projection called name. Its Subscribe
//   - asks from for the place to begin behind, again whenever it cannot go on from where it was;
//   - fails with ErrOtherLog when the log ends before that place;
//   - delivers batches in the order of the log, one at a time: the next only after an Ack, the same again, after a pause,
//     on a Nack;
//   - reconnects by itself, and closes the channel when its context ends, or the log turns out to end before the place or to
//     lack an event that it has delivered.
//
// Head returns the commit position of the newest event in the log, 0 for an empty log. RecordedBehind returns when the first event
// behind a position was recorded, whosever it is; the zero time when there is none.
//
// ReadStream returns the events in one stream, oldest first and with their bytes; none when there is no such stream. Those that are
// not ours come without their Event.
type Source interface {
	Subscriber(name string, eventTypes []string, from func(context.Context) (Place, error)) message.Subscriber
	Log
	RecordedBehind(ctx context.Context, position uint64) (time.Time, error)
	ReadStream(ctx context.Context, stream string) ([]domain.Recorded, error)
}

// Undecodable stands for an event that this program cannot read: of a version that a newer one has written, or damaged.
type Undecodable struct {
	Type string
	Err  error
}

// EventType names the event in the log.
func (u Undecodable) EventType() string { return u.Type }

// Error returns why the event cannot be read.
func (u Undecodable) Error() string { return fmt.Sprintf("%s cannot be decoded: %v", u.Type, u.Err) }

// Unwrap returns the cause.
func (u Undecodable) Unwrap() error { return u.Err }
