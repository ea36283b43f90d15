package domain_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
	"pgregory.net/rapid"
)

func at(t *testing.T, s string) time.Time {
	t.Helper()
	v, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestUsageDeadline(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, ts, want string }{
		{"middle of a month", "2026-11-10T13:00:00Z", "2026-11-11T13:00:00Z"},
		{"last hour of a month", "2026-03-31T23:00:00Z", "2026-04-01T06:00:00Z"},
		{"last day, early enough for 24 hours", "2026-03-31T05:00:00Z", "2026-04-01T05:00:00Z"},
		{"last day, exactly both", "2026-03-31T06:00:00Z", "2026-04-01T06:00:00Z"},
		{"last day, just after both", "2026-03-31T07:00:00Z", "2026-04-01T06:00:00Z"},
		{"first hour of a month", "2026-04-01T00:00:00Z", "2026-04-02T00:00:00Z"},
		{"grace hours of the first day belong to the new month", "2026-04-01T05:59:59Z", "2026-04-02T05:59:59Z"},
		{"end of a year", "2026-12-31T22:00:00Z", "2027-01-01T06:00:00Z"},
		{"leap day", "2028-02-29T23:00:00Z", "2028-03-01T06:00:00Z"},
		{"another zone", "2026-04-01T08:00:00+09:00", "2026-04-01T06:00:00Z"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := domain.UsageDeadline(at(t, tt.ts)); !got.Equal(at(t, tt.want)) || got.Location() != time.UTC {
				t.Errorf("UsageDeadline(%s) = %s, want %s", tt.ts, got, tt.want)
			}
		})
	}
}

func TestUsageTimestamp(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, hour, start, want string }{
		{"agreement older than the hour", "2026-11-10T13:00:00Z", "2026-11-01T00:00:00Z", "2026-11-10T13:00:00Z"},
		{"agreement starts with the hour", "2026-11-10T13:00:00Z", "2026-11-10T13:00:00Z", "2026-11-10T13:00:00Z"},
		{"agreement starts inside", "2026-11-10T13:00:00Z", "2026-11-10T13:17:05Z", "2026-11-10T13:17:05Z"},
		{"part of a second is rounded up", "2026-11-10T13:00:00Z", "2026-11-10T13:17:05.001Z", "2026-11-10T13:17:06Z"},
		{"but never into the next hour", "2026-11-10T13:00:00Z", "2026-11-10T13:59:59.5Z", "2026-11-10T13:59:59Z"},
		{"any moment of the hour names it", "2026-11-10T13:44:10Z", "2026-11-01T00:00:00Z", "2026-11-10T13:00:00Z"},
		{"agreement starts with the next hour", "2026-11-10T13:00:00Z", "2026-11-10T14:00:00Z", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := domain.UsageTimestamp(at(t, tt.hour), at(t, tt.start))
			if tt.want == "" {
				if err == nil {
					t.Fatalf("UsageTimestamp = %s, want an error", got)
				}
				return
			}
			if err != nil || !got.Equal(at(t, tt.want)) {
				t.Errorf("UsageTimestamp = %s, %v, want %s", got, err, tt.want)
			}
		})
	}
}

func TestUsageTimestampStaysInItsHour(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		hour := time.Unix(rapid.Int64Range(0, 1<<33).Draw(t, "hour"), 0)
		start := time.Unix(0, hour.UnixNano()+rapid.Int64Range(-int64(3*time.Hour), int64(3*time.Hour)).Draw(t, "start"))
		got, err := domain.UsageTimestamp(hour, start)
		if err != nil {
			if start.Before(domain.UsageHour(hour).Add(time.Hour)) {
				t.Fatalf("refused an agreement that started before the end of the hour: %v", err)
			}
			return
		}
		if domain.UsageHourKey(got) != domain.UsageHourKey(hour) || got.Nanosecond() != 0 {
			t.Fatalf("timestamp %s is not a whole second of hour %s", got, domain.UsageHourKey(hour))
		}
	})
}

func TestUsageHourKey(t *testing.T) {
	t.Parallel()
	key := domain.UsageHourKey(at(t, "2026-11-10T00:30:00+09:00"))
	if key != "2026110915" {
		t.Errorf("UsageHourKey = %s, want 2026110915", key)
	}
	back, err := domain.ParseUsageHourKey(key)
	if err != nil || !back.Equal(at(t, "2026-11-09T15:00:00Z")) {
		t.Errorf("ParseUsageHourKey = %s, %v", back, err)
	}
	for _, bad := range []string{"", "20261109", "2026110924", "2026-11-09", "x026110915", "20261109150"} {
		if _, err := domain.ParseUsageHourKey(bad); err == nil {
			t.Errorf("ParseUsageHourKey(%q) accepted", bad)
		}
	}
}

func TestUsageQuantity(t *testing.T) {
	t.Parallel()
	for n, ok := range map[int64]bool{-1: false, 0: true, 2147483647: true, 2147483648: false} {
		got, err := domain.UsageQuantity(n)
		if (err == nil) != ok || (ok && int64(got) != n) {
			t.Errorf("UsageQuantity(%d) = %d, %v", n, got, err)
		}
	}
}
