package domain

import (
	"fmt"
	"time"
)

// Month is a calendar month in UTC, the period of every quota.
type Month struct {
	Year  int
	Month time.Month
}

// MonthOf returns the month that contains t, whatever zone t is in.
func MonthOf(t time.Time) Month {
	u := t.UTC()
	return Month{Year: u.Year(), Month: u.Month()}
}

// ParseMonth reads "2026-11".
func ParseMonth(text string) (Month, error) {
	t, err := time.Parse("2006-01", text)
	if err != nil {
		return Month{}, Invalid("month", "%q is not a month. Write it as 2026-11.", text)
	}
	return MonthOf(t), nil
}

// Start is the first instant of the month.
func (m Month) Start() time.Time { return time.Date(m.Year, m.Month, 1, 0, 0, 0, 0, time.UTC) }

// End is the first instant after the month: when the quota is full again.
func (m Month) End() time.Time { return m.Next().Start() }

// Next is the month after m.
func (m Month) Next() Month { return MonthOf(m.Start().AddDate(0, 1, 0)) }

// Previous is the month before m.
func (m Month) Previous() Month { return MonthOf(m.Start().AddDate(0, -1, 0)) }

// String writes the month as 2026-11.
func (m Month) String() string { return fmt.Sprintf("%04d-%02d", m.Year, m.Month) }

// Compact writes the month as 202611, as stream names have it.
func (m Month) Compact() string { return fmt.Sprintf("%04d%02d", m.Year, m.Month) }

// MarshalText writes the month as 2026-11.
func (m Month) MarshalText() ([]byte, error) { return []byte(m.String()), nil }

// UnmarshalText reads 2026-11.
func (m *Month) UnmarshalText(text []byte) error {
	parsed, err := ParseMonth(string(text))
	if err != nil {
		return err
	}
	*m = parsed
	return nil
}
