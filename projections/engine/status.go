package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/projections/lease"
)

// State is what a read model is doing.
type State string

// The states of a read model.
const (
	StateLive       State = "live"        // maintained, and it shows the log up to its end
	StateCatchingUp State = "catching up" // maintained, reading what was recorded before
	StateBehind     State = "behind"      // maintained, was live and now lacks the end of the log
	StateStalled    State = "stalled"     // held by a node, and not moving although the log has gone on: the node hangs, or waits for a lock
	StateFailing    State = "failing"     // maintained, but its batches fail for now
	StateStopped    State = "stopped"     // a poisonous event stands in the way
	StateIdle       State = "idle"        // no node maintains it
	StateBuilding   State = "building"    // being built beside the running one
	StateAbandoned  State = "abandoned"   // building was interrupted; the next rebuild takes over
)

// stalledAfter is how old the last successful pass of a read model may be while it is behind the log.
const stalledAfter = 10 * time.Second

// Status is how a read model stands. What it lacks is measured by who asks, against the log; nobody who maintains it is believed.
type Status struct {
	Name      string    `json:"name"`
	Version   int       `json:"version"`
	State     State     `json:"state"`
	Position  uint64    `json:"position"`  // the log is covered up to here
	Head      uint64    `json:"head"`      // where the log ends
	Lag       uint64    `json:"lag"`       // Head less Position
	LagFor    Duration  `json:"lagFor"`    // age of the oldest event that is not covered, 0 without a lag
	PassedAgo Duration  `json:"passedAgo"` // age of the last pass: events were applied, or its maintainer found it at the end of the log
	Parked    int64     `json:"parked"`    // events gone past because they could not be applied
	Skipped   int64     `json:"skipped"`   // events gone past because an operator said so
	Error     string    `json:"error"`     // why it does not go on
	UpdatedAt time.Time `json:"updatedAt"` // of the last commit

	Holder    string        `json:"holder"`              // host and process that maintain it; empty when none does
	HeldSince *time.Time    `json:"heldSince,omitempty"` // nil when none does
	StoppedAt *StoppedEvent `json:"stoppedAt,omitempty"` // what it cannot go past; nil when it is not stopped
}

// mostLag is how far in time a read model may be behind before that is a problem.
const mostLag = 30 * time.Second

// Problem returns why the read model does not show what it should, "" when it does. One that is being built serves nobody.
func (s Status) Problem() string {
	switch {
	case strings.HasSuffix(s.Name, rebuildSuffix):
		return ""
	case s.State == StateStopped, s.State == StateFailing, s.State == StateStalled, time.Duration(s.LagFor) > mostLag:
		return fmt.Sprintf("%s is %s, %v behind the log%s", s.Name, s.State, time.Duration(s.LagFor).Round(time.Second), prefixed(": ", s.Error))
	}
	return ""
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}

// Duration is in seconds in JSON.
type Duration time.Duration

// MarshalJSON writes seconds.
func (d Duration) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "%.3f", time.Duration(d).Seconds()), nil
}

// UnmarshalJSON reads seconds.
func (d *Duration) UnmarshalJSON(text []byte) error {
	seconds, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		return fmt.Errorf("%s is not a number of seconds", text)
	}
	*d = Duration(seconds * float64(time.Second))
	return nil
}

// ReadModel returns the name of the read model that the status is of, also for one that is being built.
func (s Status) ReadModel() string { return strings.TrimSuffix(s.Name, rebuildSuffix) }

// CaughtUp returns whether the read model shows everything that the log holds.
func (s Status) CaughtUp() bool { return s.State == StateLive }

const (
	// placeTimeout is how long a read model that is live may take to note that the log has gone on by events of others.
	placeTimeout = 2 * time.Second
	placeLook    = 50 * time.Millisecond
	// passTimeout is for noting which read models are at the end of the log.
	passTimeout = 5 * time.Second
)

// Statuses returns how every read model stands, on whichever node it is maintained, also those under construction.
//
// None is live by its own word: it must have come to where the log ended when it was asked. Where the log has just gone on by
// events of others, it does so a moment later, and Statuses waits for that.
func (e *Engine) Statuses(ctx context.Context) ([]Status, error) {
	return e.statusesWithin(ctx, placeTimeout)
}

// StatusesNow is Statuses without the wait: one that is live may be behind for the moment.
func (e *Engine) StatusesNow(ctx context.Context) ([]Status, error) { return e.statusesWithin(ctx, 0) }

func (e *Engine) statusesWithin(ctx context.Context, timeout time.Duration) ([]Status, error) {
	head, err := e.Source.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the end of the log: %w", err)
	}
	behind := func(s Status) bool { return s.State == StateBehind }
	for asked := time.Now(); ; {
		statuses, err := e.statuses(ctx, head)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(statuses, behind) || time.Since(asked) >= timeout {
			return statuses, errors.Join(e.tellAge(ctx, statuses), e.findBeyond(ctx, statuses))
		}
		if err := commands.Sleep(ctx, placeLook); err != nil {
			return nil, err
		}
	}
}

// statuses returns how read models stand against a log that ends at head, but for the age of what they lack.
func (e *Engine) statuses(ctx context.Context, head uint64) ([]Status, error) {
	holders, err := lease.Holders(ctx, e.Pool)
	if err != nil {
		return nil, err
	}
	rows, _ := e.Pool.Query(ctx, `
		select name, version, position, extract(epoch from now() - passed_at), caught_up, stopped, coalesce(error, ''), updated_at,
			case when stopped then stopped_at end, parked, skipped
		from projection_checkpoints, lateral (
			select count(*) filter (where why is null) as parked, count(*) filter (where why is not null) as skipped
			from projection_parked where projection_parked.name = projection_checkpoints.name
		) past order by name`)
	statuses, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Status, error) {
		s := Status{Head: head}
		var position int64
		var passedAgo float64
		var caughtUp, stopped bool
		err := row.Scan(&s.Name, &s.Version, &position, &passedAgo, &caughtUp, &stopped, &s.Error, &s.UpdatedAt, &s.StoppedAt, &s.Parked, &s.Skipped)
		s.Position = uint64(max(position, 0))
		s.Lag = head - min(s.Position, head)
		s.PassedAgo = Duration(max(0, passedAgo) * float64(time.Second))
		if holder, held := holders[s.Name]; held {
			s.Holder, s.HeldSince = holder.Node, &holder.Since
		}
		s.State = stateOf(s, caughtUp, stopped)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints: %w", err)
	}
	return statuses, nil
}

// tellAge says of those that lack something of the log how old that is.
func (e *Engine) tellAge(ctx context.Context, statuses []Status) error {
	ages := map[uint64]time.Duration{}
	for n := range statuses {
		s := &statuses[n]
		if s.Lag == 0 {
			continue
		}
		age, known := ages[s.Position]
		if !known {
			recorded, err := e.Source.RecordedBehind(ctx, s.Position)
			if err != nil {
				return fmt.Errorf("read what is behind position %d: %w", s.Position, err)
			}
			if !recorded.IsZero() {
				age = max(0, time.Since(recorded))
			}
			ages[s.Position] = age
		}
		s.LagFor = Duration(age)
	}
	return nil
}

// findBeyond marks what has come further than the log reaches. The end is read again, because read models go on meanwhile.
func (e *Engine) findBeyond(ctx context.Context, statuses []Status) error {
	beyond := func(s Status) bool { return s.Position > s.Head }
	if !slices.ContainsFunc(statuses, beyond) {
		return nil
	}
	head, err := e.Source.Head(ctx)
	if err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	for n := range statuses {
		s := &statuses[n]
		if s.Position > head {
			s.State = StateFailing
			s.Error = cmp.Or(s.Error, otherLogAdvice(s.ReadModel(), checkpoint{position: int64(s.Position)}.within(s.Name, head)))
		}
	}
	return nil
}

func stateOf(s Status, caughtUp, stopped bool) State {
	shadow, maintained := strings.HasSuffix(s.Name, rebuildSuffix), s.Holder != ""
	switch {
	case stopped:
		return StateStopped
	case shadow && maintained:
		return StateBuilding
	case shadow:
		return StateAbandoned
	case !maintained:
		return StateIdle
	case s.Error != "":
		return StateFailing
	case caughtUp && s.Lag == 0:
		return StateLive
	case s.Lag > 0 && time.Duration(s.PassedAgo) > stalledAfter:
		return StateStalled
	case caughtUp:
		return StateBehind
	}
	return StateCatchingUp
}

// watchEnd notes, until ctx ends, of each read model that is maintained here and is at the end of the log, that it is: what has
// nothing to apply has passed as well as what applies events.
func (e *Engine) watchEnd(ctx context.Context) {
	for commands.Sleep(ctx, e.Recheck) == nil {
		if err := e.notePasses(ctx); err != nil && ctx.Err() == nil {
			e.Log.DebugContext(ctx, "it cannot be noted which read models are at the end of the log", "error", err)
		}
	}
}

func (e *Engine) notePasses(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	head, err := e.Source.Head(ctx)
	if err != nil {
		return err
	}
	var names []string
	e.maintained.Range(func(name, _ any) bool {
		names = append(names, name.(string))
		return true
	})
	// What is being changed is left out: waiting for one would hold up the others.
	_, err = e.Pool.Exec(ctx, `
		update projection_checkpoints set passed_at = now() where name in (
			select name from projection_checkpoints where name = any ($1) and position >= $2 and not stopped and error is null
			for update skip locked)`, names, int64(min(head, math.MaxInt64)))
	return err
}
