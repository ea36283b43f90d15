package console

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

const (
	checksPage   = 25    // how many checks a page of the list has
	exportedPage = 2_000 // how many checks of an export are read at once
)

type checksAnswer struct {
	Checks []checkAnswer `json:"checks"`
	Next   string        `json:"next"` // value of `behind` for the page after this; empty at the end
}

// readChecks pages through the counted calls that a filter lets through, newest first; `behind` is a month and an ordinal, as
// 2026-11.1234.
func (c *console) readChecks(r *http.Request, user visitor) (any, error) {
	query := r.URL.Query()
	cursor, err := parseCursor(query.Get("behind"))
	if err != nil {
		return nil, err
	}
	filter, err := parseCheckFilter(query)
	if err != nil {
		return nil, err
	}
	checks, err := c.Models.Usage.Checks(r.Context(), user.subscription, filter, cursor, checksPage)
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

// parseCheckFilter reads what is looked for; every field may be missing or empty.
func parseCheckFilter(query url.Values) (projections.CheckFilter, error) {
	var filter projections.CheckFilter
	var wrong domain.FieldErrors
	refuse := func(field, format string, args ...any) { wrong = append(wrong, domain.Invalid(field, format, args...)) }
	choose := func(field, no, yes string) (chosen *bool) {
		switch text := query.Get(field); text {
		case "":
		case no, yes:
			is := text == yes
			chosen = &is
		default:
			refuse(field, "Choose %q or %q.", no, yes)
		}
		return chosen
	}
	if text := query.Get("day"); text != "" {
		var err error
		if filter.Day, err = time.Parse(time.DateOnly, text); err != nil {
			refuse("day", "Write the day as 2026-11-20.")
		}
	}
	if text := query.Get("request"); text != "" {
		var err error
		if filter.Request, err = uuid.Parse(text); err != nil {
			refuse("request", "A request ID is what the X-Request-Id header of an answer holds, like 0197f3a2-5d1e-7c3b-9f00-5a6b7c8d9e0f.")
		}
	}
	filter.FakeFace, filter.ValidFace = choose("verdict", "live", "fake"), choose("face", "unusable", "valid")
	if secondary := choose("key", string(domain.SlotPrimary), string(domain.SlotSecondary)); secondary != nil {
		filter.KeySlot = domain.KeySlot(query.Get("key"))
	}
	if overage := choose("billing", string(domain.BillingIncluded), string(domain.BillingOverage)); overage != nil {
		filter.Billing = domain.BillingClass(query.Get("billing"))
	}
	if len(wrong) > 0 {
		return filter, wrong
	}
	return filter, nil
}

// oneCheckAnswer is everything that the log holds of a counted call.
type oneCheckAnswer struct {
	Event      domain.CheckCompleted `json:"event"`
	Recorded   json.RawMessage       `json:"recorded"` // the event as it stands in the log
	Issues     []issueAnswer         `json:"issues"`   // why the face was not usable, as far as it was kept
	PlanName   string                `json:"planName"`
	RequestID  uuid.UUID             `json:"requestId"`
	EventID    uuid.UUID             `json:"eventId"`
	Actor      string                `json:"actor"`
	Stream     string                `json:"stream"`
	Revision   uint64                `json:"revision"`
	Position   uint64                `json:"position"`
	RecordedAt time.Time             `json:"recordedAt"`
}

// issueAnswer is a reason why a face is not usable.
type issueAnswer struct {
	Code    domain.Issue `json:"code"`
	Message string       `json:"message"`
}

func issuesOf(issues []domain.Issue) []issueAnswer {
	answers := make([]issueAnswer, len(issues))
	for i, issue := range issues {
		answers[i] = issueAnswer{issue, issue.Message()}
	}
	return answers
}

// readCheck reads a counted call from the log itself: the ordinal is its place in the month's stream.
func (c *console) readCheck(r *http.Request, user visitor) (any, error) {
	month, err := domain.ParseMonth(mux.Vars(r)["month"])
	if err != nil {
		return nil, err
	}
	ordinal, err := strconv.ParseInt(mux.Vars(r)["ordinal"], 10, 64)
	if err != nil || ordinal < 1 {
		return nil, errNoSuchCheck
	}
	found, err := c.Subscriptions.Store.Read(r.Context(), domain.UsageStream(user.subscription, month), uint64(ordinal-1), 1)
	if err != nil {
		return nil, domain.ErrUnavailable.Because(err)
	}
	if len(found) == 0 {
		return nil, errNoSuchCheck
	}
	recorded := found[0]
	event, ok := recorded.Event.(domain.CheckCompleted)
	if !ok {
		return nil, errNoSuchCheck
	}
	text, err := json.Marshal(event)
	return oneCheckAnswer{
		Event: event, Recorded: text, Issues: issuesOf(event.Judgement.Issues.List()), PlanName: c.planName(event.Plan), RequestID: recorded.Meta.CorrelationID, EventID: recorded.ID,
		Actor: recorded.Meta.Actor, Stream: recorded.Stream, Revision: recorded.Revision, Position: recorded.Position, RecordedAt: recorded.RecordedAt,
	}, err
}

var errNoSuchCheck = &domain.Error{Kind: domain.KindNotFound, Code: "no_such_check",
	Message: "There is no such check. Perhaps it belongs to another of your customers: choose that one first."}

// downloadChecks is every counted call of a month as CSV. It is read page by page: nothing is held for a browser that is slow.
func (c *console) downloadChecks(w http.ResponseWriter, r *http.Request) {
	user, err := c.visitor(r)
	var month domain.Month
	if err == nil {
		month, err = domain.ParseMonth(mux.Vars(r)["month"])
	}
	var checks []projections.RequestedCheck
	if err == nil {
		checks, err = c.Models.Usage.MonthChecks(r.Context(), user.subscription, month, 0, exportedPage)
	}
	if err != nil {
		c.fail(w, r, err)
		return
	}
	setCSV(w.Header(), "liveness-checks-"+month.String()+".csv")
	out := csv.NewWriter(w)
	_ = out.Write([]string{ // the writer keeps the first error
		"number", "time", "check_id", "request_id", "key", "billing", "judged_fake", "fake_likelihood", "valid_face", "face_brightness", "latency_ms",
	})
	for {
		for _, k := range checks {
			_ = out.Write(checkRow(k))
		}
		out.Flush()
		if err = out.Error(); err != nil || len(checks) < exportedPage {
			break
		}
		if checks, err = c.Models.Usage.MonthChecks(r.Context(), user.subscription, month, checks[len(checks)-1].Ordinal, exportedPage); err != nil {
			break
		}
	}
	if err == nil {
		return
	}
	if r.Context().Err() == nil {
		c.Log.WarnContext(r.Context(), "CSV is cut off", "error", err)
	}
	panic(http.ErrAbortHandler) // a browser must not take half of the file for all of it
}

func checkRow(k projections.RequestedCheck) []string {
	request := ""
	if k.RequestID != uuid.Nil {
		request = k.RequestID.String()
	}
	return []string{
		number(k.Ordinal), k.CompletedAt.UTC().Format(time.RFC3339Nano), k.CheckID.String(), request, string(k.KeySlot), string(k.Billing),
		strconv.FormatBool(k.FakeFace), strconv.FormatFloat(k.FakeLikelihood, 'f', -1, 64), strconv.FormatBool(k.ValidFace),
		strconv.FormatFloat(k.Brightness, 'f', -1, 64), number(k.LatencyMS),
	}
}
