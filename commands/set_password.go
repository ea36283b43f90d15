package commands

import (
	"context"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// ErrWrongPassword refuses a change whose old password is not right.
var ErrWrongPassword = &domain.Error{Kind: domain.KindInvalid, Code: "wrong_password", Field: "currentPassword",
	Message: "The current password is not right."}

// ResetPassword sets a new password with a reset link.
type ResetPassword struct {
	By       Origin
	Token    string
	Password string
}

// ChangePassword sets a new password with the old one.
type ChangePassword struct {
	By         Origin
	CustomerID uuid.UUID
	Current    string
	New        string
}

// CheckResetLink says whether a link may still be used, without using it.
func (a *Application) CheckResetLink(ctx context.Context, token string) (Link, error) {
	link, err := a.parseLink(LinkPasswordReset, token)
	if err != nil {
		return Link{}, err
	}
	account, err := a.Account(ctx, link.CustomerID)
	if err != nil {
		return Link{}, err
	}
	return link, account.CheckReset(link.RequestID, a.Now())
}

// ResetPassword runs the command and gives the customer, whose sessions are to be closed.
func (a *Application) ResetPassword(ctx context.Context, cmd ResetPassword) (uuid.UUID, error) {
	link, err := a.CheckResetLink(ctx, cmd.Token)
	if err != nil {
		return uuid.Nil, err
	}
	return link.CustomerID, a.setPassword(ctx, cmd.By, link.CustomerID, cmd.Password,
		func(s domain.Account, sealed domain.Sealed) ([]domain.Event, error) {
			return s.ResetPassword(link.RequestID, sealed, a.Now())
		})
}

// ChangePassword runs the command.
func (a *Application) ChangePassword(ctx context.Context, cmd ChangePassword) error {
	account, err := a.Account(ctx, cmd.CustomerID)
	if err != nil {
		return err
	}
	matches, err := a.passwordMatches(ctx, cmd.CustomerID, account.PasswordHash, cmd.Current)
	if err != nil {
		return Unavailable(err)
	}
	if !matches {
		return ErrWrongPassword
	}
	return a.setPassword(ctx, cmd.By, cmd.CustomerID, cmd.New,
		func(s domain.Account, sealed domain.Sealed) ([]domain.Event, error) {
			return s.ChangePassword(sealed, a.Now())
		})
}

func (a *Application) setPassword(
	ctx context.Context, by Origin, customer uuid.UUID, password string, decide func(domain.Account, domain.Sealed) ([]domain.Event, error),
) error {
	sealed, err := a.sealPassword(ctx, customer, password)
	if err != nil {
		return err
	}
	_, err = Execute(ctx, a.Executor, by, domain.AccountStream(customer), func(s domain.Account) ([]domain.Event, error) {
		return decide(s, sealed)
	})
	return err
}
