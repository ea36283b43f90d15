package awssim

import (
	"context"
	"database/sql"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// sqsOperations are the operations of SQS by name.
func (s *Sim) sqsOperations() map[string]operation {
	return map[string]operation{
		"CreateQueue":             op(s.createQueue),
		"GetQueueUrl":             op(s.getQueueURL),
		"ListQueues":              op(s.listQueues),
		"DeleteQueue":             op(s.deleteQueue),
		"PurgeQueue":              op(s.purgeQueue),
		"GetQueueAttributes":      op(s.getQueueAttributes),
		"SetQueueAttributes":      op(s.setQueueAttributes),
		"SendMessage":             op(s.sendMessage),
		"ReceiveMessage":          op(s.receiveMessage),
		"DeleteMessage":           op(s.deleteOne),
		"ChangeMessageVisibility": op(s.changeVisibility),
	}
}

var queueNamePattern = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// settableAttributes are the attributes that a client may set.
var settableAttributes = []string{"DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "Policy", "ReceiveMessageWaitTimeSeconds", "RedrivePolicy", "RedriveAllowPolicy", "VisibilityTimeout", "SqsManagedSseEnabled"}

// sqsRanges are the least and the greatest value of what is a number, be it a parameter or an attribute.
var sqsRanges = map[string]struct{ least, most int }{
	"DelaySeconds": {0, 900}, "VisibilityTimeout": {0, 43200}, "WaitTimeSeconds": {0, 20}, "ReceiveMessageWaitTimeSeconds": {0, 20},
	"MaxNumberOfMessages": {1, 10}, "MessageRetentionPeriod": {60, 14 * 24 * 60 * 60}, "MaximumMessageSize": {1024, maxMessageBody},
}

// checkRange refuses a parameter outside its range; one that is not given is in it.
func checkRange(name string, value *int) error {
	if r := sqsRanges[name]; value != nil && (*value < r.least || *value > r.most) {
		return invalidValue("Value %d for parameter %s is invalid. Reason: Must be between %d and %d, if provided.", *value, name, r.least, r.most)
	}
	return nil
}

type queueInput struct {
	QueueName       string
	QueueURL        string `json:"QueueUrl"`
	QueueNamePrefix string
	Attributes      map[string]string
	AttributeNames  []string
}

// queueName is the last part of a queue's URL, wherever the URL points.
func queueName(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

func (s *Sim) queueURL(c *call, name string) map[string]string {
	return map[string]string{"QueueUrl": c.baseURL + "/" + s.cfg.SellerAccountID + "/" + name}
}

func (s *Sim) createQueue(ctx context.Context, c *call, in queueInput) (any, error) {
	if !queueNamePattern.MatchString(in.QueueName) {
		return nil, invalidValue("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")
	}
	if err := checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		q, found, err := findQueue(ctx, tx, in.QueueName)
		if err != nil {
			return err
		}
		if found {
			for name, value := range in.Attributes {
				if q.attributes[name] != value {
					return &apiError{status: 400, code: "QueueNameExists", message: "A queue already exists with the same name and a different value for attribute " + name, queryCode: "QueueAlreadyExists"}
				}
			}
			return nil
		}
		return saveQueue(ctx, tx, queue{name: in.QueueName, attributes: orEmpty(in.Attributes)})
	})
	return s.queueURL(c, in.QueueName), err
}

func (s *Sim) getQueueURL(ctx context.Context, c *call, in queueInput) (any, error) {
	_, err := s.queue(ctx, in.QueueName)
	return s.queueURL(c, in.QueueName), err
}

func (s *Sim) queue(ctx context.Context, name string) (queue, error) {
	var q queue
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var found bool
		var err error
		if q, found, err = findQueue(ctx, tx, name); err == nil && !found {
			err = noQueue(name)
		}
		return err
	})
	return q, err
}

func (s *Sim) listQueues(ctx context.Context, c *call, in queueInput) (any, error) {
	urls := []string{}
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		names, err := collect(ctx, tx, scanText, `SELECT name FROM queues ORDER BY name`)
		for _, name := range names {
			if strings.HasPrefix(name, in.QueueNamePrefix) {
				urls = append(urls, s.queueURL(c, name)["QueueUrl"])
			}
		}
		return err
	})
	return map[string]any{"QueueUrls": urls}, err
}

func scanText(row scanner) (string, error) {
	var text string
	return text, row.Scan(&text)
}

func (s *Sim) deleteQueue(ctx context.Context, _ *call, in queueInput) (any, error) {
	return s.onQueue(ctx, in.QueueURL, `DELETE FROM queues WHERE name = ?`)
}

func (s *Sim) purgeQueue(ctx context.Context, _ *call, in queueInput) (any, error) {
	return s.onQueue(ctx, in.QueueURL, `DELETE FROM queue_messages WHERE queue = ?`)
}

func (s *Sim) onQueue(ctx context.Context, url, statement string) (any, error) {
	name := queueName(url)
	if _, err := s.queue(ctx, name); err != nil {
		return nil, err
	}
	return nil, s.db.tx(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, statement, name)
		return err
	})
}

func (s *Sim) getQueueAttributes(ctx context.Context, _ *call, in queueInput) (any, error) {
	q, err := s.queue(ctx, queueName(in.QueueURL))
	if err != nil {
		return nil, err
	}
	all := map[string]string{
		"QueueArn": s.queueARN(q.name), "CreatedTimestamp": strconv.FormatInt(q.createdAt, 10), "LastModifiedTimestamp": strconv.FormatInt(q.createdAt, 10),
		"VisibilityTimeout": "30", "DelaySeconds": "0", "MaximumMessageSize": "1048576", "MessageRetentionPeriod": "345600", "ReceiveMessageWaitTimeSeconds": "0",
	}
	maps.Copy(all, q.attributes)
	now := time.Now().UnixMilli()
	err = s.db.tx(ctx, func(tx *sql.Tx) error {
		for name, condition := range map[string]string{
			"ApproximateNumberOfMessages":           `visible_at <= ?`,
			"ApproximateNumberOfMessagesNotVisible": `visible_at > ? AND receives > 0`,
			"ApproximateNumberOfMessagesDelayed":    `visible_at > ? AND receives = 0`,
		} {
			var n int
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM queue_messages WHERE queue = ? AND `+condition, q.name, now).Scan(&n); err != nil {
				return err
			}
			all[name] = strconv.Itoa(n)
		}
		return nil
	})
	if !slices.Contains(in.AttributeNames, "All") {
		maps.DeleteFunc(all, func(name, _ string) bool { return !slices.Contains(in.AttributeNames, name) })
	}
	return map[string]any{"Attributes": all}, err
}

func (s *Sim) setQueueAttributes(ctx context.Context, _ *call, in queueInput) (any, error) {
	if err := checkAttributes(in.Attributes); err != nil {
		return nil, err
	}
	q, err := s.queue(ctx, queueName(in.QueueURL))
	if err != nil {
		return nil, err
	}
	q.attributes = orEmpty(q.attributes)
	maps.Copy(q.attributes, in.Attributes)
	return nil, s.db.tx(ctx, func(tx *sql.Tx) error { return saveQueue(ctx, tx, q) })
}

func checkAttributes(attributes map[string]string) error {
	for name, value := range attributes {
		if !slices.Contains(settableAttributes, name) {
			return &apiError{status: 400, code: "InvalidAttributeName", message: "Unknown Attribute " + name + ".", queryCode: "InvalidAttributeName"}
		}
		n, err := strconv.Atoi(value)
		if _, isNumber := sqsRanges[name]; isNumber && (err != nil || checkRange(name, &n) != nil) {
			return &apiError{status: 400, code: "InvalidAttributeValue", message: "Invalid value for the parameter " + name + ".", queryCode: "InvalidAttributeValue"}
		}
		if name == "RedrivePolicy" && !json.Valid([]byte(value)) {
			return &apiError{status: 400, code: "InvalidAttributeValue", message: "Redrive policy is not a valid JSON map.", queryCode: "InvalidAttributeValue"}
		}
	}
	return nil
}

func orEmpty(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}
