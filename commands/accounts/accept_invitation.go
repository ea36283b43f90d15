package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// MembersReadModel is the read model that says for which customers an account may act.
const MembersReadModel = "members"

// ErrWrongLogin refuses a link whose mail went to another address than that of who is logged in.
var ErrWrongLogin = &domain.Error{Kind: domain.KindForbidden, Code: "wrong_login",
	Message: "Our mail went to another address than the one you are logged in with. Log out, and log in with the address that received it."}

// AcceptInvitation lets somebody who has a login act for the customer that invited them.
type AcceptInvitation struct {
	By        commands.Origin
	Token     string
	AccountID uuid.UUID
}

// AcceptInvitation runs the command and returns the customer.
func (c *Commands) AcceptInvitation(ctx context.Context, cmd AcceptInvitation) (uuid.UUID, error) {
	open, _, err := c.openInvitation(ctx, cmd.Token)
	if err != nil {
		return uuid.Nil, err
	}
	if open.AccountID != cmd.AccountID {
		return uuid.Nil, ErrWrongLogin
	}
	if err := c.join(ctx, cmd.By, open.Link, cmd.AccountID); err != nil {
		return uuid.Nil, err
	}
	return open.CustomerID, c.forgetting(ctx, []uuid.UUID{open.RequestID}, nil)
}

// join uses the invitation and waits until the person's screens know of it.
func (c *Commands) join(ctx context.Context, by commands.Origin, link Link, account uuid.UUID) error {
	done, err := commands.Execute(ctx, c.Executor, by, domain.MembersStream(link.CustomerID),
		func(m domain.Members) ([]domain.Event, error) {
			return m.Of(link.CustomerID).Accept(link.RequestID, account, c.Now())
		})
	if err != nil {
		return err
	}
	c.showMember(ctx, done.Position)
	return nil
}

// showMember waits until the screens know who acts for a customer. They would find it in the log otherwise, for the customer
// that is asked for only.
func (c *Commands) showMember(ctx context.Context, position uint64) {
	if err := c.barrier.WaitFor(ctx, MembersReadModel, position); err != nil {
		c.log.WarnContext(ctx, "a person is told before every screen knows", "error", fmt.Errorf("wait for %s: %w", MembersReadModel, err))
	}
}
