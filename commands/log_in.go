package commands

import (
	"context"
	"errors"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// ErrLoginFailed is the one answer to a wrong password and to an unknown address alike.
var ErrLoginFailed = &domain.Error{Kind: domain.KindUnauthenticated, Code: "login_failed",
	Message: "The mail address or the password is not right. Try again, or reset the password."}

// LogIn checks a mail address and its password.
type LogIn struct {
	By       Origin
	Email    string
	Password string
}

// LoggedIn is who logged in.
type LoggedIn struct {
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	password       domain.Sealed // the hash that matched
}

// LogIn runs the command. Whether the address is known can be told neither from the answer nor from the time it takes.
func (a *Application) LogIn(ctx context.Context, cmd LogIn) (LoggedIn, error) {
	account, err := a.accountOfMail(ctx, cmd.Email)
	if err != nil {
		return LoggedIn{}, err
	}
	if !account.Active {
		_, _ = argon2id.CreateHash(cmd.Password[:min(len(cmd.Password), maxPasswordLength)], &passwordCost)
		return LoggedIn{}, ErrLoginFailed
	}
	matches, err := a.passwordMatches(ctx, account.CustomerID, account.PasswordHash, cmd.Password)
	if err != nil && !errors.Is(err, ErrErased) {
		return LoggedIn{}, Unavailable(err)
	}
	if !matches {
		a.recordLogin(ctx, cmd.By, account.CustomerID, domain.LoginFailed{CustomerID: account.CustomerID, At: a.Now().UTC()})
		return LoggedIn{}, ErrLoginFailed
	}
	a.recordLogin(ctx, cmd.By, account.CustomerID, domain.LoginSucceeded{CustomerID: account.CustomerID, At: a.Now().UTC()})
	return LoggedIn{CustomerID: account.CustomerID, SubscriptionID: account.SubscriptionID, password: account.PasswordHash}, nil
}

// ConfirmLogin says whether a login still stands: ErrLoginFailed when the password was replaced or the account closed
// since. Asked after the session has its place in the order of things, it leaves no gap in which an old password begins a
// session that closing all sessions misses.
func (a *Application) ConfirmLogin(ctx context.Context, user LoggedIn) error {
	account, err := a.Account(ctx, user.CustomerID)
	if err != nil {
		return err
	}
	if !account.Active || account.PasswordHash != user.password {
		return ErrLoginFailed
	}
	return nil
}

// accountOfMail finds the account whose login name an address is; the zero account when there is none.
func (a *Application) accountOfMail(ctx context.Context, address string) (domain.Account, error) {
	owner, _, err := Load[domain.MailAddress](ctx, a.Store, domain.MailAddressStream(mailHash(a.secret, address)))
	if err != nil || owner.Owner == uuid.Nil {
		return domain.Account{}, Unavailable(err)
	}
	return a.Account(ctx, owner.Owner)
}

// Account reads an account from its stream.
func (a *Application) Account(ctx context.Context, customer uuid.UUID) (domain.Account, error) {
	account, _, err := Load[domain.Account](ctx, a.Store, domain.AccountStream(customer))
	return account, Unavailable(err)
}

// recordLogin notes a login. It never fails one: the note is for the activity screen.
func (a *Application) recordLogin(ctx context.Context, by Origin, customer uuid.UUID, event domain.Event) {
	if err := a.appendLogin(ctx, by, domain.LoginsStream(customer), event); err != nil {
		a.log.WarnContext(ctx, "login is not noted", "customer", customer, "error", err)
	}
}

// appendLogin appends behind whatever the stream holds: nothing is decided on it, so that a conflict's revision is all
// that has to be known of the event that won.
func (a *Application) appendLogin(ctx context.Context, by Origin, stream string, event domain.Event) error {
	last, found, err := a.Store.ReadLast(ctx, stream)
	if err != nil {
		return err
	}
	revision := NoStream
	if found {
		revision = int64(last.Revision)
	}
	for range MaxDecisions {
		_, err = a.Store.Append(ctx, stream, revision, a.Propose(by, stream, revision, []domain.Event{event}))
		next, conflicted := ConflictRevision(err, revision)
		if !conflicted {
			return err
		}
		revision = next
	}
	return err
}
