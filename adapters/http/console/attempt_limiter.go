package console

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// AttemptLimiter limits attempts at logins, mails and tokens, over all nodes together. Its counts are kept in the database
// and not in a node's memory: a guesser that is spread over the nodes by the load balancer would otherwise have as many
// tries as there are nodes.
//
// Take counts an attempt of a subject before its outcome is known, so that attempts made at the same time cannot slip
// past the limit together. It returns how long the subject has to wait; the attempt is counted only when that is 0.
//
// Made returns how many attempts of a subject are counted.
//
// Refund uncounts the last attempt: it was none of those that are to be limited.
//
// Reset drops all that is counted of a subject.
type AttemptLimiter interface {
	Take(ctx context.Context, subject string, limit AttemptLimit) (wait time.Duration, err error)
	Made(ctx context.Context, subject string, limit AttemptLimit) (int, error)
	Refund(ctx context.Context, subject string) error
	Reset(ctx context.Context, subject string) error
}

// AttemptLimit lets a subject try Free times; from then on each further attempt waits, Base at first and twice as long
// every time up to Max. After Window without an attempt the count starts anew; Window is longer than Max.
type AttemptLimit struct {
	Free      int
	Base, Max time.Duration
	Window    time.Duration
}

// Wait is how long a subject waits after its n-th attempt.
func (l AttemptLimit) Wait(n int) time.Duration {
	if n < l.Free {
		return 0
	}
	wait := l.Base
	for i := l.Free; i < n && wait < l.Max; i++ {
		wait *= 2
	}
	return min(wait, l.Max)
}

// limitOf returns the limits. An account's is low, because an account has one owner who knows the password; an address
// may be that of a whole company, and an owner invites a whole team.
func limitOf(what string) AttemptLimit {
	switch what {
	case useOfCode: // longer than the code is valid
		return AttemptLimit{Free: 1, Base: 5 * time.Minute, Max: 5 * time.Minute, Window: time.Hour}
	case regenerationOfCustomer:
		return AttemptLimit{Free: 10, Base: time.Minute, Max: 15 * time.Minute, Window: time.Hour}
	case loginOfAccount, loginOnDevice, codeOfAccount, codeOnDevice, passwordOfAccount:
		return AttemptLimit{Free: 5, Base: 30 * time.Second, Max: 15 * time.Minute, Window: time.Hour}
	case mailToAccount:
		return AttemptLimit{Free: 5, Base: time.Minute, Max: time.Hour, Window: 2 * time.Hour}
	}
	return AttemptLimit{Free: 40, Base: 30 * time.Second, Max: 15 * time.Minute, Window: time.Hour}
}

// What attempts are counted of.
const (
	loginOfAccount    = "login-account"
	loginOnDevice     = "login-device" // of an account, in a browser that its owner has logged in from
	codeOfAccount     = "code-account"
	codeOnDevice      = "code-device"
	useOfCode         = "code"
	passwordOfAccount = "password-account"
	mailToAccount     = "mail-account"
	loginFromAddress  = "login-address"
	mailFromAddress   = "mail-address"
	tokenFromAddress  = "token-address"

	invitationOfCustomer   = "invitation-customer"
	regenerationOfCustomer = "regeneration-customer"
)

// subject names somebody whose attempts are counted. A keyed hash, because mail addresses and IP addresses are personal data.
// When another secret comes into use, the counts begin anew.
func (c *console) subject(what, who string) string {
	m := hmac.New(sha256.New, commands.InUse(c.Keyring, commands.PurposeSessions).Key)
	m.Write([]byte(what + "\x00" + who))
	return what + ":" + hex.EncodeToString(m.Sum(nil)[:16])
}

var errTooManyAttempts = &domain.Error{Kind: domain.KindExhausted, Code: "too_many_attempts", Message: "Too many attempts."}

// countAttempt counts an attempt and refuses it when there were too many.
func (c *console) countAttempt(ctx context.Context, what, who string) error {
	wait, err := c.Attempts.Take(ctx, c.subject(what, who), limitOf(what))
	if err != nil {
		return domain.ErrUnavailable.Because(err)
	}
	if wait > 0 {
		c.noteThrottled(ctx, what, who)
		return errTooManyAttempts.Saying("Too many attempts. Try again in %s.", inWords(wait)).After(wait)
	}
	return nil
}

// noteThrottled writes down that somebody has to wait. A code that comes twice is a wrong one, and noted as that.
func (c *console) noteThrottled(ctx context.Context, what, who string) {
	switch what {
	case useOfCode:
	case loginOfAccount, loginOnDevice, loginFromAddress, codeOfAccount, codeOnDevice, passwordOfAccount:
		c.Security.Note(ctx, securitylog.LoginThrottled, slog.String("limit", what), slog.String("subject", c.Security.Name(what, who)))
	default:
		c.Security.Note(ctx, securitylog.LimitHit, slog.String("limit", what), slog.String("subject", c.Security.Name(what, who)))
	}
}

// attempt is what an attempt is counted of.
type attempt struct{ what, who string }

// countAttempts counts an attempt of several subjects; who is refused for the second was counted of the first.
func (c *console) countAttempts(ctx context.Context, of []attempt) error {
	for _, a := range of {
		if err := c.countAttempt(ctx, a.what, a.who); err != nil {
			return err
		}
	}
	return nil
}

// forgiveAttempts forgets attempts after a success: all of an account or device, the one of an address, which may be that of
// many people.
func (c *console) forgiveAttempts(ctx context.Context, of []attempt) {
	for _, a := range of {
		if a.what == loginFromAddress {
			c.refundAttempt(ctx, a.what, a.who)
		} else {
			c.resetAttempts(ctx, a.what, a.who)
		}
	}
}

func (c *console) refundAttempts(ctx context.Context, of []attempt) {
	for _, a := range of {
		c.refundAttempt(ctx, a.what, a.who)
	}
}

// refundAttempt uncounts an attempt. It never fails a request: too much is counted then, at worst.
func (c *console) refundAttempt(ctx context.Context, what, who string) {
	if err := c.Attempts.Refund(ctx, c.subject(what, who)); err != nil {
		c.Log.WarnContext(ctx, "attempt is counted that need not be", "what", what, "error", err)
	}
}

func (c *console) resetAttempts(ctx context.Context, what, who string) {
	if err := c.Attempts.Reset(ctx, c.subject(what, who)); err != nil {
		c.Log.WarnContext(ctx, "attempts stay counted after success", "what", what, "error", err)
	}
}

// inWords returns a waiting time as people say it.
func inWords(wait time.Duration) string {
	if wait <= 90*time.Second {
		return plural(int(math.Ceil(wait.Seconds())), "second")
	}
	return plural(int(math.Ceil(wait.Minutes())), "minute")
}

func plural(n int, unit string) string {
	if n == 1 {
		return "1 " + unit
	}
	return strconv.Itoa(n) + " " + unit + "s"
}
