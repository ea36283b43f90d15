package domain

import "time"

// Rules of an Idempotency-Key:
//  1. It stands for the first request that was counted under it, for 24 hours. After that it is as new.
//  2. A repetition of that request gets the first answer and is not counted; any other request is refused.

// idempotencyValidity is how long an Idempotency-Key stands for the request that was counted under it.
const idempotencyValidity = 24 * time.Hour

// Stands returns whether the counted call still stands for its Idempotency-Key.
func (e CheckCompleted) Stands(at time.Time) bool {
	return at.Sub(e.CompletedAt) < idempotencyValidity
}

// Repeat returns the answer to a later request under the same Idempotency-Key. Its digest tells whether it is the same.
func (e CheckCompleted) Repeat(digest string) (CheckCompleted, error) {
	if e.RequestDigest != digest {
		return CheckCompleted{}, ErrIdempotencyConflict
	}
	return e, nil
}

// IdempotencyMonths returns the months whose calls may still stand for their Idempotency-Key, the newest first. A clock that is
// ahead, by margin at most, may have counted one in the next month already.
func IdempotencyMonths(at time.Time, margin time.Duration) []Month {
	months := []Month{MonthOf(at.Add(margin))}
	for oldest := MonthOf(at.Add(-idempotencyValidity)); months[len(months)-1] != oldest; {
		months = append(months, months[len(months)-1].Previous())
	}
	return months
}
