package commands

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// RegisterAccount takes the onboarding screen of a resolved buyer and asks for a verification mail.
type RegisterAccount struct {
	By             Origin
	SubscriptionID uuid.UUID
	Person         Person
}

// Registration says where the account stands after a command.
type Registration struct {
	CustomerID uuid.UUID
	ExpiresAt  time.Time // of the verification link
	Position   uint64
}

// RegisterAccount runs the command. Until the account is active it may be repeated with corrected details.
func (a *Application) RegisterAccount(ctx context.Context, cmd RegisterAccount) (Registration, error) {
	person := cmd.Person.Normalise()
	if err := person.Validate(); err != nil {
		return Registration{}, err
	}
	subscription, err := Read[domain.Subscription](ctx, a.Store, domain.SubscriptionStream(cmd.SubscriptionID))
	if err != nil {
		return Registration{}, err
	}
	if !subscription.Serves() {
		return Registration{}, domain.ErrSubscriptionInactive
	}
	customer := subscription.CustomerID
	hash := mailHash(a.secret, person.Email)
	if err := a.refuseTakenMail(ctx, hash, customer); err != nil {
		return Registration{}, err
	}
	sealed, err := a.sealPerson(ctx, customer, person)
	if err != nil {
		return Registration{}, err
	}
	verification := domain.DerivedID(cmd.By.CommandID, "verification")
	done, err := Execute(ctx, a.Executor, cmd.By, domain.AccountStream(customer), func(s domain.Account) ([]domain.Event, error) {
		return s.Register(customer, cmd.SubscriptionID, sealed, hash, verification, a.Now())
	})
	if err != nil {
		return Registration{}, err
	}
	return Registration{CustomerID: customer, ExpiresAt: done.State.VerificationExpires, Position: done.Position}, nil
}

// refuseTakenMail tells early that an address belongs to another account. The claim itself happens at activation, when
// the address is verified; else anybody could block addresses of others.
func (a *Application) refuseTakenMail(ctx context.Context, hash string, customer uuid.UUID) error {
	owner, _, err := Load[domain.MailAddress](ctx, a.Store, domain.MailAddressStream(hash))
	if err != nil {
		return Unavailable(err)
	}
	_, err = owner.Claim(customer, a.Now())
	return err
}
