package awssim

import (
	"sync/atomic"
	"time"
)

// clock is the base clock shifted by a settable amount.
type clock struct {
	base  func() time.Time
	shift atomic.Int64 // nanoseconds
}

func (c *clock) now() time.Time { return c.base().Add(time.Duration(c.shift.Load())).UTC() }

func (c *clock) set(now time.Time) { c.shift.Store(int64(now.Sub(c.base()))) }

func (c *clock) reset() { c.shift.Store(0) }
