package awssim

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	defaultVisibility = 30 * time.Second
	defaultRetention  = 4 * 24 * time.Hour
	maxReceives       = 3
)

// queueMessage is one message as it is kept. Times are milliseconds of the real clock: visibility and long polls are
// about real waiting, whatever the simulator's clock shows.
type queueMessage struct {
	seq           int64
	id            string
	body          string
	attributes    string
	sentAt        int64
	receives      int
	firstReceived int64
	receipt       string
}

// queue is a queue's configuration.
type queue struct {
	name       string
	attributes map[string]string
	createdAt  int64
}

func (q queue) duration(attribute string, fallback time.Duration) time.Duration {
	n, err := strconv.Atoi(q.attributes[attribute])
	if err != nil {
		return fallback
	}
	return time.Duration(n) * time.Second
}

// redrive is where messages go that were received too often; false when nowhere.
func (q queue) redrive() (target string, after int, ok bool) {
	var policy struct {
		DeadLetterTargetArn string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(q.attributes["RedrivePolicy"]), &policy); err != nil || policy.DeadLetterTargetArn == "" {
		return "", 0, false
	}
	after, err := strconv.Atoi(strings.Trim(string(policy.MaxReceiveCount), `"`))
	return policy.DeadLetterTargetArn[strings.LastIndexByte(policy.DeadLetterTargetArn, ':')+1:], after, err == nil && after > 0
}

func (s *Sim) queueARN(name string) string {
	return "arn:aws:sqs:" + region + ":" + s.cfg.SellerAccountID + ":" + name
}

// createEventQueues makes the queues of marketplace events and of mail events, with a dead-letter queue each, when they are
// missing.
func (s *Sim) createEventQueues(ctx context.Context) error {
	var queues []queue
	for _, name := range []string{s.cfg.QueueName, s.cfg.MailEventsQueue} {
		policy := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, s.queueARN(name+"-dead"), maxReceives)
		queues = append(queues,
			queue{name: name + "-dead", attributes: map[string]string{"MessageRetentionPeriod": "1209600"}},
			queue{name: name, attributes: map[string]string{"MessageRetentionPeriod": "1209600", "RedrivePolicy": policy}})
	}
	return s.db.tx(ctx, func(tx *sql.Tx) error {
		for _, q := range queues {
			if _, found, err := findQueue(ctx, tx, q.name); err != nil || found {
				if err != nil {
					return err
				}
				continue
			}
			if err := saveQueue(ctx, tx, q); err != nil {
				return err
			}
		}
		return nil
	})
}

func findQueue(ctx context.Context, tx *sql.Tx, name string) (queue, bool, error) {
	q := queue{name: name}
	var attributes string
	err := tx.QueryRowContext(ctx, `SELECT attributes, created_at FROM queues WHERE name = ?`, name).Scan(&attributes, &q.createdAt)
	if errors.Is(err, sql.ErrNoRows) {
		return q, false, nil
	}
	if err != nil {
		return q, false, err
	}
	return q, true, json.Unmarshal([]byte(attributes), &q.attributes)
}

func saveQueue(ctx context.Context, tx *sql.Tx, q queue) error {
	attributes, err := json.Marshal(q.attributes)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO queues (name, attributes, created_at) VALUES (?,?,?) ON CONFLICT (name) DO UPDATE SET attributes = excluded.attributes`,
		q.name, string(attributes), time.Now().Unix())
	return err
}

// enqueue puts a message without attributes into a queue.
func (s *Sim) enqueue(ctx context.Context, tx *sql.Tx, queueName, body string) error {
	_, err := s.insertMessage(ctx, tx, queueName, body, "{}", 0)
	return err
}

func (s *Sim) insertMessage(ctx context.Context, tx *sql.Tx, queueName, body, attributes string, delay time.Duration) (id string, err error) {
	id = s.random.uuid()
	now := time.Now().UnixMilli()
	_, err = tx.ExecContext(ctx, `INSERT INTO queue_messages (queue, id, body, attributes, sent_at, visible_at) VALUES (?,?,?,?,?,?)`,
		queueName, id, body, attributes, now, now+delay.Milliseconds())
	return id, err
}

// takeMessages hides up to limit visible messages and returns them. Those that were received too often move to the
// dead-letter queue instead. When nothing is visible, next is when to look again; zero when nothing is there at all.
func (s *Sim) takeMessages(ctx context.Context, name string, limit int, visibility *int) (list []queueMessage, next time.Time, err error) {
	redriven := false
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		q, found, err := findQueue(ctx, tx, name)
		if err != nil || !found {
			return errors.Join(err, noQueue(name))
		}
		hide := q.duration("VisibilityTimeout", defaultVisibility)
		if visibility != nil {
			hide = time.Duration(*visibility) * time.Second
		}
		now := time.Now().UnixMilli()
		if _, err := tx.ExecContext(ctx, `DELETE FROM queue_messages WHERE queue = ? AND sent_at < ?`, name, now-q.duration("MessageRetentionPeriod", defaultRetention).Milliseconds()); err != nil {
			return err
		}
		if dead, after, ok := q.redrive(); ok {
			result, err := tx.ExecContext(ctx, `UPDATE queue_messages SET queue = ?, receives = 0, receipt = '' WHERE queue = ? AND visible_at <= ? AND receives >= ?
				AND EXISTS (SELECT 1 FROM queues WHERE name = ?)`, dead, name, now, after, dead)
			if err != nil {
				return err
			}
			n, err := result.RowsAffected()
			if err != nil {
				return err
			}
			redriven = n > 0
		}
		list, err = collect(ctx, tx, scanMessage, `SELECT seq, id, body, attributes, sent_at, receives, first_received_at FROM queue_messages
			WHERE queue = ? AND visible_at <= ? ORDER BY visible_at, seq LIMIT ?`, name, now, limit)
		if err != nil {
			return err
		}
		for i := range list {
			m := &list[i]
			m.receives++
			m.receipt = s.random.hex(24)
			if m.firstReceived == 0 {
				m.firstReceived = now
			}
			if _, err := tx.ExecContext(ctx, `UPDATE queue_messages SET receives = ?, first_received_at = ?, receipt = ?, visible_at = ? WHERE seq = ?`,
				m.receives, m.firstReceived, m.receipt, now+hide.Milliseconds(), m.seq); err != nil {
				return err
			}
		}
		var due int64
		err = tx.QueryRowContext(ctx, `SELECT coalesce(min(visible_at), 0) FROM queue_messages WHERE queue = ?`, name).Scan(&due)
		if due != 0 {
			next = time.UnixMilli(due)
		}
		return err
	})
	if redriven {
		s.arrivals.wake()
	}
	return list, next, err
}

func scanMessage(row scanner) (queueMessage, error) {
	var m queueMessage
	return m, row.Scan(&m.seq, &m.id, &m.body, &m.attributes, &m.sentAt, &m.receives, &m.firstReceived)
}

// receiptHandle names one receipt of a message.
func receiptHandle(m queueMessage) string {
	return base64.StdEncoding.EncodeToString([]byte(m.id + "/" + m.receipt))
}

func parseReceiptHandle(handle string) (id, receipt string, err error) {
	raw, err := base64.StdEncoding.DecodeString(handle)
	if err == nil {
		var found bool
		if id, receipt, found = strings.Cut(string(raw), "/"); found {
			return id, receipt, nil
		}
	}
	return "", "", &apiError{status: 400, code: "ReceiptHandleIsInvalid", message: "The input receipt handle is invalid.", queryCode: "ReceiptHandleIsInvalid"}
}

// deleteMessage deletes a message by its latest receipt. An older one changes nothing, as in AWS.
func deleteMessage(ctx context.Context, tx *sql.Tx, queueName, handle string) error {
	id, receipt, err := parseReceiptHandle(handle)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM queue_messages WHERE queue = ? AND id = ? AND receipt = ?`, queueName, id, receipt)
	return err
}

// hideMessage makes a received message visible again after timeout seconds.
func hideMessage(ctx context.Context, tx *sql.Tx, queueName, handle string, timeout int) error {
	id, receipt, err := parseReceiptHandle(handle)
	if err != nil {
		return err
	}
	if err := checkRange("VisibilityTimeout", &timeout); err != nil {
		return err
	}
	now := time.Now().UnixMilli()
	result, err := tx.ExecContext(ctx, `UPDATE queue_messages SET visible_at = ? WHERE queue = ? AND id = ? AND receipt = ? AND visible_at > ?`,
		now+int64(timeout)*1000, queueName, id, receipt, now)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		return errors.Join(err, &apiError{status: 400, code: "MessageNotInflight", message: "The message referred to is not in flight.", queryCode: "AWS.SimpleQueueService.MessageNotInflight"})
	}
	return nil
}

func noQueue(name string) error {
	return &apiError{status: 400, code: "QueueDoesNotExist", message: fmt.Sprintf("The specified queue %s does not exist.", name), queryCode: "AWS.SimpleQueueService.NonExistentQueue"}
}

func invalidValue(format string, args ...any) error {
	return &apiError{status: 400, code: "InvalidParameterValue", message: fmt.Sprintf(format, args...), queryCode: "InvalidParameterValue"}
}
