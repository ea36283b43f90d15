package accounts

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// maxHoldReason is the longest reason of a hold or its release, in characters.
const maxHoldReason = 500

// LegalHold is a hold that stands.
type LegalHold struct {
	ID    uuid.UUID
	Why   string
	Since time.Time
}

// LegalHolds returns the holds that an account is under, and the erasures that wait for their release.
func (c *Commands) LegalHolds(ctx context.Context, account uuid.UUID) (holds []LegalHold, waiting []domain.ErasureDelayed, err error) {
	state, err := c.Account(ctx, account)
	if err != nil {
		return nil, nil, err
	}
	if !state.Registered() {
		return nil, nil, domain.ErrNotRegistered
	}
	for _, hold := range state.Holds.Standing {
		why, err := c.vault.Decrypt(ctx, state.SealingKey(account), hold.Why)
		if err != nil {
			return nil, nil, commands.Unavailable(fmt.Errorf("decrypt the reason of a legal hold: %w", err))
		}
		holds = append(holds, LegalHold{ID: hold.ID, Why: string(why), Since: hold.Since})
	}
	return holds, state.Holds.Waiting, nil
}

// sealReason encrypts why a hold is placed or released: it may name people, and is erased with them.
func (c *Commands) sealReason(ctx context.Context, account domain.Account, why string) (domain.Ciphertext, error) {
	why = strings.TrimSpace(why)
	if why == "" || utf8.RuneCountInString(why) > maxHoldReason {
		return "", domain.Invalid("why", "Say in up to %d characters why, for instance with the number of the case.", maxHoldReason)
	}
	sealed, err := c.vault.Encrypt(ctx, account.SealingKey(account.CustomerID), []byte(why))
	switch {
	case errors.Is(err, ErrErased):
		return "", domain.ErrErasedAlready
	case err != nil:
		return "", commands.Unavailable(fmt.Errorf("encrypt the reason of a legal hold: %w", err))
	}
	return sealed, nil
}

// RespectHolds refuses the erasure of a customer or a person while one of the accounts that it concerns is under a legal hold,
// and notes there that it waits. Whoever erases asks before anything is destroyed.
func (c *Commands) RespectHolds(ctx context.Context, by commands.Origin, subject uuid.UUID, concerned []uuid.UUID) error {
	var held []string
	for _, account := range concerned {
		state, err := c.Account(ctx, account)
		if err != nil {
			return err
		}
		if !state.Holds.Any() {
			continue
		}
		held = append(held, account.String())
		if _, err := commands.Execute(ctx, c.Executor, by, domain.AccountStream(account), func(s domain.Account) ([]domain.Event, error) {
			return s.DelayErasure(subject, c.Now()), nil
		}); err != nil {
			return err
		}
	}
	if len(held) > 0 {
		return domain.ErrLegalHold.Saying("A legal hold stands on %s: nothing is erased, and it is noted that the erasure waits. "+
			"Release the hold, then repeat the erasure.", strings.Join(held, ", "))
	}
	return nil
}
