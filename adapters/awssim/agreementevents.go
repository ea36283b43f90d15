package awssim

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Detail types of the events that AWS Marketplace puts on the seller's event bus. The seller sells directly and gets
// agreement events as proposer, licence events as manufacturer.
const (
	eventAgreementCreated     = "Purchase Agreement Created - Proposer"
	eventAgreementAmended     = "Purchase Agreement Amended - Proposer"
	eventAgreementEnded       = "Purchase Agreement Ended - Proposer"
	eventLicenseUpdated       = "License Updated - Manufacturer"
	eventLicenseDeprovisioned = "License Deprovisioned - Manufacturer"
)

// EventDelivery says what becomes of agreement and licence events.
type EventDelivery string

// The ways of delivery.
const (
	// DeliverOnce puts each event into the queue once, at once.
	DeliverOnce EventDelivery = "once"
	// DeliverTwice puts each event into the queue twice, with the same event id.
	DeliverTwice EventDelivery = "twice"
	// DeliverHeld keeps events until ReleaseEvents.
	DeliverHeld EventDelivery = "held"
	// DeliverNever loses events.
	DeliverNever EventDelivery = "never"
)

// Event is an event that the simulator's marketplace made.
type Event struct {
	ID        string    `json:"id"`
	Type      string    `json:"type"`
	Agreement string    `json:"agreement"`
	Time      time.Time `json:"time"`
	Held      bool      `json:"held,omitempty"`
	Body      string    `json:"body"`
}

// emit makes an event of a change and delivers it as switched.
func (s *Sim) emit(ctx context.Context, tx *sql.Tx, a Agreement, detailType string, at time.Time) error {
	id := s.random.uuid()
	bodies, err := s.eventBodies(id, a, detailType, at)
	if err != nil {
		return err
	}
	delivery := s.Switches().EventDelivery
	for _, body := range bodies {
		if _, err := tx.ExecContext(ctx, `INSERT INTO events (id, type, agreement, happened_at, body, held) VALUES (?,?,?,?,?,?)`,
			id, detailType, a.ID, seconds(at), body, delivery == DeliverHeld); err != nil {
			return err
		}
		copies := map[EventDelivery]int{DeliverOnce: 1, DeliverTwice: 2}[delivery]
		for range copies {
			if err := s.enqueue(ctx, tx, s.cfg.QueueName, body); err != nil {
				return err
			}
		}
	}
	return nil
}

// Events lists the newest events the marketplace made, newest first.
func (s *Sim) Events(ctx context.Context, limit int) ([]Event, error) {
	var list []Event
	err := s.db.tx(ctx, func(tx *sql.Tx) error {
		var err error
		list, err = collect(ctx, tx, scanEvent, selectEvents+` ORDER BY seq DESC LIMIT ?`, limit)
		return err
	})
	return list, err
}

// ReleaseEvents puts held events into the queue, oldest first or in reverse, and returns how many.
func (s *Sim) ReleaseEvents(ctx context.Context, reverse bool) (int, error) {
	var released int
	err := s.change(ctx, func(tx *sql.Tx) error {
		held, err := collect(ctx, tx, scanEvent, selectEvents+` WHERE held ORDER BY seq`)
		if err != nil {
			return err
		}
		if reverse {
			slices.Reverse(held)
		}
		for _, e := range held {
			if err := s.enqueue(ctx, tx, s.cfg.QueueName, e.Body); err != nil {
				return err
			}
		}
		released = len(held)
		_, err = tx.ExecContext(ctx, `UPDATE events SET held = 0 WHERE held`)
		return err
	})
	return released, err
}

// PutEvent puts any text into the event queue, to try what happens to malformed and unknown messages.
func (s *Sim) PutEvent(ctx context.Context, body string) error {
	return s.change(ctx, func(tx *sql.Tx) error { return s.enqueue(ctx, tx, s.cfg.QueueName, body) })
}

const selectEvents = `SELECT id, type, agreement, happened_at, held, body FROM events`

func scanEvent(row scanner) (Event, error) {
	var e Event
	var at int64
	err := row.Scan(&e.ID, &e.Type, &e.Agreement, &at, &e.Held, &e.Body)
	e.Time = unixTime(at)
	return e, err
}

// eventBodies is the text of the messages an event leads to: one for EventBridge; for a listing from before 2026 none or
// one of SNS.
func (s *Sim) eventBodies(id string, a Agreement, detailType string, at time.Time) ([]string, error) {
	if s.cfg.Legacy {
		return s.snsBodies(id, a, detailType, at)
	}
	body, err := json.Marshal(map[string]any{
		"version": "0", "id": id, "detail-type": detailType, "source": "aws.agreement-marketplace", "account": s.cfg.SellerAccountID,
		"time": at.UTC().Format(time.RFC3339), "region": region,
		"resources": []string{"arn:aws:aws-marketplace::" + s.cfg.SellerAccountID + ":agreement/" + a.ID},
		"detail":    s.eventDetail(a, detailType),
	})
	if err != nil {
		return nil, fmt.Errorf("awssim: encode event: %w", err)
	}
	return []string{string(body)}, nil
}

func (s *Sim) eventDetail(a Agreement, detailType string) map[string]any {
	detail := map[string]any{
		"requestId": s.random.uuid(), "catalog": "AWSMarketplace",
		"acceptor": map[string]string{"accountId": a.AccountID},
		"proposer": map[string]string{"accountId": s.cfg.SellerAccountID},
		"offer":    map[string]string{"id": "offer-" + strings.TrimPrefix(a.ID, "agmt-")[:13]},
	}
	if detailType == eventLicenseUpdated || detailType == eventLicenseDeprovisioned {
		detail["agreement"] = map[string]string{"id": a.ID}
		detail["product"] = map[string]string{"code": s.cfg.ProductCode, "id": s.productID()}
		// AWS's example prints the licence without the leading "arn:" here.
		detail["license"] = map[string]string{"arn": strings.TrimPrefix(a.LicenseARN, "arn:")}
		return detail
	}
	agreement := map[string]string{
		"id": a.ID, "intent": a.Intent, "status": string(a.Status), "acceptanceTime": a.AcceptedAt.Format(time.RFC3339),
		"startTime": a.StartsAt.Format(time.RFC3339), "endTime": a.EndsAt.Format(time.RFC3339),
	}
	if a.PreviousID != "" {
		agreement["previousAgreementId"] = a.PreviousID
	}
	detail["agreement"] = agreement
	detail["product"] = map[string]string{"id": s.productID(), "title": s.cfg.ProductName}
	return detail
}

func (s *Sim) productID() string { return "prod-" + strings.ToLower(s.cfg.ProductCode) }

func (s *Sim) snsBodies(id string, a Agreement, detailType string, at time.Time) ([]string, error) {
	actions := map[string][]string{
		eventLicenseUpdated:       {"subscribe-success", "entitlement-updated"},
		eventAgreementEnded:       {"unsubscribe-pending"},
		eventLicenseDeprovisioned: {"unsubscribe-success", "entitlement-updated"},
	}[detailType]
	if detailType == eventAgreementEnded && a.Status != AgreementCancelled && a.Status != AgreementExpired {
		return nil, nil
	}
	var bodies []string
	for i, action := range actions {
		message, err := json.Marshal(map[string]string{"action": action, "customer-identifier": a.CustomerIdentifier, "product-code": s.cfg.ProductCode})
		if err != nil {
			return nil, fmt.Errorf("awssim: encode message: %w", err)
		}
		if s.Switches().RawDelivery {
			bodies = append(bodies, string(message))
			continue
		}
		body, err := json.Marshal(map[string]string{
			"Type": "Notification", "MessageId": fmt.Sprintf("%s-%d", id, i), "TopicArn": "arn:aws:sns:us-east-1:287250355862:aws-mp-subscription-notification-" + s.cfg.ProductCode,
			"Message": string(message), "Timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"),
		})
		if err != nil {
			return nil, fmt.Errorf("awssim: encode notification: %w", err)
		}
		bodies = append(bodies, string(body))
	}
	return bodies, nil
}
