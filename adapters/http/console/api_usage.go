package console

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

type usageAnswer struct {
	Months   []monthAnswer `json:"months"`   // newest first, with the current one even when nothing was counted in it
	Provable bool          `json:"provable"` // proofs of months can be downloaded
}

func (c *console) readUsage(r *http.Request, user visitor) (any, error) {
	months, err := c.months(r, user)
	if err != nil || c.Proofs == nil {
		return usageAnswer{Months: months}, err
	}
	provable, err := c.Proofs.Ready(r.Context())
	return usageAnswer{months, provable}, err
}

func (c *console) months(r *http.Request, user visitor) ([]monthAnswer, error) {
	row, err := c.subscription(r, user.subscription)
	if err != nil {
		return nil, err
	}
	used, err := c.Models.Usage.Months(r.Context(), user.subscription)
	if err != nil {
		return nil, err
	}
	credits, err := c.Models.Metering.Credits(r.Context(), user.subscription)
	if err != nil {
		return nil, err
	}
	credited := map[domain.Month]int64{}
	for _, credit := range credits {
		credited[credit.Month] = credit.Calls
	}
	current := domain.MonthOf(c.Now())
	answers := make([]monthAnswer, 0, len(used)+1)
	if len(used) == 0 || used[0].Month != current {
		answers = append(answers, c.monthOf(projections.MonthlyUsage{Month: current}, row.Limit, row.Plan))
	}
	for _, m := range used {
		if m.Month == current { // a plan changed since the newest call counts for the whole month
			m.Limit, m.Plan = row.Limit, row.Plan
		}
		answer := c.monthOf(m, m.Limit, m.Plan)
		if m.Overage > 0 {
			reported, err := c.Models.Metering.Reported(r.Context(), user.subscription, m.Month)
			if err != nil {
				return nil, err
			}
			answer.Reported, answer.Credited = reported.Accepted, credited[m.Month]
		}
		answers = append(answers, answer)
	}
	return answers, nil
}

type monthScreenAnswer struct {
	Month monthAnswer `json:"month"`
	Days  []dayAnswer `json:"days"`
}

func (c *console) readMonth(r *http.Request, user visitor) (any, error) {
	month, err := domain.ParseMonth(mux.Vars(r)["month"])
	if err != nil {
		return nil, err
	}
	months, err := c.months(r, user)
	if err != nil {
		return nil, err
	}
	days, err := c.Models.Usage.Days(r.Context(), user.subscription, month)
	if err != nil {
		return nil, err
	}
	answer := monthScreenAnswer{Month: monthAnswer{Month: month}}
	answer.Days, _, _ = daysOf(days)
	for _, m := range months {
		if m.Month == month {
			answer.Month = m
		}
	}
	return answer, nil
}

// downloadMonths is the usage of all months as CSV.
func (c *console) downloadMonths(w http.ResponseWriter, r *http.Request) {
	user, err := c.visitor(r)
	var months []monthAnswer
	if err == nil {
		months, err = c.months(r, user)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	rows := [][]string{{"month", "plan", "limit", "calls", "included", "over_limit", "reported_to_aws", "credited"}}
	for _, m := range months {
		rows = append(rows, []string{m.Month.String(), m.Plan, number(m.Limit), number(m.Calls), number(m.Included), number(m.Overage), number(m.Reported), number(m.Credited)})
	}
	c.writeCSV(w, r, "liveness-usage.csv", rows)
}

// downloadMonth is the usage of one month by day as CSV.
func (c *console) downloadMonth(w http.ResponseWriter, r *http.Request) {
	user, err := c.visitor(r)
	var month domain.Month
	if err == nil {
		month, err = domain.ParseMonth(mux.Vars(r)["month"])
	}
	var days []projections.DailyUsage
	if err == nil {
		days, err = c.Models.Usage.Days(r.Context(), user.subscription, month)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	rows := [][]string{{"day", "calls", "included", "over_limit", "judged_fake"}}
	for _, d := range days {
		rows = append(rows, []string{d.Day.Format(time.DateOnly), number(d.Included + d.Overage), number(d.Included), number(d.Overage), number(d.Fake)})
	}
	c.writeCSV(w, r, "liveness-usage-"+month.String()+".csv", rows)
}

func number(n int64) string { return strconv.FormatInt(n, 10) }

func (c *console) writeCSV(w http.ResponseWriter, r *http.Request, name string, rows [][]string) {
	setCSV(w.Header(), name)
	if err := csv.NewWriter(w).WriteAll(rows); err != nil && r.Context().Err() == nil {
		c.Log.WarnContext(r.Context(), "CSV is cut off", "error", err)
	}
}

func setCSV(h http.Header, name string) { setDownload(h, "text/csv; charset=utf-8", name) }
