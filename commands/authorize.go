package commands

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Authorize returns why a command may not change what is a customer's; nil when it may. A user is asked for their role, as
// the log has it now: a screen that still offers what somebody may no longer do offers it in vain. Whoever is no user (the
// buyer before there is a login, AWS, an operator) needs no role.
func (x Executor) Authorize(ctx context.Context, by Origin, customer uuid.UUID) error {
	if by.Account == uuid.Nil {
		return nil
	}
	members, err := Read[domain.Members](ctx, x.Store, domain.MembersStream(customer))
	if err != nil {
		return err
	}
	return members.Of(customer).MayChange(by.Account)
}
