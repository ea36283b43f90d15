package accounts

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// PreparedFactor is a second factor that an app is to be given. Nothing is decided yet: it is forgotten when no code is.
type PreparedFactor struct {
	Secret string            // to be typed into the app
	URI    string            // to be shown to it, as a picture
	Sealed domain.Ciphertext // of the secret, to be handed to AddSecondFactor
}

// PrepareSecondFactor draws a secret for who knows the account's password.
func (c *Commands) PrepareSecondFactor(ctx context.Context, id uuid.UUID, password string) (PreparedFactor, error) {
	account, err := c.CheckPassword(ctx, id, password)
	if err != nil {
		return PreparedFactor{}, err
	}
	if account.SecondFactor.On() {
		return PreparedFactor{}, domain.ErrSecondFactorOn
	}
	email, err := c.emailOf(ctx, account)
	if err != nil {
		return PreparedFactor{}, err
	}
	key, err := newCodeKey(email)
	if err != nil {
		return PreparedFactor{}, err
	}
	sealed, err := c.sealFactor(ctx, id, factor{Secret: key.Secret()})
	return PreparedFactor{Secret: key.Secret(), URI: key.URL(), Sealed: sealed}, err
}

// AddSecondFactor has logins need a code, once one of the app was given: it has the secret, and its clock is right.
type AddSecondFactor struct {
	By        commands.Origin
	AccountID uuid.UUID
	Sealed    domain.Ciphertext // of the factor that was prepared
	Code      string
}

// AddSecondFactor runs the command and returns the recovery codes, to be shown once, and what names the code, which is used now, as
// CheckCode does.
func (c *Commands) AddSecondFactor(ctx context.Context, cmd AddSecondFactor) (codes []string, name string, err error) {
	f, err := c.openFactor(ctx, cmd.AccountID, cmd.Sealed)
	if err != nil {
		return nil, "", err
	}
	step, right := f.step(normaliseCode(cmd.Code), c.Now())
	if !right {
		return nil, "", domain.ErrWrongCode
	}
	codes, err = c.issueRecoveryCodes(ctx, cmd.By, cmd.AccountID, f, func(s domain.Account, sealed domain.Ciphertext) ([]domain.Event, error) {
		return s.AddSecondFactor(sealed, recoveryCodes, c.Now())
	})
	return codes, nameOf(step), err
}

// issueRecoveryCodes gives a factor fresh recovery codes and lets decide accept it.
func (c *Commands) issueRecoveryCodes(
	ctx context.Context, by commands.Origin, account uuid.UUID, f factor, decide func(domain.Account, domain.Ciphertext) ([]domain.Event, error),
) ([]string, error) {
	var codes []string
	codes, f.Recovery = drawRecoveryCodes()
	sealed, err := c.sealFactor(ctx, account, f)
	if err != nil {
		return nil, err
	}
	_, err = commands.Execute(ctx, c.Executor, by, domain.AccountStream(account), func(s domain.Account) ([]domain.Event, error) {
		return decide(s, sealed)
	})
	if err != nil {
		return nil, err
	}
	return codes, nil
}
