package accounts

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// RegisterAccount takes the onboarding screen of a resolved buyer and asks for a verification mail.
type RegisterAccount struct {
	By             commands.Origin
	SubscriptionID uuid.UUID
	Person         Person
}

// Registration says where the account stands after a command.
type Registration struct {
	CustomerID uuid.UUID
	ExpiresAt  time.Time // of the verification link
	Position   uint64
}

// RegisterAccount runs the command. Until the account is active it may be repeated with corrected details. It is the same for
// every address, so nobody learns who has a login: the claim happens at activation, when the address is verified, and the
// mail to one that has a login says to attach the registration to it.
func (c *Commands) RegisterAccount(ctx context.Context, cmd RegisterAccount) (Registration, error) {
	person := cmd.Person.Normalise()
	if err := person.Validate(); err != nil {
		return Registration{}, err
	}
	subscription, err := commands.Read[domain.Subscription](ctx, c.Store, domain.SubscriptionStream(cmd.SubscriptionID))
	if err != nil {
		return Registration{}, err
	}
	if !subscription.Registers() {
		return Registration{}, domain.ErrSubscriptionInactive
	}
	customer := subscription.CustomerID
	hash := c.MailHashes(person.Email)[0].Hash
	ciphertext, err := c.encryptPerson(ctx, customer, person)
	if errors.Is(err, ErrErased) {
		return Registration{}, domain.ErrAccountErased
	}
	if err != nil {
		return Registration{}, err
	}
	verification := domain.DerivedID(cmd.By.CommandID, "verification")
	done, err := commands.Execute(ctx, c.Executor, cmd.By, domain.AccountStream(customer), func(s domain.Account) ([]domain.Event, error) {
		return s.Register(customer, cmd.SubscriptionID, ciphertext, hash, verification, c.Now())
	})
	if err == nil { // a link to the address before may have been used while this was typed
		err = c.releaseAddresses(ctx, cmd.By, done.State)
	}
	if err != nil {
		return Registration{}, err
	}
	return Registration{CustomerID: customer, ExpiresAt: done.State.VerificationExpires, Position: done.Position}, nil
}
