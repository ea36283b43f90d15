package engine

import (
	"cmp"
	"context"
	"fmt"
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
	StateCatchingUp State = "catching up" // maintained, behind the log
	StateFailing    State = "failing"     // maintained, but its batches fail for now
	StateStopped    State = "stopped"     // a poisonous event stands in the way
	StateIdle       State = "idle"        // no node maintains it
	StateBuilding   State = "building"    // being built beside the running one
	StateAbandoned  State = "abandoned"   // building was interrupted; the next rebuild takes over
)

// Status is how a read model stands.
type Status struct {
	Name      string    `json:"name"`
	Version   int       `json:"version"`
	State     State     `json:"state"`
	Position  uint64    `json:"position"`  // the log is covered up to here
	Head      uint64    `json:"head"`      // where the log ends
	Lag       uint64    `json:"lag"`       // Head less Position
	LagFor    Duration  `json:"lagFor"`    // how long ago the last event applied was recorded, 0 without a lag
	Parked    int64     `json:"parked"`    // events gone past because they could not be applied
	Skipped   int64     `json:"skipped"`   // events gone past because an operator said so
	Error     string    `json:"error"`     // why it does not go on
	UpdatedAt time.Time `json:"updatedAt"` // of the last commit

	StoppedAt *StoppedEvent `json:"stoppedAt,omitempty"` // what it cannot go past; nil when it is not stopped
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
)

// Statuses returns how every read model stands, on whichever node it is maintained, also those under construction.
//
// None is live by its own word: it must have come to where the log ended when it was asked. Where the log has just gone on by
// events of others, it does so a moment later, and Statuses waits for that.
func (e *Engine) Statuses(ctx context.Context) ([]Status, error) {
	head, err := e.Source.Head(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the end of the log: %w", err)
	}
	for asked := time.Now(); ; {
		statuses, moment, err := e.statuses(ctx, head)
		if err != nil {
			return nil, err
		}
		if !moment || time.Since(asked) >= placeTimeout {
			return statuses, e.findBeyond(ctx, statuses)
		}
		if err := commands.Sleep(ctx, placeLook); err != nil {
			return nil, err
		}
	}
}

// statuses also returns whether one that was live lacks the end of the log, for which it may need a moment.
func (e *Engine) statuses(ctx context.Context, head uint64) (statuses []Status, moment bool, err error) {
	held, err := lease.Held(ctx, e.Pool)
	if err != nil {
		return nil, false, err
	}
	rows, _ := e.Pool.Query(ctx, `
		select name, version, position, event_at, now(), caught_up, stopped, coalesce(error, ''), updated_at,
			case when stopped then stopped_at end, parked, skipped
		from projection_checkpoints, lateral (
			select count(*) filter (where why is null) as parked, count(*) filter (where why is not null) as skipped
			from projection_parked where projection_parked.name = projection_checkpoints.name
		) past order by name`)
	statuses, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (Status, error) {
		s := Status{Head: head}
		var position int64
		var eventAt *time.Time
		var now time.Time
		var caughtUp, stopped bool
		err := row.Scan(&s.Name, &s.Version, &position, &eventAt, &now, &caughtUp, &stopped, &s.Error, &s.UpdatedAt, &s.StoppedAt, &s.Parked, &s.Skipped)
		s.Position = uint64(max(position, 0))
		s.State = stateOf(s, held(s.Name), caughtUp, stopped)
		if head > s.Position {
			s.Lag = head - s.Position
			if eventAt != nil {
				s.LagFor = Duration(max(0, now.Sub(*eventAt)))
			}
			moment = moment || s.State == StateCatchingUp && caughtUp
		}
		return s, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("read the checkpoints: %w", err)
	}
	return statuses, moment, nil
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

func stateOf(s Status, maintained, caughtUp, stopped bool) State {
	shadow := strings.HasSuffix(s.Name, rebuildSuffix)
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
	case caughtUp && s.Position >= s.Head:
		return StateLive
	}
	return StateCatchingUp
}
