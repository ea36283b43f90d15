package eventstoredb

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/commands"
)

// availability is a circuit breaker. From the first call that the store leaves unanswered it is asked again and again,
// beside the callers, until it answers; while it has not done so for downAfter, calls fail at once. Callers are never the
// ones that try whether it is back: on a node that hangs each of them would wait for its whole deadline.
//
// A leader without a quorum still answers reads for a while. Whether it can write shows in appends alone, and nothing could
// be appended to try that is not wanted: while appends stay unanswered, one caller's is let through from time to time.
//
// The zero value is ready.
type availability struct {
	mu         sync.Mutex
	unanswered time.Time // when the first append was sent of those that are unanswered, with none answered since; zero if none
	tried      time.Time // when the last of them was given up, or one was let through to try
	refusing   bool      // appends fail at once, but for the one that is let through

	down     error     // why calls fail at once; nil while they are made
	answered time.Time // when a call was answered last
	calls    int       // under way
	since    time.Time // when the first of them began, if none was under way before
	full     error     // what the last append was refused with, if that was for want of room
	fullAt   time.Time
	stop     context.CancelFunc
	probing  sync.WaitGroup
	closed   bool
}

const (
	downAfter     = 3 * time.Second
	probeInterval = 250 * time.Millisecond
	probeTimeout  = 2 * time.Second
	// appendsDownAfter leaves time for a second attempt of the append that first finds out.
	appendsDownAfter    = 5 * time.Second
	appendTrialInterval = 2 * time.Second
	// appendsApart is how far apart two unanswered appends are no outage any more.
	appendsApart = 30 * time.Second
	// silentAfter is after how long without any answer calls that are under way make the store one that hangs, before the first of
	// them is given up.
	silentAfter = time.Second
	// fullFor is how long a store that has refused an append for want of room is held for full: nobody tries again on purpose.
	fullFor = 30 * time.Second
)

// known returns why the store is known to be down.
func (a *availability) known() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.down
}

// begin returns why a call is not to be made; otherwise end says that it is over.
func (a *availability) begin() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.down != nil {
		return a.down
	}
	if a.calls++; a.calls == 1 {
		a.since = time.Now()
	}
	return nil
}

func (a *availability) end() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.calls--
}

// trouble returns why the store does not do what it is for; nil while it does.
func (a *availability) trouble() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now, last := time.Now(), a.since
	if a.answered.After(last) {
		last = a.answered
	}
	switch {
	case a.down != nil:
		return a.down
	case a.refusing:
		return fmt.Errorf("%w: it has answered no append for %v", commands.ErrStoreDown, now.Sub(a.unanswered).Round(time.Second))
	case a.full != nil && now.Sub(a.fullAt) < fullFor:
		return fmt.Errorf("it has refused an append %v ago: %w", now.Sub(a.fullAt).Round(time.Second), a.full)
	case a.calls > 0 && now.Sub(last) > silentAfter:
		return fmt.Errorf("%w: it has answered none of %d calls for %v", commands.ErrStoreUnavailable, a.calls, now.Sub(last).Round(time.Second))
	}
	return nil
}

// observe takes note of how a call ended.
func (a *availability) observe(c *Client, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case !errors.Is(err, commands.ErrStoreUnavailable):
		a.answered = time.Now() // a refusal is an answer
	case errors.Is(err, context.Canceled) || a.stop != nil || a.closed:
	default:
		ctx, stop := context.WithCancel(context.Background())
		a.stop = stop
		a.probing.Go(func() { a.probe(ctx, c) })
	}
}

// admitAppend returns why an append is not to be sent.
func (a *availability) admitAppend() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := time.Now()
	if !a.refusing {
		return nil
	}
	if now.Sub(a.tried) < appendTrialInterval {
		return fmt.Errorf("%w: it answers reads, and has answered no append for %v", commands.ErrStoreDown, now.Sub(a.unanswered).Round(time.Second))
	}
	a.tried = now
	return nil
}

// observeAppend takes note of how an append ended that was sent at a time.
func (a *availability) observeAppend(c *Client, sent time.Time, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case err == nil, hasCode(err, esdb.ErrorCodeNotLeader): // the next one goes to another node
		if a.refusing {
			c.log.Info("event store takes appends again", "after", time.Since(a.unanswered).Round(time.Millisecond))
		}
		a.unanswered, a.refusing, a.full = time.Time{}, false, nil
	case status.Code(err) == codes.ResourceExhausted:
		a.full, a.fullAt = err, time.Now()
	case !errors.Is(err, commands.ErrStoreUnavailable), errors.Is(err, commands.ErrStoreDown), errors.Is(err, context.Canceled):
		// Neither says whether it can write.
	default:
		if a.unanswered.IsZero() || !a.refusing && sent.Sub(a.tried) > appendsApart {
			a.unanswered = sent
		}
		a.tried = time.Now()
		if !a.refusing && a.tried.Sub(a.unanswered) >= appendsDownAfter {
			a.refusing = true
			c.log.Warn("event store answers no appends; until it does, they are refused at once", "error", err)
		}
	}
}

// probe asks until the store answers.
func (a *availability) probe(ctx context.Context, c *Client) {
	began := time.Now()
	defer func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		if a.down != nil && ctx.Err() == nil {
			c.log.Info("event store answers again", "after", time.Since(began).Round(time.Millisecond))
		}
		a.stop()
		a.down, a.stop = nil, nil
	}()
	for ctx.Err() == nil {
		asked := time.Now()
		client, err := c.inner()
		if err == nil {
			asking, cancel := context.WithTimeout(ctx, probeTimeout)
			_, err = run(asking, c, head)
			cancel()
		}
		if !errors.Is(err, commands.ErrStoreUnavailable) || a.answeredSince(asked) {
			return
		}
		if time.Since(asked) >= probeTimeout {
			c.replace(client) // its connection is to a node that hangs; discovery may find another
			a.forgetAppends()
		}
		if time.Since(began) >= downAfter && a.known() == nil {
			a.declareDown(ctx, c, err)
		}
		_ = commands.Sleep(ctx, probeInterval)
	}
}

// forgetAppends lets appends through to a node that none was sent to yet.
func (a *availability) forgetAppends() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.unanswered, a.refusing = time.Time{}, false
}

func (a *availability) answeredSince(t time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.answered.After(t)
}

func (a *availability) declareDown(ctx context.Context, c *Client, err error) {
	looking, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	if found := c.diagnose(looking); found != nil {
		err = found
	}
	if ctx.Err() != nil {
		return
	}
	c.log.Warn("event store does not answer; until it does, what needs it is refused at once", "error", err)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = fmt.Errorf("%w: %w", commands.ErrStoreDown, err)
}

// close ends the probing.
func (a *availability) close() {
	a.mu.Lock()
	a.closed = true
	if a.stop != nil {
		a.stop()
	}
	a.mu.Unlock()
	a.probing.Wait()
}
