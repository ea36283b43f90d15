package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ReplaceRecoveryCodes gives an account other recovery codes. That who asks knows the password and a code is checked before.
type ReplaceRecoveryCodes struct {
	By        commands.Origin
	AccountID uuid.UUID
}

// ReplaceRecoveryCodes runs the command and returns the codes, to be shown once.
func (c *Commands) ReplaceRecoveryCodes(ctx context.Context, cmd ReplaceRecoveryCodes) ([]string, error) {
	account, err := c.Account(ctx, cmd.AccountID)
	if err != nil {
		return nil, err
	}
	if !account.SecondFactor.On() {
		return nil, domain.ErrSecondFactorOff
	}
	before := account.SecondFactor.Sealed
	f, err := c.openFactor(ctx, cmd.AccountID, before)
	if err != nil {
		return nil, err
	}
	return c.issueRecoveryCodes(ctx, cmd.By, cmd.AccountID, f, func(s domain.Account, sealed domain.Ciphertext) ([]domain.Event, error) {
		if s.SecondFactor.Sealed != before { // another app meanwhile, whose secret this is not
			return nil, domain.ErrSecondFactorOff
		}
		return s.ReplaceRecoveryCodes(sealed, recoveryCodes, c.Now())
	})
}
