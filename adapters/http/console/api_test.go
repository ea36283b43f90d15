package console_test

import (
	"encoding/csv"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

func TestAPINeedsALogin(t *testing.T) {
	t.Parallel()
	b := consoletest.New(t).Client()
	for _, path := range []string{"session", "overview", "keys", "usage", "usage/2026-11", "checks", "plan", "notifications", "activity", "account", "usage.csv", "usage/2026-11.csv",
		"failures", "traffic", "cost", "snippets", "checks/2026-11.1", "checks/2026-11.csv"} {
		a := b.Get("/console/api/" + path).Is(401).Code("login_required")
		if a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached: %q", path, a.Header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"keys/primary/regenerate", "keys/primary/name", "plan/overage", "notifications", "account/password", "account/sign-out-others"} {
		b.Command(path, struct{}{}).Is(401).Code("login_required")
	}
	b.Get("/console/api/nothing").Is(404).Code("not_found")
	b.Get("/console/nowhere").Is(404).Says("no such page")
	for request, allow := range map[string]string{
		"DELETE /console/login":                    "GET, HEAD, POST",
		"GET /console/api/plan/overage":            "POST",
		"POST /console/api/keys":                   "GET, HEAD",
		"POST /console/api/usage/2026-11.csv":      "GET, HEAD",
		"PUT /console/api/keys/primary/regenerate": "POST",
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := b.Send(method, path, "", "").Is(405).Header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q, want %q", request, got, allow)
		}
	}
	b.Send(http.MethodHead, "/console/login", "", "").Is(200)
}

func TestRegenerate(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	keys := b.Customer()
	directory := counting.NewKeyAuthenticator(projections.NewAPIKeys(w.Pool), commands.OneSecret(consoletest.Secret), time.Now)
	var issued struct{ Key, Prefix, Slot, Position string }
	b.Command("keys/primary/regenerate", map[string]string{"replaces": keys["primary"][:8]}).Is(200).Decode(&issued)
	if _, err := directory.AuthenticateKey(t.Context(), keys["primary"]); domain.KindOf(err) != domain.KindUnauthenticated {
		t.Errorf("the old key is still good: %v", err)
	}
	if _, err := directory.AuthenticateKey(t.Context(), issued.Key); err != nil {
		t.Errorf("the new key is not good: %v", err)
	}
	b.Command("keys/primary/regenerate", map[string]string{"replaces": keys["primary"][:8]}).Is(409).Code("key_replaced")
	b.Command("keys/tertiary/regenerate", map[string]string{"replaces": ""}).Is(400).Code("invalid_request")
	b.Command("keys/primary/regenerate", map[string]any{"replaces": 7}).Is(400).Code("invalid_request")
	b.Send(http.MethodPost, "/console/api/keys/primary/regenerate", "application/json", "{").Is(400)
	b.Send(http.MethodPost, "/console/api/keys/primary/regenerate", "application/json", "").Is(400)
	if mail, ok := w.NewestMail(consoletest.MailAddress, "Primary API key was regenerated"); !ok || strings.Contains(mail.Text, issued.Key) {
		t.Error("the owner is not told, or told too much")
	}
}

func TestRegenerateTheSameSlotTwiceAtOnce(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	keys := b.Customer()
	answers := make(chan consoletest.Answer, 4)
	var windows sync.WaitGroup
	for range 4 {
		windows.Go(func() {
			answers <- b.Command("keys/secondary/regenerate", map[string]string{"replaces": keys["secondary"][:8]})
		})
	}
	windows.Wait()
	close(answers)
	shown := 0
	for a := range answers {
		if a.Status == http.StatusOK {
			shown++
		} else {
			a.Is(409).Code("key_replaced")
		}
	}
	if shown != 1 {
		t.Errorf("%d windows show a key", shown)
	}
}

func TestOverageSwitchIsReadAtOnce(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	for _, to := range []string{"stop", "continue", "stop", "stop"} {
		var done struct{ Position string }
		b.Command("plan/overage", map[string]string{"to": to}).Is(200).Decode(&done)
		var plan struct{ Plan struct{ Overage string } }
		b.Read("plan?after="+done.Position, &plan)
		if plan.Plan.Overage != to {
			t.Errorf("after the switch to %s the plan shows %s", to, plan.Plan.Overage)
		}
	}
	b.Command("plan/overage", map[string]string{"to": "explode"}).Is(400).Code("invalid_request")
	b.Send("POST", "/console/api/plan/overage", "text/plain", `{"to":"stop"}`).Is(415).Code("unsupported_media_type")
	b.Get("/console/api/plan?after=soon").Is(400)
	b.Get("/console/api/plan?after=-1").Is(400)
}

// A ceiling of pay-as-you-go is chosen, moved and given up like the other behaviours, and told in the activity.
func TestOverageCeiling(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	var plan struct {
		Plan struct {
			Overage string
			Ceiling *int64
		}
	}
	for _, step := range []struct {
		command map[string]any
		overage string
		ceiling int64 // 0 for none
		says    string
	}{
		{map[string]any{"to": "continue", "ceiling": 500}, "continue", 500, "with a ceiling: up to 500 calls beyond the plan are billed as used, others refused"},
		{map[string]any{"to": "continue", "ceiling": 700}, "continue", 700, "up to 700 calls"},
		{map[string]any{"to": "stop"}, "stop", 0, "switched to stop"},
		{map[string]any{"to": "continue", "ceiling": nil}, "continue", 0, "switched to continue: calls beyond the plan are billed as used."},
	} {
		var done struct{ Position string }
		b.Command("plan/overage", step.command).Is(200).Decode(&done)
		plan.Plan.Ceiling = nil
		b.Read("plan?after="+done.Position, &plan)
		if p := plan.Plan; p.Overage != step.overage || (p.Ceiling == nil) != (step.ceiling == 0) || p.Ceiling != nil && *p.Ceiling != step.ceiling {
			t.Errorf("after %v the plan shows %s, ceiling %v", step.command, p.Overage, p.Ceiling)
		}
		var activity struct{ Entries []struct{ Summary string } }
		b.Read("activity?after="+done.Position, &activity)
		if len(activity.Entries) == 0 || !strings.Contains(activity.Entries[0].Summary, step.says) {
			t.Errorf("after %v the activity begins with %+v, want %q", step.command, activity.Entries[:min(1, len(activity.Entries))], step.says)
		}
	}
	for _, wrong := range []any{0, -1, 1_000_000_001} {
		b.Command("plan/overage", map[string]any{"to": "continue", "ceiling": wrong}).Is(400).Code("invalid_request")
	}
	for _, wrong := range []any{"many", 1.5} {
		b.Command("plan/overage", map[string]any{"to": "continue", "ceiling": wrong}).Is(400).Code("invalid_request")
	}
	b.Command("plan/overage", map[string]any{"to": "stop", "ceiling": 5}).Is(400).Code("invalid_request")
}

func TestPositionThatNeverComesIsBounded(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	if a := b.Get("/console/api/keys?after=999999999").Is(200); a.Header.Get("Console-Behind") == "" {
		t.Error("an answer that is behind does not say so")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	subscription := w.Subscription()
	october := time.Date(2026, 10, 30, 9, 0, 0, 0, time.UTC)
	w.Count(subscription, october, 1003)
	w.Count(subscription, w.Clock.Now().Add(-time.Hour), 60)
	w.Credit(subscription, domain.MonthOf(october), 2)
	w.Settled()

	var overview struct {
		Month    struct{ Calls, Remaining, OverLimit int64 }
		Days     []struct{ Day string }
		Recent   []struct{ Ordinal int64 }
		EverUsed bool
	}
	b.Read("overview", &overview)
	if overview.Month.Calls != 60 || overview.Month.Remaining != 940 || overview.Month.OverLimit != 0 || len(overview.Days) != 30 || len(overview.Recent) != 8 || overview.Recent[0].Ordinal != 60 {
		t.Errorf("overview: %+v", overview)
	}
	var usage struct {
		Months []struct {
			Month                              string
			Calls, Included, Overage, Credited int64
		}
	}
	b.Read("usage", &usage)
	if len(usage.Months) != 2 || usage.Months[1].Month != "2026-10" || usage.Months[1].Overage != 3 || usage.Months[1].Credited != 2 || usage.Months[0].Credited != 0 {
		t.Errorf("usage: %+v", usage)
	}
	seen, next := 0, ""
	for {
		var page struct {
			Checks []struct{ Ordinal int64 }
			Next   string
		}
		b.Read("checks?behind="+next, &page)
		if seen += len(page.Checks); page.Next == "" {
			break
		}
		next = page.Next
	}
	if seen != 1063 {
		t.Errorf("paging shows %d checks", seen)
	}
	for _, path := range []string{"checks?behind=x", "checks?behind=2026-13.1", "usage/2026-99", "activity?before=x"} {
		b.Get("/console/api/" + path).Is(400).Code("invalid_request")
	}

	download := b.Get("/console/api/usage.csv").Is(200)
	rows, err := csv.NewReader(strings.NewReader(download.Body)).ReadAll()
	consoletest.Must(t, err)
	if diff := cmp.Diff([][]string{{"month", "plan", "limit", "calls", "included", "over_limit", "reported_to_aws", "credited"},
		{"2026-11", "Starter", "1000", "60", "60", "0", "0", "0"}, {"2026-10", "Starter", "1000", "1003", "1000", "3", "0", "2"}}, rows); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
	var activity struct {
		Entries []struct{ Summary, Actor string }
	}
	b.Read("activity", &activity)
	if e := activity.Entries[0]; e.Summary != "2 calls over the limit of 2026-10 credited: your test run, ticket 42" || e.Actor != domain.ActorOperator {
		t.Errorf("the activity begins with %+v", e)
	}
	days, err := csv.NewReader(strings.NewReader(b.Get("/console/api/usage/2026-10.csv").Is(200).Body)).ReadAll()
	consoletest.Must(t, err)
	sum := 0
	for _, row := range days[1:] {
		n, err := strconv.Atoi(row[1])
		consoletest.Must(t, err)
		sum += n
	}
	if len(days) != 32 || sum != 1003 {
		t.Errorf("the days of October: %d rows, %d calls", len(days), sum)
	}
}

func TestActivityTellsWhatHappened(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	var done struct{ Position string }
	b.Command("plan/overage", map[string]string{"to": "stop"}).Is(200).Decode(&done)
	var activity struct {
		Entries []struct{ Kind, Summary, Actor string }
	}
	b.Read("activity?after="+done.Position, &activity)
	kinds := map[string]bool{}
	for _, e := range activity.Entries {
		kinds[e.Kind] = true
		if strings.Contains(e.Summary, "example.com") || e.Summary == "" {
			t.Errorf("summary %q", e.Summary)
		}
	}
	if activity.Entries[0].Kind != "OverageSwitched" || !kinds["LoginSucceeded"] || !kinds["KeyIssued"] || !kinds["SubscriptionStarted"] {
		t.Errorf("activity: %+v", activity.Entries)
	}
}

// What the activity screen leads to says why an entry is there and what held then, of one's own account alone.
func TestActivityLeadsToTheAudit(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	var done struct{ Position string }
	b.Command("plan/overage", map[string]string{"to": "stop"}).Is(200).Decode(&done)
	var activity struct {
		Entries []struct{ ID, Kind, Position string }
	}
	b.Read("activity?after="+done.Position, &activity)
	if len(activity.Entries) == 0 || activity.Entries[0].Kind != "OverageSwitched" || activity.Entries[0].Position != done.Position {
		t.Fatalf("activity: %+v", activity.Entries)
	}
	for _, e := range activity.Entries { // each can be explained
		b.Get("/console/api/explanations/" + e.ID).Is(200)
	}
	var why struct {
		Summary, Stream string
		Reasons         []struct{ Says, EventID string }
	}
	b.Read("explanations/"+activity.Entries[0].ID, &why)
	if !strings.Contains(why.Summary, "switch was on stop") || !strings.HasPrefix(why.Stream, "subscription-") || len(why.Reasons) != 1 || why.Reasons[0].EventID == "" {
		t.Errorf("explanation: %+v", why)
	}
	var then, before struct {
		Overage, NextCall string
		Keys              []struct{ Prefix string }
	}
	b.Read("replay/"+done.Position, &then)
	position, err := strconv.Atoi(done.Position)
	consoletest.Must(t, err)
	b.Read("replay/"+strconv.Itoa(position-1), &before)
	if then.Overage != "stop" || before.Overage != "continue" || len(then.Keys) != 2 || then.NextCall == "" {
		t.Errorf("replay: %+v, before %+v", then, before)
	}
	for _, nothing := range []string{"explanations/" + "00000000-0000-0000-0000-000000000001", "explanations/2026-11.9999", "explanations/x", "replay/0"} {
		b.Get("/console/api/" + nothing).Is(404)
	}
}

func TestHeadersProtectPages(t *testing.T) {
	t.Parallel()
	b := consoletest.New(t).Client()
	page := b.Get("/console/login").Is(200)
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := page.Header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if policy := page.Header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self'") {
		t.Errorf("policy: %s", policy)
	}
	if strings.Contains(page.Body, "<script>") || strings.Contains(page.Body, "style=") {
		t.Error("the page has inline script or style")
	}
}

func TestStoreThatIsAwayIsNoDeadEnd(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	w.Pool.Close()
	b.Get("/console/dashboard").Is(503).Says("Try again")
	b.Get("/console/api/overview").Is(503).Code("service_unavailable")
}

// A customer sets at which shares of the plan it is told about usage; the banner follows.
func TestNotifications(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	b.LogIn()
	type settings struct {
		UsageMails               bool
		WarnPercent, StepPercent int64
	}
	var got settings
	b.Read("notifications", &got)
	if got != (settings{true, 80, 50}) {
		t.Errorf("as sold: %+v", got)
	}
	b.Command("notifications", map[string]any{"usageMails": false, "warnPercent": 60, "stepPercent": 100}).Is(200)
	b.Read("notifications", &got)
	if got != (settings{false, 60, 100}) {
		t.Errorf("as set: %+v", got)
	}
	var overview struct{ WarnPercent int64 }
	b.Read("overview", &overview)
	if overview.WarnPercent != 60 {
		t.Errorf("overview: %+v", overview)
	}
	b.Command("notifications", map[string]any{"usageMails": true, "warnPercent": 10, "stepPercent": 5}).Is(400).Says("from 50 to 99 percent", "from 10 to 1000 percent")
	b.Command("notifications", map[string]any{"usageMails": true, "warn": 10}).Is(400).Code("invalid_request")
}
