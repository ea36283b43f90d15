package console

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

// checksPage is how many checks a page of the list has.
const checksPage = 25

type usageAnswer struct {
	Months []monthAnswer `json:"months"` // newest first, with the current one even when nothing was counted in it
}

func (c *console) readUsage(r *http.Request, user visitor) (any, error) {
	months, err := c.months(r, user)
	return usageAnswer{months}, err
}

func (c *console) months(r *http.Request, user visitor) ([]monthAnswer, error) {
	row, err := c.subscription(r, user)
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

type checksAnswer struct {
	Checks []checkAnswer `json:"checks"`
	Next   string        `json:"next"` // value of `behind` for the page after this; empty at the end
}

// readChecks pages through the counted calls, newest first; `behind` is a month and an ordinal, as 2026-11.1234.
func (c *console) readChecks(r *http.Request, user visitor) (any, error) {
	cursor, err := parseCursor(r.URL.Query().Get("behind"))
	if err != nil {
		return nil, err
	}
	checks, err := c.Models.Usage.Checks(r.Context(), user.subscription, cursor, checksPage)
	if err != nil {
		return nil, err
	}
	answer := checksAnswer{Checks: checksOf(checks)}
	if len(checks) == checksPage {
		last := checks[len(checks)-1]
		answer.Next = fmt.Sprintf("%s.%d", last.Month, last.Ordinal)
	}
	return answer, nil
}

func parseCursor(text string) (projections.CheckCursor, error) {
	if text == "" {
		return projections.CheckCursor{}, nil
	}
	var year, month int
	var ordinal int64
	if n, err := fmt.Sscanf(text, "%4d-%2d.%d", &year, &month, &ordinal); err != nil || n != 3 || month < 1 || month > 12 || year < 1 {
		return projections.CheckCursor{}, domain.Invalid("behind", "behind is the next of the page before.")
	}
	return projections.CheckCursor{Month: domain.Month{Year: year, Month: time.Month(month)}, Ordinal: ordinal}, nil
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
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	if err := csv.NewWriter(w).WriteAll(rows); err != nil && r.Context().Err() == nil {
		c.Log.WarnContext(r.Context(), "CSV is cut off", "error", err)
	}
}
