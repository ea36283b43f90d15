package awssim

import (
	"sync"
	"time"
)

// regionalRate bounds the calls of an operation in each Region, as AWS does for an account: to so many a second, and to as many
// at once.
type regionalRate struct {
	perSecond int
	mu        sync.Mutex
	taken     map[string]time.Time // until when each Region's calls have been taken up
}

func (r *regionalRate) allow(region string, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	until, latest := r.taken[region], now.Add(time.Second)
	if until.Before(now) || until.After(latest) { // later than ever allowed: the clock was set back
		until = now
	}
	until = until.Add(time.Second / time.Duration(r.perSecond))
	if until.After(latest) {
		return false
	}
	r.taken[region] = until
	return true
}
