package console

import (
	"net/http"
	"time"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// trafficAnswer is how counted calls came in during the last hours.
type trafficAnswer struct {
	Points  []trafficPoint `json:"points"` // every hour
	Calls   int64          `json:"calls"`
	Latency *latencyAnswer `json:"latency"` // of all, null without any
}

type trafficPoint struct {
	At        time.Time      `json:"at"`
	Primary   int64          `json:"primary"`
	Secondary int64          `json:"secondary"`
	Latency   *latencyAnswer `json:"latency"` // null without calls
}

// latencyAnswer is in milliseconds: half of the calls took at most P50 in the service, nineteen of twenty at most P95.
type latencyAnswer struct {
	P50 int64 `json:"p50"`
	P95 int64 `json:"p95"`
}

func (c *console) readTraffic(r *http.Request, user visitor) (any, error) {
	to := c.Now().UTC().Truncate(time.Hour).Add(time.Hour)
	from := to.Add(-recentHours * time.Hour)
	hours, latency, err := c.Models.Traffic.Hours(r.Context(), user.subscription, from, to)
	if err != nil {
		return nil, err
	}
	answer := trafficAnswer{Points: make([]trafficPoint, recentHours), Latency: latencyOf(latency)}
	for i := range answer.Points {
		answer.Points[i].At = from.Add(time.Duration(i) * time.Hour)
	}
	for _, h := range hours {
		point := &answer.Points[h.Hour.Sub(from)/time.Hour]
		point.Primary, point.Secondary, point.Latency = h.ByKey[domain.SlotPrimary], h.ByKey[domain.SlotSecondary], latencyOf(h.Latency)
		answer.Calls += point.Primary + point.Secondary
	}
	return answer, nil
}

func latencyOf(l projections.Latency) *latencyAnswer {
	if l == (projections.Latency{}) {
		return nil
	}
	return &latencyAnswer{l.P50, l.P95}
}
