package engine

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// lateBelieved is how long it is believed which read models are late: screens want to know with every read.
const lateBelieved = 5 * time.Second

// Lateness tells screens which read models have a problem: what they show has been missing something for longer than a moment.
type Lateness struct {
	engine *Engine
	late   atomic.Pointer[map[string]bool]

	asking sync.Mutex // held by the only one who asks; others believe the last answer meanwhile
	asked  time.Time
}

// NewLateness returns the lateness of an engine's read models, whichever nodes maintain them.
func NewLateness(e *Engine) *Lateness {
	l := &Lateness{engine: e}
	l.late.Store(new(map[string]bool))
	return l
}

// Late returns whether a read model has a problem. Where the log or Postgres does not answer, none is late: a log that takes no
// events has none that a screen lacks, and without Postgres there is no screen.
func (l *Lateness) Late(ctx context.Context, readModel string) bool {
	if l.asking.TryLock() {
		if time.Since(l.asked) > lateBelieved {
			late := l.ask(ctx)
			l.late.Store(&late)
			l.asked = time.Now()
		}
		l.asking.Unlock()
	}
	return (*l.late.Load())[readModel]
}

// ask does not end with the request that asks, because others believe the answer.
func (l *Lateness) ask(ctx context.Context) map[string]bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	statuses, err := l.engine.StatusesNow(ctx)
	if err != nil {
		l.engine.Log.DebugContext(ctx, "it is not known which read models are late", "error", err)
		return nil
	}
	late := map[string]bool{}
	for _, s := range statuses {
		late[s.Name] = s.Problem() != ""
	}
	return late
}
