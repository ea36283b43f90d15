package accounts

import (
	"context"
	"errors"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// VerificationDelivery returns what became of the newest verification mail to a customer: what became of earlier ones, to another
// address perhaps, says nothing any more.
func (c *Commands) VerificationDelivery(ctx context.Context, customer uuid.UUID, deliveries Deliveries) (Delivery, error) {
	var newest uuid.UUID
	for next := uint64(0); ; {
		page, err := c.Store.Read(ctx, domain.AccountStream(customer), next, commands.PageSize)
		if err != nil {
			return Delivery{}, commands.Unavailable(err)
		}
		for _, recorded := range page {
			if _, ok := recorded.Event.(domain.VerificationRequested); ok {
				newest = recorded.ID
			}
			next = recorded.Revision + 1
		}
		if len(page) < commands.PageSize {
			break
		}
	}
	if newest == uuid.Nil {
		return Delivery{}, nil
	}
	delivery, err := deliveries.Delivery(ctx, newest)
	return delivery, commands.Unavailable(err)
}

// LoginDelivery returns what became of the newest mail to the address of a login.
func (c *Commands) LoginDelivery(ctx context.Context, account uuid.UUID, deliveries Deliveries) (Delivery, error) {
	login, err := c.Account(ctx, account)
	if err != nil || login.Person == "" {
		return Delivery{}, err
	}
	email, err := c.emailOf(ctx, login)
	if errors.Is(err, ErrErased) {
		return Delivery{}, nil
	}
	if err != nil {
		return Delivery{}, err
	}
	for _, recipient := range c.MailHashes(email) { // the newest mails are noted under the secret in use
		delivery, err := deliveries.DeliveryTo(ctx, recipient.Hash)
		if err != nil || delivery.Known {
			return delivery, commands.Unavailable(err)
		}
	}
	return Delivery{}, nil
}
