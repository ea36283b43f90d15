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
	Soon       bool // nodes may refuse the keys for a moment yet
	Position   uint64
}

// Verification is what a verification link stands for.
type Verification struct {
	Link
	AccountID uuid.UUID // whose login name the address is already, Nil when there is none: the registration is attached to it
	Email     string    // of that login
}

// CheckVerificationLink returns what a link stands for, or why it may not be used, without using it.
func (c *Commands) CheckVerificationLink(ctx context.Context, token string) (Verification, error) {
	link, err := c.parseLink(LinkVerification, token)
	if err != nil {
		return Verification{}, err
	}
	v := Verification{Link: link}
	account, err := c.Account(ctx, link.CustomerID)
	if err != nil {
		return Verification{}, err
	}
	if account.AttachedTo != uuid.Nil && account.VerificationUsed == link.RequestID {
		return c.checkAttached(ctx, v, account)
	}
	if err := account.CheckVerification(link.RequestID, c.Now()); err != nil {
		return v, err
	}
	email, err := c.emailOf(ctx, account)
	if err != nil {
		return v, err
	}
	holder, err := c.AccountOfMail(ctx, email)
	if err != nil || !holder.Active || holder.CustomerID == link.CustomerID {
		return v, err
	}
	v.AccountID = holder.CustomerID
	v.Email, err = c.emailOf(ctx, holder)
	return v, err
}

// checkAttached lets a link be used again that was cut off before the customer was the login's.
func (c *Commands) checkAttached(ctx context.Context, v Verification, registration domain.Account) (Verification, error) {
	members, err := commands.Read[domain.Members](ctx, c.Store, domain.MembersStream(v.CustomerID))
	if err != nil {
		return v, err
	}
	if members.CustomerID != uuid.Nil {
		return v, domain.ErrLinkUsed
	}
	login, err := c.Account(ctx, registration.AttachedTo)
	if err != nil {
		return v, err
	}
	v.AccountID = login.CustomerID
	v.Email, err = c.emailOf(ctx, login)
	return v, err
}

// emailOf returns the address that a login goes by.
func (c *Commands) emailOf(ctx context.Context, account domain.Account) (string, error) {
	person, err := c.personOf(ctx, account)
	return person.Email, err
}

// personOf returns whose an account is.
func (c *Commands) personOf(ctx context.Context, account domain.Account) (Person, error) {
	person, err := DecryptPerson(ctx, c.vault, account.CustomerID, account.Person)
	return person, commands.Unavailable(err)
}

// ActivateAccount runs the command. The address is claimed first: should another account own it by now, nothing has
// happened yet. Keys come last; if they are cut off, the console's Regenerate issues them.
func (c *Commands) ActivateAccount(ctx context.Context, cmd ActivateAccount) (Activation, error) {
	link, err := c.CheckVerificationLink(ctx, cmd.Token)
	if err != nil {
		return Activation{}, err
	}
	customer := link.CustomerID
	account, err := c.Account(ctx, customer)
	if err != nil {
		return Activation{}, err
	}
	person, err := c.personOf(ctx, account)
	if err != nil {
		return Activation{}, err
	}
	password, err := c.encryptPassword(ctx, customer, person, cmd.Password)
	if err != nil {
		return Activation{}, err
	}
	email, err := c.emailOf(ctx, account)
	if err != nil {
		return Activation{}, err
	}
	if err := c.claimAddress(ctx, cmd.By, email, account.MailHash, customer); err != nil {
		return Activation{}, err
	}
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(customer), func(s domain.Account) ([]domain.Event, error) {
		if s.MailHash != account.MailHash {
			return nil, domain.ErrLinkInvalid // corrected meanwhile: the claimed address is no longer the account's
		}
		return s.Activate(link.RequestID, password, c.Now())
	})
	// Refused or not, what was claimed under an address that is no longer the account's must not block anybody.
	if err := c.releaseAddresses(ctx, cmd.By, done.State); err != nil {
		c.log.WarnContext(ctx, "address stays claimed until another account asks for it", "account", customer, "error", err)
	}
	if err != nil {
		return Activation{}, err
	}
	return c.activated(ctx, cmd.By, done)
}

// activated issues the keys of a customer that somebody may act for now, and returns what they are shown.
func (c *Commands) activated(ctx context.Context, by commands.Origin, done commands.Result[domain.Account]) (Activation, error) {
	customer := done.State.CustomerID
	keys, err := c.issueKeys(ctx, by, customer, done.State.SubscriptionID)
	if err != nil {
		return Activation{}, err
	}
	activation := Activation{CustomerID: customer, Keys: keys, Position: done.Position}
	for _, key := range keys {
		activation.Position = max(activation.Position, key.Position)
	}
	if err := c.barrier.WaitFor(ctx, KeysReadModel, activation.Position); err != nil {
		// The keys exist and will work shortly; not to show them now would lose them.
		activation.Soon = true
		c.log.WarnContext(ctx, "keys are shown before every node knows them", "error", fmt.Errorf("wait for %s: %w", KeysReadModel, err))
	}
	return activation, nil
}
