package console

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

type sessionsAnswer struct {
	Sessions []openSessionAnswer `json:"sessions"`
}

type openSessionAnswer struct {
	ID      uuid.UUID `json:"id"`
	Browser string    `json:"browser"`
	Address string    `json:"address"` // network address of the newest use
	BeganAt time.Time `json:"beganAt"`
	UsedAt  time.Time `json:"usedAt"`
	You     bool      `json:"you"` // it is the one that asks
}

// readSessions lists where the user is logged in.
func (c *console) readSessions(r *http.Request, account uuid.UUID) (any, error) {
	logins, err := c.Logins.Of(r.Context(), account)
	if err != nil {
		return nil, domain.ErrUnavailable.Because(err)
	}
	own := c.sessionID(r, sessionLogin)
	answer := sessionsAnswer{Sessions: []openSessionAnswer{}}
	for _, login := range logins {
		answer.Sessions = append(answer.Sessions, openSessionAnswer{
			ID: login.ID, Browser: login.Browser, Address: login.Address, BeganAt: login.BeganAt.UTC(), UsedAt: login.UsedAt.UTC(), You: login.ID == own,
		})
	}
	return answer, nil
}

// endSession signs one session of the user out. The password is asked for, as for all of them: who has stolen a session shall
// not be able to throw its owner out.
func (c *console) endSession(r *http.Request, account uuid.UUID) (any, error) {
	session, err := pathID(r, "session")
	if err == nil {
		err = c.askPassword(r, account)
	}
	if err != nil {
		return nil, err
	}
	if err := c.Logins.End(r.Context(), account, session); err != nil {
		return nil, domain.ErrUnavailable.Because(err)
	}
	return struct{}{}, nil
}

// signOutOthers signs all sessions of the user out but this one.
func (c *console) signOutOthers(r *http.Request, account uuid.UUID) (any, error) {
	if err := c.askPassword(r, account); err != nil {
		return nil, err
	}
	return struct{}{}, c.endOtherLogins(r, account)
}
