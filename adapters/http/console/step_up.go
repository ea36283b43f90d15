package console

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// confirmedFor is how long after the password was given a login may do what could harm the customer most.
const confirmedFor = time.Hour

var errPasswordNeeded = &domain.Error{Kind: domain.KindForbidden, Code: "password_required",
	Message: "You gave your password more than an hour ago. Enter it again to do this."}

// confirmed lets a handler run only for a login that has given its password lately: an open screen, or a stolen session, is not
// enough for what it does.
func (c *console) confirmed(handle apiHandler) apiHandler {
	return func(r *http.Request, user visitor) (any, error) {
		since, err := c.Logins.SinceConfirmed(r.Context(), c.sessionID(r, sessionLogin))
		if err != nil {
			return nil, domain.ErrUnavailable.Because(err)
		}
		if since >= confirmedFor {
			return nil, errPasswordNeeded
		}
		return handle(r, user)
	}
}

// confirmPassword takes the password again.
func (c *console) confirmPassword(r *http.Request, account uuid.UUID) (any, error) {
	if err := c.askPassword(r, account); err != nil {
		return nil, err
	}
	if err := c.Logins.Confirm(r.Context(), c.sessionID(r, sessionLogin)); err != nil {
		return nil, domain.ErrUnavailable.Because(err)
	}
	return struct{}{}, nil
}

// askPassword reads the user's password, and nothing else, out of a request, and checks it.
func (c *console) askPassword(r *http.Request, account uuid.UUID) error {
	var body struct {
		Password string `json:"currentPassword"`
	}
	if err := readJSON(r, &body); err != nil {
		return err
	}
	return c.withPassword(r.Context(), account, func() error {
		_, err := c.Accounts.CheckPassword(r.Context(), account, body.Password)
		return err
	})
}
