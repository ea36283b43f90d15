package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ActivateAccount uses a verification link: it sets the first password and issues the two keys.
type ActivateAccount struct {
	By       commands.Origin
	Token    string
	Password string
}

// Activation is what the customer is shown once.
type Activation struct {
	CustomerID uuid.UUID
	Keys       []IssuedKey
	Position   uint64
}

// CheckVerificationLink returns what a link stands for, or why it may not be used, without using it.
func (c *Commands) CheckVerificationLink(ctx context.Context, token string) (Link, error) {
	link, err := c.parseLink(LinkVerification, token)
	if err != nil {
		return Link{}, err
	}
	account, _, err := commands.Load[domain.Account](ctx, c.Store, domain.AccountStream(link.CustomerID))
	if err != nil {
		return Link{}, commands.Unavailable(err)
	}
	return link, account.CheckVerification(link.RequestID, c.Now())
}

// ActivateAccount runs the command. The address is claimed first: should another account own it by now, nothing has
// happened yet. Keys come last; if they are cut off, the console's Regenerate issues them.
func (c *Commands) ActivateAccount(ctx context.Context, cmd ActivateAccount) (Activation, error) {
	link, err := c.CheckVerificationLink(ctx, cmd.Token)
	if err != nil {
		return Activation{}, err
	}
	customer := link.CustomerID
	password, err := c.encryptPassword(ctx, customer, cmd.Password)
	if err != nil {
		return Activation{}, err
	}
	account, _, err := commands.Load[domain.Account](ctx, c.Store, domain.AccountStream(customer))
	if err != nil {
		return Activation{}, commands.Unavailable(err)
	}
	if _, err := commands.Execute(ctx, c.Executor, cmd.By, domain.MailAddressStream(account.MailHash), func(m domain.MailAddress) ([]domain.Event, error) {
		return m.Claim(customer, c.Now())
	}); err != nil {
		return Activation{}, err
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(customer), func(s domain.Account) ([]domain.Event, error) {
		if s.MailHash != account.MailHash {
			return nil, domain.ErrLinkInvalid // corrected meanwhile: the claimed address is no longer the account's
		}
		return s.Activate(link.RequestID, password, c.Now())
	})
	if err != nil {
		return Activation{}, err
	}
	keys, err := c.issueKeys(ctx, cmd.By, customer, done.State.SubscriptionID)
	if err != nil {
		return Activation{}, err
	}
	activation := Activation{CustomerID: customer, Keys: keys, Position: done.Position}
	for _, key := range keys {
		activation.Position = max(activation.Position, key.Position)
	}
	if err := c.barrier.WaitFor(ctx, KeysReadModel, activation.Position); err != nil {
		// The keys exist and will work shortly; not to show them now would lose them.
		c.log.WarnContext(ctx, "keys are shown before every node knows them", "error", fmt.Errorf("wait for %s: %w", KeysReadModel, err))
	}
	return activation, nil
}
