package domain_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestIdempotencyKeyStandsForADay(t *testing.T) {
	t.Parallel()
	counted := domain.CheckCompleted{CheckID: id(1), RequestDigest: "digest", CompletedAt: noon}
	for after, want := range map[time.Duration]bool{0: true, 24*time.Hour - 1: true, 24 * time.Hour: false, -time.Minute: true} {
		if got := counted.Stands(noon.Add(after)); got != want {
			t.Errorf("after %s it stands: %t, want %t", after, got, want)
		}
	}
}

func TestRepetitionGetsTheFirstAnswer(t *testing.T) {
	t.Parallel()
	counted := domain.CheckCompleted{CheckID: id(1), RequestDigest: "digest", CompletedAt: noon}
	if got, err := counted.Repeat("digest"); err != nil || got != counted {
		t.Errorf("the same request: %+v, %v", got, err)
	}
	if got, err := counted.Repeat("another"); !errors.Is(err, domain.ErrIdempotencyConflict) || got != (domain.CheckCompleted{}) {
		t.Errorf("another request: %+v, %v", got, err)
	}
}

func TestIdempotencyKeysReachBackADayAndAsFarAheadAsClocks(t *testing.T) {
	t.Parallel()
	november, december := domain.Month{Year: 2026, Month: time.November}, domain.Month{Year: 2026, Month: time.December}
	for after, want := range map[time.Duration][]domain.Month{
		-time.Hour - 1: {november}, -time.Hour: {december, november}, -1: {december, november}, 0: {december, november},
		24*time.Hour - 1: {december, november}, 24 * time.Hour: {december},
	} {
		if got := domain.IdempotencyMonths(december.Start().Add(after), time.Hour); !slices.Equal(got, want) {
			t.Errorf("%s into December: %v, want %v", after, got, want)
		}
	}
}
