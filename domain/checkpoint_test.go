package domain_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestCheckpointsAreDueByTheMinuteAndAtTheEndOfAMonth(t *testing.T) {
	t.Parallel()
	december := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	signedAt := func(at time.Time) []domain.Event {
		return []domain.Event{domain.CheckpointSigned{Size: 7, SignedAt: noon.Add(-24 * time.Hour)}, domain.CheckpointSigned{Size: 9, SignedAt: at}}
	}
	for name, tt := range map[string]struct {
		given []domain.Event
		at    time.Time
		want  bool
	}{
		"none was ever signed":               {nil, noon, true},
		"one is as old as the interval":      {signedAt(noon), noon.Add(time.Minute), true},
		"one is younger than the interval":   {signedAt(noon), noon.Add(time.Minute - 1), false},
		"the month has ended since":          {signedAt(december.Add(-time.Second)), december, true},
		"the month is about to end":          {signedAt(december.Add(-time.Second)), december.Add(-1), false},
		"the month ends in other time zones": {signedAt(december.Add(-time.Second)), december.Add(-1).In(time.FixedZone("east", 3600)), false},
		"the clock has stepped back":         {signedAt(noon), noon.Add(-time.Hour), false},
		"another event stands in between":    {append(signedAt(noon), domain.HourSealed{}), noon.Add(time.Second), false},
	} {
		var state domain.Checkpoints
		for _, event := range tt.given {
			state = state.Fold(event)
		}
		if got := state.Due(tt.at); got != tt.want {
			t.Errorf("%s: due %t, want %t", name, got, tt.want)
		}
		if len(tt.given) > 0 && state.Last.Size != 9 {
			t.Errorf("%s: the last checkpoint has %d leaves", name, state.Last.Size)
		}
	}
}

// The first checkpoint behind a month's end is to hold all of the month, for as long as that is worth waiting for.
func TestAMonthEndsForCheckpoints(t *testing.T) {
	t.Parallel()
	december := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	for name, tt := range map[string]struct {
		last domain.CheckpointSigned
		at   time.Time
		want bool
	}{
		"none was ever signed":     {domain.CheckpointSigned{}, time.Time{}.AddDate(0, 1, 0), false},
		"the month is about to":    {domain.CheckpointSigned{Size: 1, SignedAt: noon}, december.Add(-1), false},
		"it has":                   {domain.CheckpointSigned{Size: 1, SignedAt: noon}, december, true},
		"almost a minute ago":      {domain.CheckpointSigned{Size: 1, SignedAt: noon}, december.Add(time.Minute - 1), true},
		"a minute ago":             {domain.CheckpointSigned{Size: 1, SignedAt: noon}, december.Add(time.Minute), false},
		"and one was signed since": {domain.CheckpointSigned{Size: 1, SignedAt: december}, december.Add(time.Second), false},
	} {
		if got := (domain.Checkpoints{Last: tt.last}).EndsMonth(tt.at); got != tt.want {
			t.Errorf("%s: %t, want %t", name, got, tt.want)
		}
	}
}
