package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of a second factor:
//  1. An account may have one: codes by the time (RFC 6238) of an app that shares a secret with us. A login then needs a code
//     besides the password.
//  2. With it come recovery codes, each of which stands for a code of the app once. Fresh ones replace all that are left.
//  3. The secret and what recovery codes are known by are sealed under the person's own key, so that the log holds nothing to
//     log in with, and erasing the personal data destroys them.
//  4. A new password leaves it as it is: who can read somebody's mail is not that person yet.

// SecondFactorAdded says that a login needs a code from now on. The secret of the app and what recovery codes are known by
// are encrypted.
type SecondFactorAdded struct {
	CustomerID uuid.UUID  `json:"customerId"`
	Factor     Ciphertext `json:"factor"`        // secret and recovery codes
	Codes      int        `json:"recoveryCodes"` // how many there are
	AddedAt    time.Time  `json:"addedAt"`
}

// RecoveryCodesReplaced says that the account has other recovery codes; those before no longer work.
type RecoveryCodesReplaced struct {
	CustomerID uuid.UUID  `json:"customerId"`
	Factor     Ciphertext `json:"factor"`
	Codes      int        `json:"recoveryCodes"`
	ReplacedAt time.Time  `json:"replacedAt"`
}

// RecoveryCodeUsed says that a recovery code stood for a code of the app.
type RecoveryCodeUsed struct {
	CustomerID uuid.UUID `json:"customerId"`
	Code       int       `json:"recoveryCode"` // which of them, from 0
	UsedAt     time.Time `json:"usedAt"`
}

// SecondFactorRemoved says that the password is enough again.
type SecondFactorRemoved struct {
	CustomerID uuid.UUID `json:"customerId"`
	RemovedAt  time.Time `json:"removedAt"`
}

// EventType names the event in the log.
func (SecondFactorAdded) EventType() string { return "SecondFactorAdded" }

// EventType names the event in the log.
func (RecoveryCodesReplaced) EventType() string { return "RecoveryCodesReplaced" }

// EventType names the event in the log.
func (RecoveryCodeUsed) EventType() string { return "RecoveryCodeUsed" }

// EventType names the event in the log.
func (SecondFactorRemoved) EventType() string { return "SecondFactorRemoved" }

func registerSecondFactorEvents(r *Registry) {
	register[SecondFactorAdded](r, CategoryAccount)
	register[RecoveryCodesReplaced](r, CategoryAccount)
	register[RecoveryCodeUsed](r, CategoryAccount)
	register[SecondFactorRemoved](r, CategoryAccount)
}

// Refusals of a second factor.
var (
	ErrSecondFactorOn = &Error{Kind: KindConflict, Code: "second_factor_on",
		Message: "Two-step login is on already. Switch it off first to use another app."}
	ErrSecondFactorOff = &Error{Kind: KindConflict, Code: "second_factor_off", Message: "Two-step login is not on."}
	ErrWrongCode       = &Error{Kind: KindUnauthenticated, Code: "wrong_code", Field: "code",
		Message: "The code is not right, or was used already. Enter the one that your app shows now, or a recovery code."}
)

// SecondFactor is what a login needs besides the password; zero when it needs nothing.
type SecondFactor struct {
	Sealed Ciphertext
	Codes  int
	Used   []int // recovery codes
	Since  time.Time
}

// On returns whether a login needs a code.
func (f SecondFactor) On() bool { return f.Sealed != "" }

// CodesLeft returns how many recovery codes can still be used.
func (f SecondFactor) CodesLeft() int { return f.Codes - len(f.Used) }

// fold returns the second factor after one more event.
func (f SecondFactor) fold(event Event) SecondFactor {
	switch e := event.(type) {
	case SecondFactorAdded:
		return SecondFactor{Sealed: e.Factor, Codes: e.Codes, Since: e.AddedAt}
	case RecoveryCodesReplaced:
		return SecondFactor{Sealed: e.Factor, Codes: e.Codes, Since: f.Since}
	case RecoveryCodeUsed:
		f.Used = append(slices.Clip(f.Used), e.Code)
		return f
	case SecondFactorRemoved, PersonalDataErased:
		return SecondFactor{}
	}
	return f
}

// AddSecondFactor has logins need a code; that one of the app was given is checked before, it needs the secret.
func (a Account) AddSecondFactor(factor Ciphertext, codes int, at time.Time) ([]Event, error) {
	switch {
	case !a.Active:
		return nil, ErrNotRegistered
	case a.SecondFactor.On():
		return nil, ErrSecondFactorOn
	}
	return []Event{SecondFactorAdded{CustomerID: a.CustomerID, Factor: factor, Codes: codes, AddedAt: at.UTC()}}, nil
}

// ReplaceRecoveryCodes gives the account other recovery codes.
func (a Account) ReplaceRecoveryCodes(factor Ciphertext, codes int, at time.Time) ([]Event, error) {
	if !a.SecondFactor.On() {
		return nil, ErrSecondFactorOff
	}
	return []Event{RecoveryCodesReplaced{CustomerID: a.CustomerID, Factor: factor, Codes: codes, ReplacedAt: at.UTC()}}, nil
}

// UseRecoveryCode lets a recovery code of a factor stand for a code of the app, once.
func (a Account) UseRecoveryCode(factor Ciphertext, code int, at time.Time) ([]Event, error) {
	if a.SecondFactor.Sealed != factor || slices.Contains(a.SecondFactor.Used, code) {
		return nil, ErrWrongCode
	}
	return []Event{RecoveryCodeUsed{CustomerID: a.CustomerID, Code: code, UsedAt: at.UTC()}}, nil
}

// RemoveSecondFactor has the password be enough again.
func (a Account) RemoveSecondFactor(at time.Time) ([]Event, error) {
	if !a.SecondFactor.On() {
		return nil, ErrSecondFactorOff
	}
	return []Event{SecondFactorRemoved{CustomerID: a.CustomerID, RemovedAt: at.UTC()}}, nil
}
