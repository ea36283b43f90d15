package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/securitylog"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// activityPage is how many entries a page of the activity has.
const activityPage = 50

type activityAnswer struct {
	Entries []entryAnswer `json:"entries"`
	Next    string        `json:"next"` // value of `before` for the page after this; empty at the end
}

type entryAnswer struct {
	ID       uuid.UUID `json:"id"`
	Position uint64    `json:"position,string"`
	Kind     string    `json:"kind"`
	Actor    string    `json:"actor"`  // or how it came about, when that was not in a session
	By       string    `json:"by"`     // the name of the user who did it; empty when it was not one, or is not known
	You      bool      `json:"you"`    // it was who asks
	Person   string    `json:"person"` // the name of the person that it happened to; empty when it happened to nobody
	At       time.Time `json:"at"`
	Summary  string    `json:"summary"`
}

func (c *console) readActivity(r *http.Request, user visitor) (any, error) {
	var before uint64
	if text := r.URL.Query().Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseUint(text, 10, 63); err != nil {
			return nil, domain.Invalid("before", "before is the next of the page before.")
		}
	}
	filter, err := parseActivityFilter(r.URL.Query())
	if err != nil {
		return nil, err
	}
	entries, err := c.Models.Activity.List(r.Context(), user.customer, user.account, filter, before, activityPage)
	if err != nil {
		return nil, err
	}
	names := c.namesOf(r)
	answer := activityAnswer{Entries: make([]entryAnswer, 0, len(entries))}
	for _, e := range entries {
		entry := entryAnswer{ID: e.EventID, Position: e.Position, Kind: e.Kind, Actor: e.Actor, At: e.At, Summary: e.Summary()}
		if e.Actor == domain.ActorUser && e.Account == uuid.Nil { // from before users were named: there was one
			e.Account = user.customer
			if e.Personal {
				e.Account = user.account
			}
		}
		if through := e.Through(); through != "" {
			e.Account, entry.Actor = uuid.Nil, through
		}
		entry.You = e.Account == user.account
		if entry.By, err = names(e.Account); err == nil {
			entry.Person, err = names(e.Detail.Person)
		}
		if err != nil {
			return nil, err
		}
		answer.Entries = append(answer.Entries, entry)
	}
	if len(entries) == activityPage {
		answer.Next = strconv.FormatUint(entries[len(entries)-1].Position, 10)
	}
	return answer, nil
}

// parseActivityFilter reads what is looked for; every field may be missing or empty.
func parseActivityFilter(query url.Values) (filter projections.ActivityFilter, err error) {
	if filter.Topic, err = projections.ParseActivityTopic(query.Get("topic")); err != nil {
		return filter, err
	}
	if text := query.Get("key"); text != "" {
		if filter.Slot, err = domain.ParseKeySlot(text); err != nil {
			return filter, err
		}
	}
	if text := query.Get("day"); text != "" {
		if filter.Day, err = time.Parse(time.DateOnly, text); err != nil {
			return filter, domain.Invalid("day", "Write the day as 2026-11-20.")
		}
	}
	return filter, nil
}

// namesOf returns what names the person of an account, looking each up once; empty of nobody.
func (c *console) namesOf(r *http.Request) func(account uuid.UUID) (string, error) {
	known := map[uuid.UUID]string{uuid.Nil: ""}
	return func(account uuid.UUID) (string, error) {
		if name, looked := known[account]; looked {
			return name, nil
		}
		login, found, err := c.Models.Accounts.Account(r.Context(), account)
		known[account] = nameOf(login.Person, found)
		return known[account], err
	}
}

// nameOf returns a person's name, or what one is called who is erased, or whom the read model does not know yet.
func nameOf(p accounts.Person, known bool) string {
	if name := strings.TrimSpace(p.FirstName + " " + p.LastName); name != "" {
		return name
	}
	if !known {
		return "A new colleague"
	}
	return "A former colleague"
}

type accountAnswer struct {
	FirstName     string      `json:"firstName"`
	LastName      string      `json:"lastName"`
	Email         string      `json:"email"`
	NewEmail      string      `json:"newEmail"` // that we have mailed a link to; empty when there is none
	ActivatedAt   *time.Time  `json:"activatedAt"`
	PasswordSetAt *time.Time  `json:"passwordSetAt"`
	Company       string      `json:"company"`
	Website       string      `json:"website"`
	CustomerID    *uuid.UUID  `json:"customerId"` // null of a login without any customer, as what is below
	Role          domain.Role `json:"role"`
	Plan          *planAnswer `json:"plan"`

	SecondFactorSince *time.Time `json:"secondFactorSince"` // null while the password is enough
	RecoveryCodesLeft int        `json:"recoveryCodesLeft"`
}

// readAccount tells who the user is, and who the customer is that they look at.
func (c *console) readAccount(r *http.Request, account uuid.UUID) (any, error) {
	login, known, err := c.Models.Accounts.Account(r.Context(), account)
	if err == nil && !known {
		err = domain.ErrUnavailable.Saying("Your new account is not shown here yet. It will be in a few seconds.")
	}
	if err != nil {
		return nil, err
	}
	p := login.Person
	answer := accountAnswer{
		FirstName: p.FirstName, LastName: p.LastName, Email: p.Email,
		ActivatedAt: unlessZero(login.ActivatedAt), PasswordSetAt: unlessZero(login.PasswordSetAt),
	}
	current, err := c.Accounts.Account(r.Context(), account)
	if err != nil {
		return nil, err
	}
	answer.SecondFactorSince, answer.RecoveryCodesLeft = unlessZero(current.SecondFactor.Since), current.SecondFactor.CodesLeft()
	if c.Now().Before(login.NewEmailExpiresAt) {
		answer.NewEmail = login.NewEmail
	}
	user, err := c.visitorOf(r, account)
	if errors.Is(err, errNoCustomer) {
		return answer, nil
	}
	var row projections.SubscriptionRow
	if err == nil {
		row, err = c.subscription(r, user.subscription)
	}
	var registered projections.AccountView
	if err == nil {
		registered, _, err = c.Models.Accounts.Account(r.Context(), user.customer)
	}
	if err != nil {
		return nil, err
	}
	plan := c.planOf(row)
	answer.Company, answer.Website, answer.CustomerID = registered.Person.Company, registered.Person.Website, &user.customer
	answer.Role, answer.Plan = user.role, &plan
	return answer, nil
}

// changePassword sets another password and closes all sessions but this one.
func (c *console) changePassword(r *http.Request, account uuid.UUID) (any, error) {
	var body struct {
		Current string `json:"currentPassword"`
		New     string `json:"password"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	err := c.withPassword(r.Context(), account, func() error {
		return c.Accounts.ChangePassword(r.Context(), accounts.ChangePassword{
			By: byUser(r.Context(), account), CustomerID: account, Current: body.Current, New: body.New,
		})
	})
	if err != nil {
		return nil, err
	}
	return struct{}{}, c.endOtherLogins(r, account)
}

// withPassword runs a command that the user's password is asked for. Wrong ones are counted.
func (c *console) withPassword(ctx context.Context, account uuid.UUID, run func() error) error {
	if err := c.countAttempt(ctx, passwordOfAccount, account.String()); err != nil {
		return err
	}
	err := c.hash(ctx, run)
	switch {
	case err == nil:
		c.resetAttempts(ctx, passwordOfAccount, account.String())
	case errors.Is(err, accounts.ErrWrongPassword):
		c.Security.Note(ctx, securitylog.PasswordFailed, slog.String(accountName, account.String()))
	default: // the password may not have been looked at
		c.refundAttempt(ctx, passwordOfAccount, account.String())
	}
	return err
}

// requestEmailChange mails a link to the user's new address.
func (c *console) requestEmailChange(r *http.Request, account uuid.UUID) (any, error) {
	var body struct {
		Email    string `json:"email"`
		Password string `json:"currentPassword"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	if err := c.countAttempt(r.Context(), mailToAccount, account.String()); err != nil {
		return nil, err
	}
	var position uint64
	err := c.withPassword(r.Context(), account, func() (err error) {
		position, err = c.Accounts.RequestEmailChange(r.Context(), accounts.RequestEmailChange{
			By: byUser(r.Context(), account), AccountID: account, Password: body.Password, Email: body.Email,
		})
		return err
	})
	if err != nil {
		c.refundAttempt(r.Context(), mailToAccount, account.String()) // no mail went out
		return nil, err
	}
	return done{position}, nil
}
