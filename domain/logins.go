package domain

import (
	"time"

	"github.com/google/uuid"
)

// Logins are facts for the activity screen and for lock-out, not for decisions of the account: they stand in a stream
// of their own that forgets, so that an account's stream stays short however often its owner logs in.

// LoginsMaxAge is how long logins stay readable in their stream.
const LoginsMaxAge = 90 * 24 * time.Hour

// LoginSucceeded says that somebody logged in.
type LoginSucceeded struct {
	CustomerID uuid.UUID `json:"customerId"`
	At         time.Time `json:"at"`
}

// LoginFailed says that somebody tried to log in with a wrong password, or with the password and a wrong code. Streams of
// logins forget after 90 days.
type LoginFailed struct {
	CustomerID uuid.UUID `json:"customerId"`
	WrongCode  bool      `json:"wrongCode,omitempty"`
	At         time.Time `json:"at"`
}

// EventType names the event in the log.
func (LoginSucceeded) EventType() string { return "LoginSucceeded" }

// EventType names the event in the log.
func (LoginFailed) EventType() string { return "LoginFailed" }

func registerLoginEvents(r *Registry) {
	register[LoginSucceeded](r, CategoryLogins)
	register[LoginFailed](r, CategoryLogins)
}
