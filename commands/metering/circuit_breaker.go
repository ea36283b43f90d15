package metering

import (
	"math/rand/v2"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// circuitBreaker guards the calls of AWS. It is half-open after a start, and, once openUntil has passed, after a call that
// was not answered: one record is then sent as a probe, one with an unanswered attempt if there is any. So an outage leaves
// as few records as possible of which nobody knows whether they are billed; all others can be carried into a later hour.
type circuitBreaker struct {
	closed    bool
	failures  int
	openUntil time.Time // no call before
}

const (
	minOpenTime = time.Second
	maxOpenTime = 5 * time.Minute
)

// open returns whether no call may be made now.
func (b *circuitBreaker) open(now time.Time) bool { return now.Before(b.openUntil) }

// batchSize is how many records the next call may have.
func (b *circuitBreaker) batchSize() int {
	if b.closed {
		return MaxUsageBatch
	}
	return 1
}

// record takes the outcome of a whole call over.
func (b *circuitBreaker) record(outcome domain.MeteringOutcome, now time.Time) {
	switch outcome {
	case domain.MeteringUnknown, domain.MeteringNotSent, domain.MeteringThrottled, domain.MeteringAccessRefused:
	default:
		*b = circuitBreaker{closed: true}
		return
	}
	b.closed = false
	openTime := min(minOpenTime<<min(b.failures, 10), maxOpenTime)
	if outcome == domain.MeteringAccessRefused {
		openTime = maxOpenTime // a person has to repair it
	}
	b.failures++
	b.openUntil = now.Add(openTime*3/4 + rand.N(openTime/2))
}
