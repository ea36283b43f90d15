package domain

import (
	"fmt"
	"math"
	"time"
)

const (
	// MaxUsageQuantity is the largest quantity AWS takes in one usage record (a 32-bit integer).
	MaxUsageQuantity = math.MaxInt32

	// usageMaxAge is how long after its timestamp a usage record is accepted.
	usageMaxAge = 24 * time.Hour
	// usageMonthGrace is how far into a new month records of the month before are accepted.
	usageMonthGrace = 6 * time.Hour

	usageHourLayout = "2006010215"
)

// UsageHour returns the start of the UTC hour that t lies in. AWS keeps one quantity per licence, dimension and such hour.
func UsageHour(t time.Time) time.Time { return t.UTC().Truncate(time.Hour) }

// UsageHourKey names the UTC hour of t as yyyymmddhh, the form used in stream names.
func UsageHourKey(t time.Time) string { return t.UTC().Format(usageHourLayout) }

// ParseUsageHourKey returns the start of the hour that a key made by UsageHourKey names.
func ParseUsageHourKey(key string) (time.Time, error) {
	t, err := time.Parse(usageHourLayout, key)
	if err != nil {
		return time.Time{}, fmt.Errorf("hour key %q is not of the form yyyymmddhh", key)
	}
	return t, nil
}

// UsageTimestamp returns the one timestamp under which an hour of a licence is reported: the start of the hour, or
// the start of the agreement when that falls inside the hour, because AWS refuses usage stamped before it. The
// result is in whole seconds and always inside the hour: a stamp in the next hour would take that hour's only record.
func UsageTimestamp(hour, agreementStart time.Time) (time.Time, error) {
	hour = UsageHour(hour)
	end := hour.Add(time.Hour)
	if !agreementStart.Before(end) {
		return time.Time{}, fmt.Errorf("hour %s ended before the agreement started at %s", UsageHourKey(hour), agreementStart.UTC().Format(time.RFC3339))
	}
	if !agreementStart.After(hour) {
		return hour, nil
	}
	start := agreementStart.UTC()
	if whole := start.Truncate(time.Second); !whole.Equal(start) {
		start = whole.Add(time.Second)
		if !start.Before(end) {
			start = whole
		}
	}
	return start, nil
}

// UsageDeadline returns the first moment at which AWS no longer accepts a record stamped ts: 24 hours later, or 06:00
// UTC on the first day of the following month, whichever comes first.
func UsageDeadline(ts time.Time) time.Time {
	ts = ts.UTC()
	age := ts.Add(usageMaxAge)
	month := time.Date(ts.Year(), ts.Month()+1, 1, 0, 0, 0, 0, time.UTC).Add(usageMonthGrace)
	if month.Before(age) {
		return month
	}
	return age
}

// UsageQuantity returns n as AWS carries it, or an error when it does not fit a usage record.
func UsageQuantity(n int64) (int32, error) {
	if n < 0 || n > MaxUsageQuantity {
		return 0, fmt.Errorf("usage quantity %d is outside 0 to %d", n, MaxUsageQuantity)
	}
	return int32(n), nil
}
