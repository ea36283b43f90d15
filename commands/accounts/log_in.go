package accounts

import (
	"context"
	"encoding/hex"
	"errors"
	"slices"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// ErrLoginFailed is the one answer to a wrong password and to an unknown address alike.
var ErrLoginFailed = &domain.Error{Kind: domain.KindUnauthenticated, Code: "login_failed",
	Message: "The mail address or the password is not right. Try again, or reset the password."}

// LogIn checks a mail address and its password.
type LogIn struct {
	By       commands.Origin
	Email    string
	Password string
}

// LoggedIn is whose password was right. Who has a second factor is to give a code yet.
type LoggedIn struct {
	AccountID    uuid.UUID
	SecondFactor bool
	Password     domain.Ciphertext // the hash that matched; the log holds it too
}

// LogIn runs the command. Whether the address is known can be told neither from the answer nor from the time it takes.
func (c *Commands) LogIn(ctx context.Context, cmd LogIn) (LoggedIn, error) {
	account, err := c.AccountOfMail(ctx, cmd.Email)
	if err != nil {
		return LoggedIn{}, err
	}
	if !account.Active {
		for _, form := range passwordForms(cmd.Password) {
			_, _ = argon2id.CreateHash(form, &c.passwordCost)
		}
		return LoggedIn{}, ErrLoginFailed
	}
	matches, err := c.passwordMatches(ctx, account.CustomerID, account.PasswordHash, cmd.Password)
	if err != nil && !errors.Is(err, ErrErased) {
		return LoggedIn{}, commands.Unavailable(err)
	}
	if !matches {
		c.recordLogin(ctx, cmd.By, account.CustomerID, domain.LoginFailed{CustomerID: account.CustomerID, At: c.Now().UTC()})
		return LoggedIn{}, ErrLoginFailed
	}
	return LoggedIn{AccountID: account.CustomerID, SecondFactor: account.SecondFactor.On(), Password: account.PasswordHash}, nil
}

// ConfirmLogin lets somebody in whose password, and code where one is needed, were right.
type ConfirmLogin struct {
	By     commands.Origin
	User   LoggedIn
	Device string // what the browser keeps to be known by; "" of one that keeps nothing
}

// ConfirmLogin runs the command: ErrLoginFailed when the password was replaced, a second factor added or the account closed
// since. Asked after the session has its place in the order of things, it leaves no gap in which an old password begins a
// session that ending all sessions misses.
func (c *Commands) ConfirmLogin(ctx context.Context, cmd ConfirmLogin) error {
	account, err := c.Account(ctx, cmd.User.AccountID)
	if err != nil {
		return err
	}
	if !account.Active || account.PasswordHash != cmd.User.Password || account.SecondFactor.On() && !cmd.User.SecondFactor {
		return ErrLoginFailed
	}
	c.recordLogin(ctx, cmd.By, account.CustomerID, domain.LoginSucceeded{CustomerID: account.CustomerID, At: c.Now().UTC()})
	c.recordDevice(ctx, cmd.By, account.CustomerID, cmd.Device)
	return nil
}

// KnowsDevice returns whether the owner of an address has logged in from a device before.
func (c *Commands) KnowsDevice(ctx context.Context, email, device string) (bool, error) {
	account, err := c.AccountOfMail(ctx, email)
	if err != nil {
		return false, err
	}
	return c.AccountKnowsDevice(ctx, account.CustomerID, device)
}

// AccountKnowsDevice is KnowsDevice of an account.
func (c *Commands) AccountKnowsDevice(ctx context.Context, account uuid.UUID, device string) (bool, error) {
	devices, err := commands.Read[domain.Devices](ctx, c.Store, domain.DevicesStream(account))
	return device != "" && slices.ContainsFunc(c.deviceHashes(account, device), devices.Knows), err
}

// recordLogin notes a login. It never fails one: the note is for the activity screen.
func (c *Commands) recordLogin(ctx context.Context, by commands.Origin, customer uuid.UUID, event domain.Event) {
	if err := c.appendLogin(ctx, by, domain.LoginsStream(customer), event); err != nil {
		c.log.WarnContext(ctx, "login is not noted", "customer", customer, "error", err)
	}
}

// recordDevice notes what somebody logged in from. It never fails a login: who cannot be told is still who they are.
func (c *Commands) recordDevice(ctx context.Context, by commands.Origin, account uuid.UUID, device string) {
	if device == "" {
		return
	}
	hashes := c.deviceHashes(account, device)
	if _, err := commands.Execute(ctx, c.Executor, by, domain.DevicesStream(account), func(d domain.Devices) ([]domain.Event, error) {
		if rehashed := d.Rehash(account, hashes[0], hashes[1:], c.Now()); rehashed != nil {
			return rehashed, nil
		}
		return d.Use(account, hashes[0], c.Now()), nil
	}); err != nil {
		c.log.WarnContext(ctx, "the device of a login is not noted", "account", account, "error", err)
	}
}

// deviceHashes returns what a device is known to an account by, under each secret: first under the one in use.
func (c *Commands) deviceHashes(account uuid.UUID, device string) []string {
	var hashes []string
	for _, secret := range c.ring.Secrets(commands.PurposeSessions) {
		hashes = append(hashes, hex.EncodeToString(secret.MAC("login-device", append(account[:], device...))[:16]))
	}
	return hashes
}

// appendLogin appends behind whatever the stream holds: nothing is decided on it, so that a conflict's revision is all
// that has to be known of the event that won.
func (c *Commands) appendLogin(ctx context.Context, by commands.Origin, stream string, event domain.Event) error {
	last, found, err := c.Store.ReadLast(ctx, stream)
	if err != nil {
		return err
	}
	revision := commands.NoStream
	if found {
		revision = int64(last.Revision)
	}
	for range commands.MaxDecisions {
		var appended commands.Appended
		appended, err = c.Store.Append(ctx, stream, revision, c.Propose(by, stream, revision, []domain.Event{event}))
		if err == nil {
			appended.Note(ctx)
		}
		next, conflicted := commands.ConflictRevision(err, revision)
		if !conflicted {
			return err
		}
		revision = next
	}
	return err
}
