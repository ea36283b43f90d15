package commands

import (
	"math/rand/v2"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// meteringLine is what this node knows of the way to AWS. After a start, and after a call that was not answered, it is not
// trusted: one record is then sent as a probe, one with an unanswered attempt if there is any. So an outage leaves as few
// records as possible of which nobody knows whether they are billed; all others can be carried into a later hour.
type meteringLine struct {
	trusted  bool
	failures int
	until    time.Time // no call before
}

const (
	firstLinePause = time.Second
	lastLinePause  = 5 * time.Minute
)

// batch is how many records the next call may have.
func (l *meteringLine) batch() int {
	if l.trusted {
		return MaxUsageBatch
	}
	return 1
}

// heard takes the outcome of a whole call over.
func (l *meteringLine) heard(outcome domain.MeteringOutcome, now time.Time) {
	switch outcome {
	case domain.MeteringUnknown, domain.MeteringNotSent, domain.MeteringThrottled, domain.MeteringAccessRefused:
	default:
		*l = meteringLine{trusted: true}
		return
	}
	l.trusted = false
	pause := min(firstLinePause<<min(l.failures, 10), lastLinePause)
	if outcome == domain.MeteringAccessRefused {
		pause = lastLinePause // a person has to repair it
	}
	l.failures++
	l.until = now.Add(pause*3/4 + rand.N(pause/2))
}
