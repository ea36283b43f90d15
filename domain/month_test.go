package domain_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestMonth(t *testing.T) {
	t.Parallel()
	december := domain.MonthOf(time.Date(2027, 1, 1, 5, 0, 0, 0, time.FixedZone("east", 19800))) // still December in UTC
	if december != (domain.Month{Year: 2026, Month: time.December}) {
		t.Fatalf("%v", december)
	}
	for got, want := range map[string]string{
		december.String(): "2026-12", december.Compact(): "202612", december.Next().String(): "2027-01", december.Previous().String(): "2026-11",
		domain.Month{Year: 2026, Month: time.March}.Previous().String(): "2026-02", // which is shorter than March
		december.Start().Format(time.RFC3339):                           "2026-12-01T00:00:00Z", december.End().Format(time.RFC3339): "2027-01-01T00:00:00Z",
	} {
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
}

func TestMonthAsText(t *testing.T) {
	t.Parallel()
	var month domain.Month
	if err := json.Unmarshal([]byte(`"2026-11"`), &month); err != nil || month != (domain.Month{Year: 2026, Month: time.November}) {
		t.Errorf("%v, %v", month, err)
	}
	if text, err := json.Marshal(month); err != nil || string(text) != `"2026-11"` {
		t.Errorf("%s, %v", text, err)
	}
	for _, bad := range []string{"", "2026", "2026-13", "2026-11-01"} {
		if err := month.UnmarshalText([]byte(bad)); !errors.Is(err, domain.Invalid("month", "")) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if month != (domain.Month{Year: 2026, Month: time.November}) {
		t.Errorf("what is no month has become %v", month)
	}
}
