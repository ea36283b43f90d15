package accounts

import (
	"context"
	"fmt"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// InviteMember invites a person by mail to act for a customer.
type InviteMember struct {
	By         commands.Origin
	CustomerID uuid.UUID
	Email      string
	Role       domain.Role
}

// InviteMember runs the command and returns the position to wait for. Whether the address has a login cannot be told from
// the answer, unless the person belongs to the customer already.
func (c *Commands) InviteMember(ctx context.Context, cmd InviteMember) (uint64, error) {
	if err := c.Authorize(ctx, cmd.By, cmd.CustomerID); err != nil {
		return 0, err
	}
	email := NormaliseMail(cmd.Email)
	if problem := mailProblem(email); problem != "" {
		return 0, domain.Invalid("email", "%s", problem)
	}
	holder, err := c.AccountOfMail(ctx, email)
	if err != nil {
		return 0, err
	}
	hashes := c.MailHashes(email)
	invitation := domain.Invitation{
		ID: domain.DerivedID(cmd.By.CommandID, "invitation"), Role: cmd.Role, MailHash: hashes[0].Hash, OtherHashes: hashesOf(hashes[1:]),
	}
	if invitation.Address, err = c.vault.Encrypt(ctx, invitation.ID, []byte(email)); err != nil {
		return 0, commands.Unavailable(fmt.Errorf("encrypt the address of an invitation: %w", err))
	}
	var replaced []uuid.UUID
	done, err := c.decideOnMembers(ctx, cmd.By, cmd.CustomerID, func(m domain.Members) ([]domain.Event, error) {
		events, err := m.Invite(invitation, holder.CustomerID, c.Now())
		replaced = nil
		for _, event := range events {
			if e, ok := event.(domain.InvitationWithdrawn); ok {
				replaced = append(replaced, e.InvitationID)
			}
		}
		return events, err
	})
	if err != nil {
		return 0, c.forgetting(ctx, []uuid.UUID{invitation.ID}, err)
	}
	return done.Position, c.forgetting(ctx, replaced, nil)
}

// forgetting forgets invitations and returns what the command came to. That an address is still readable does not undo what
// was decided: it is so until the customer is erased.
func (c *Commands) forgetting(ctx context.Context, invitations []uuid.UUID, outcome error) error {
	for _, invitation := range invitations {
		if err := c.forgetInvitation(ctx, invitation); err != nil {
			c.log.WarnContext(ctx, "the address of an invitation stays readable", "invitation", invitation, "error", err)
		}
	}
	return outcome
}
