package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of legal holds:
//  1. A hold says that what is known of an account must be kept, for a dispute perhaps. While one stands the account is not erased.
//  2. An account may be under several holds, each for a reason of its own. It can be erased when the last is released.
//  3. An erasure that is asked for meanwhile is noted, so that it is not forgotten: it waits, and is repeated after the release.
//  4. The hold of who registered a customer is that of the customer too: they have one id.

// LegalHoldPlaced says that the account must not be erased. Why is sealed under the key of the account.
type LegalHoldPlaced struct {
	CustomerID uuid.UUID  `json:"customerId"`
	HoldID     uuid.UUID  `json:"holdId"`
	Why        Ciphertext `json:"why"` // under the account's own key: it may name people
	PlacedAt   time.Time  `json:"placedAt"`
}

// LegalHoldReleased says that one hold no longer stands.
type LegalHoldReleased struct {
	CustomerID uuid.UUID  `json:"customerId"`
	HoldID     uuid.UUID  `json:"holdId"`
	Why        Ciphertext `json:"why"`
	ReleasedAt time.Time  `json:"releasedAt"`
}

// ErasureDelayed says that an erasure was asked for which waits for the release of the account's holds.
type ErasureDelayed struct {
	CustomerID  uuid.UUID `json:"customerId"`
	SubjectID   uuid.UUID `json:"subjectId"` // customer or account that was to be erased
	RequestedAt time.Time `json:"requestedAt"`
}

// EventType names the event in the log.
func (LegalHoldPlaced) EventType() string { return "LegalHoldPlaced" }

// EventType names the event in the log.
func (LegalHoldReleased) EventType() string { return "LegalHoldReleased" }

// EventType names the event in the log.
func (ErasureDelayed) EventType() string { return "ErasureDelayed" }

func registerLegalHoldEvents(r *Registry) {
	register[LegalHoldPlaced](r, CategoryAccount)
	register[LegalHoldReleased](r, CategoryAccount)
	register[ErasureDelayed](r, CategoryAccount)
}

// Refusals of legal holds, and by them.
var (
	ErrLegalHold = &Error{Kind: KindConflict, Code: "legal_hold",
		Message: "A legal hold stands: nothing may be erased before it is released."}
	ErrNoSuchHold = &Error{Kind: KindNotFound, Code: "no_such_hold",
		Message: "There is no such legal hold on this account, or it is released already."}
	ErrErasedAlready = &Error{Kind: KindConflict, Code: "erased_already",
		Message: "The personal data is erased: there is nothing left to hold."}
)

// LegalHold is one that stands.
type LegalHold struct {
	ID    uuid.UUID
	Why   Ciphertext
	Since time.Time
}

// LegalHolds are the holds that an account is under, the oldest first, and the erasures that wait for them.
type LegalHolds struct {
	Standing []LegalHold
	Waiting  []ErasureDelayed
}

// Any returns whether a hold stands.
func (h LegalHolds) Any() bool { return len(h.Standing) > 0 }

func (h LegalHolds) find(id uuid.UUID) int {
	return slices.IndexFunc(h.Standing, func(hold LegalHold) bool { return hold.ID == id })
}

// fold returns the holds after one more event. It copies, so that a state given out earlier stays what it was.
func (h LegalHolds) fold(event Event) LegalHolds {
	switch e := event.(type) {
	case LegalHoldPlaced:
		h.Standing = append(slices.Clone(h.Standing), LegalHold{ID: e.HoldID, Why: e.Why, Since: e.PlacedAt})
	case LegalHoldReleased:
		h.Standing = slices.DeleteFunc(slices.Clone(h.Standing), func(hold LegalHold) bool { return hold.ID == e.HoldID })
	case ErasureDelayed:
		h.Waiting = append(slices.Clone(h.Waiting), e)
	case PersonalDataErased:
		return LegalHolds{}
	}
	return h
}

// CheckHold returns why an account cannot be put under a hold. Others says that others act for the customer that was registered
// with it: their data can be held when that of the account is erased, until the customer is.
func (a Account) CheckHold(others bool) error {
	switch {
	case !a.Registered():
		return ErrNotRegistered
	case a.Erased && !others, a.CustomerErased:
		return ErrErasedAlready
	}
	return nil
}

// PlaceHold puts the account under a hold. One that stands already is not recorded again.
func (a Account) PlaceHold(id uuid.UUID, why Ciphertext, others bool, at time.Time) ([]Event, error) {
	if err := a.CheckHold(others); err != nil {
		return nil, err
	}
	if a.Holds.find(id) >= 0 {
		return nil, nil
	}
	return []Event{LegalHoldPlaced{CustomerID: a.CustomerID, HoldID: id, Why: why, PlacedAt: at.UTC()}}, nil
}

// ReleaseHold ends a hold.
func (a Account) ReleaseHold(id uuid.UUID, why Ciphertext, at time.Time) ([]Event, error) {
	if a.Holds.find(id) < 0 {
		return nil, ErrNoSuchHold
	}
	return []Event{LegalHoldReleased{CustomerID: a.CustomerID, HoldID: id, Why: why, ReleasedAt: at.UTC()}}, nil
}

// DelayErasure notes that the erasure of a customer or an account was asked for and waits for the account's holds. What waits
// already, and what need not wait, it does not record.
func (a Account) DelayErasure(subject uuid.UUID, at time.Time) []Event {
	waits := slices.ContainsFunc(a.Holds.Waiting, func(e ErasureDelayed) bool { return e.SubjectID == subject })
	if !a.Holds.Any() || waits {
		return nil
	}
	return []Event{ErasureDelayed{CustomerID: a.CustomerID, SubjectID: subject, RequestedAt: at.UTC()}}
}
