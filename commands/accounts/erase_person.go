package accounts

import (
	"context"
	"errors"
	"slices"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ErasePerson erases one person, whichever customers they act for. The customers stay, with their other people.
type ErasePerson struct {
	By        commands.Origin
	AccountID uuid.UUID

	// What read models say of the person: the customers they act for, and the registrations they have filled in and attached
	// to their login, which hold their name under keys of their own.
	Customers     []uuid.UUID
	Registrations []uuid.UUID
	Formerly      []uuid.UUID // the customers that they ever acted for: a hold on one of these is one on what they did there
}

// ErasePerson runs the command; it may be repeated until it succeeds. The only owner of a customer is refused: the ownership
// is passed on first, or the customer erased. While the person or one of the customers is under a legal hold, nothing is erased.
func (c *Commands) ErasePerson(ctx context.Context, cmd ErasePerson) error {
	concerned := slices.Concat([]uuid.UUID{cmd.AccountID}, cmd.Customers, cmd.Registrations, cmd.Formerly)
	if err := c.RespectHolds(ctx, cmd.By, cmd.AccountID, concerned); err != nil {
		return err
	}
	remove := func(decide func(customer uuid.UUID, m domain.Members) error) error {
		for _, customer := range cmd.Customers {
			members, err := c.Members(ctx, customer)
			if err == nil {
				err = decide(customer, members)
			}
			if errors.Is(err, domain.ErrLastOwner) {
				return domain.ErrLastOwner.Saying("This person is the only owner of customer %s. "+
					"Let them make somebody else an owner first, or erase the customer.", customer)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	// Nothing is done of what cannot be done wholly.
	if err := remove(func(_ uuid.UUID, m domain.Members) error {
		_, err := m.Remove(cmd.AccountID, c.Now())
		return err
	}); err != nil {
		return err
	}
	if err := remove(func(customer uuid.UUID, _ domain.Members) error {
		_, err := c.RemoveMember(ctx, RemoveMember{By: cmd.By, CustomerID: customer, AccountID: cmd.AccountID})
		return err
	}); err != nil {
		return err
	}
	for _, registration := range cmd.Registrations {
		if err := c.ErasePersonalData(ctx, ErasePersonalData{By: cmd.By, CustomerID: registration}); err != nil {
			return err
		}
	}
	return c.ErasePersonalData(ctx, ErasePersonalData{By: cmd.By, CustomerID: cmd.AccountID})
}
