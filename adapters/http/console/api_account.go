package console

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/google/uuid"

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
	ID      uuid.UUID `json:"id"`
	Kind    string    `json:"kind"`
	Actor   string    `json:"actor"`
	At      time.Time `json:"at"`
	Summary string    `json:"summary"`
}

func (c *console) readActivity(r *http.Request, user visitor) (any, error) {
	var before uint64
	if text := r.URL.Query().Get("before"); text != "" {
		var err error
		if before, err = strconv.ParseUint(text, 10, 63); err != nil {
			return nil, domain.Invalid("before", "before is the next of the page before.")
		}
	}
	entries, err := c.Models.Activity.List(r.Context(), user.customer, before, activityPage)
	if err != nil {
		return nil, err
	}
	answer := activityAnswer{Entries: make([]entryAnswer, 0, len(entries))}
	for _, e := range entries {
		answer.Entries = append(answer.Entries, entryAnswer{e.EventID, e.Kind, e.Actor, e.At, e.Summary()})
	}
	if len(entries) == activityPage {
		answer.Next = strconv.FormatUint(entries[len(entries)-1].Position, 10)
	}
	return answer, nil
}

type accountAnswer struct {
	FirstName     string     `json:"firstName"`
	LastName      string     `json:"lastName"`
	Email         string     `json:"email"`
	Company       string     `json:"company"`
	Website       string     `json:"website"`
	CustomerID    uuid.UUID  `json:"customerId"`
	ActivatedAt   *time.Time `json:"activatedAt"`
	PasswordSetAt *time.Time `json:"passwordSetAt"`
	Plan          planAnswer `json:"plan"`
}

func (c *console) readAccount(r *http.Request, user visitor) (any, error) {
	account, known, err := c.Models.Accounts.Account(r.Context(), user.customer)
	if err == nil && !known {
		err = domain.ErrUnavailable.Saying("Your new account is not shown here yet. It will be in a few seconds.")
	}
	var row projections.SubscriptionRow
	if err == nil {
		row, err = c.subscription(r, user)
	}
	if err != nil {
		return nil, err
	}
	p := account.Person
	return accountAnswer{
		FirstName: p.FirstName, LastName: p.LastName, Email: p.Email, Company: p.Company, Website: p.Website, CustomerID: user.customer,
		ActivatedAt: unlessZero(account.ActivatedAt), PasswordSetAt: unlessZero(account.PasswordSetAt), Plan: c.planOf(row),
	}, nil
}

// changePassword sets another password and closes all sessions but this one.
func (c *console) changePassword(r *http.Request, user visitor) (any, error) {
	var body struct {
		Current string `json:"currentPassword"`
		New     string `json:"password"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	ctx, who := r.Context(), user.customer.String()
	if err := c.countAttempt(ctx, passwordOfAccount, who); err != nil {
		return nil, err
	}
	err := c.hash(ctx, func() error {
		return c.Accounts.ChangePassword(ctx, accounts.ChangePassword{
			By: by(domain.ActorUser), CustomerID: user.customer, Current: body.Current, New: body.New,
		})
	})
	if !errors.Is(err, accounts.ErrWrongPassword) {
		c.resetAttempts(ctx, passwordOfAccount, who)
	}
	if err != nil {
		return nil, err
	}
	return c.signOutOthers(r, user)
}

// signOutOthers closes all sessions of the user but this one.
func (c *console) signOutOthers(r *http.Request, user visitor) (any, error) {
	generation, err := c.closeSessions(r.Context(), user.customer)
	if err != nil {
		return nil, err
	}
	return struct{}{}, c.keepSession(r, generation)
}
