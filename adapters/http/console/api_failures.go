package console

import (
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// recentHours is how far back charts by the hour go.
const recentHours = 48

type failuresAnswer struct {
	Points []failurePoint      `json:"points"` // every hour, or every day of a month
	Calls  int64               `json:"calls"`
	Kinds  []failureKindAnswer `json:"kinds"`
	Newest []failedCallAnswer  `json:"newest"` // of a month's screen
	Since  string              `json:"since"`  // the day before which nothing is kept any more
}

type failurePoint struct {
	At      time.Time `json:"at"`
	Refused int64     `json:"refused"` // for the request, 4xx
	Faults  int64     `json:"faults"`  // for the service, 5xx
}

type failureKindAnswer struct {
	Status    int            `json:"status"`
	Code      string         `json:"code"`
	Message   string         `json:"message"`
	KeySlot   domain.KeySlot `json:"keySlot"`
	KeyPrefix string         `json:"keyPrefix"`
	Calls     int64          `json:"calls"`
	LastAt    time.Time      `json:"lastAt"`
}

type failedCallAnswer struct {
	At        time.Time      `json:"at"`
	RequestID uuid.UUID      `json:"requestId"`
	Status    int            `json:"status"`
	Code      string         `json:"code"`
	Message   string         `json:"message"`
	KeySlot   domain.KeySlot `json:"keySlot"`
	KeyPrefix string         `json:"keyPrefix"`
}

// readFailures tells of the calls that failed in the last hours, or in a month and one by one.
func (c *console) readFailures(r *http.Request, user visitor) (any, error) {
	now := c.Now().UTC()
	to := now.Truncate(time.Hour).Add(time.Hour)
	from, step := to.Add(-recentHours*time.Hour), time.Hour
	text := r.URL.Query().Get("month")
	if text != "" {
		month, err := domain.ParseMonth(text)
		if err != nil {
			return nil, err
		}
		from, to, step = month.Start(), month.End(), 24*time.Hour
	}
	hours, err := c.Models.Failures.Hours(r.Context(), user.customer, from, to)
	if err != nil {
		return nil, err
	}
	kinds, err := c.Models.Failures.Kinds(r.Context(), user.customer, from, to)
	if err != nil {
		return nil, err
	}
	answer := failuresAnswer{
		Points: failurePoints(hours, from, to, step), Kinds: make([]failureKindAnswer, 0, len(kinds)), Newest: []failedCallAnswer{},
		Since: now.Add(-counting.FailedCallsKept).Format(time.DateOnly),
	}
	for _, k := range kinds {
		answer.Kinds = append(answer.Kinds, failureKindAnswer{k.Status, k.Code, k.Message, k.KeySlot, k.KeyPrefix, k.Calls, k.LastAt.UTC()})
		answer.Calls += k.Calls
	}
	if text == "" {
		return answer, nil
	}
	newest, err := c.Models.Failures.Newest(r.Context(), user.customer)
	for _, f := range newest {
		answer.Newest = append(answer.Newest, failedCallAnswer{f.At.UTC(), f.RequestID, f.Status, f.Code, f.Message, f.KeySlot, f.KeyPrefix})
	}
	return answer, err
}

// failurePoints returns every step of a time, also those in which nothing failed.
func failurePoints(hours []counting.FailedHour, from, to time.Time, step time.Duration) []failurePoint {
	points := make([]failurePoint, int(to.Sub(from)/step))
	for i := range points {
		points[i].At = from.Add(time.Duration(i) * step)
	}
	for _, h := range hours {
		point := &points[h.Hour.Sub(from)/step]
		point.Refused += h.Refused
		point.Faults += h.Faults
	}
	return points
}
