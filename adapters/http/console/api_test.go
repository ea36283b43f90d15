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
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/commands/metering"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// subscription returns the one subscription of the world.
func (w *world) subscription() uuid.UUID {
	w.t.Helper()
	all, err := w.store.All()
	must(w.t, err)
	for _, recorded := range all {
		if e, ok := recorded.Event.(domain.SubscriptionStarted); ok {
			return e.SubscriptionID
		}
	}
	w.t.Fatal("nobody has subscribed")
	return uuid.Nil
}

// credit credits calls of a month, as an operator does.
func (w *world) credit(subscription uuid.UUID, month domain.Month, calls int64) {
	w.t.Helper()
	_, err := metering.CreditUsage(w.t.Context(), w.accounts.Executor, metering.Credit{
		By: commands.NewOrigin(domain.ActorOperator), SubscriptionID: subscription, Month: month, Calls: calls, Why: "your test run, ticket 42",
	})
	must(w.t, err)
}

// settled waits until all read models show everything.
func (w *world) settled() {
	w.t.Helper()
	head, err := w.store.Head(w.t.Context())
	must(w.t, err)
	for _, p := range projections.All() {
		must(w.t, engine.NewBarrier(w.pool, 20*time.Second).WaitFor(w.t.Context(), p.Name, head))
	}
}

func TestAPINeedsALogin(t *testing.T) {
	t.Parallel()
	b := newWorld(t).browser()
	for _, path := range []string{"session", "overview", "keys", "usage", "usage/2026-11", "checks", "plan", "notifications", "activity", "account", "usage.csv", "usage/2026-11.csv",
		"failures", "traffic", "cost", "snippets", "checks/2026-11.1", "checks/2026-11.csv"} {
		a := b.get("/console/api/" + path).is(401).code("login_required")
		if a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s may be cached: %q", path, a.header.Get("Cache-Control"))
		}
	}
	for _, path := range []string{"keys/primary/regenerate", "keys/primary/name", "plan/overage", "notifications", "account/password", "account/sign-out-others"} {
		b.command(path, struct{}{}).is(401).code("login_required")
	}
	b.get("/console/api/nothing").is(404).code("not_found")
	b.get("/console/nowhere").is(404).says("no such page")
	for request, allow := range map[string]string{
		"DELETE /console/login":                    "GET, HEAD, POST",
		"GET /console/api/plan/overage":            "POST",
		"POST /console/api/keys":                   "GET, HEAD",
		"POST /console/api/usage/2026-11.csv":      "GET, HEAD",
		"PUT /console/api/keys/primary/regenerate": "POST",
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := b.send(method, path, "", "").is(405).header.Get("Allow"); got != allow {
			t.Errorf("%s: Allow is %q, want %q", request, got, allow)
		}
	}
	b.send(http.MethodHead, "/console/login", "", "").is(200)
}

func TestRegenerate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	keys := b.customer()
	directory := counting.NewKeyAuthenticator(projections.NewAPIKeys(w.pool), []byte(testSecret), time.Now)
	var issued struct{ Key, Prefix, Slot, Position string }
	b.command("keys/primary/regenerate", map[string]string{"replaces": keys["primary"][:8]}).is(200).decode(&issued)
	if _, err := directory.AuthenticateKey(t.Context(), keys["primary"]); domain.KindOf(err) != domain.KindUnauthenticated {
		t.Errorf("the old key is still good: %v", err)
	}
	if _, err := directory.AuthenticateKey(t.Context(), issued.Key); err != nil {
		t.Errorf("the new key is not good: %v", err)
	}
	b.command("keys/primary/regenerate", map[string]string{"replaces": keys["primary"][:8]}).is(409).code("key_replaced")
	b.command("keys/tertiary/regenerate", map[string]string{"replaces": ""}).is(400).code("invalid_request")
	b.command("keys/primary/regenerate", map[string]any{"replaces": 7}).is(400).code("invalid_request")
	b.send(http.MethodPost, "/console/api/keys/primary/regenerate", "application/json", "{").is(400)
	b.send(http.MethodPost, "/console/api/keys/primary/regenerate", "application/json", "").is(400)
	if mail, ok := w.newestMail(mailAddress, "Primary API key was regenerated"); !ok || strings.Contains(mail.Text, issued.Key) {
		t.Error("the owner is not told, or told too much")
	}
}

func TestRegenerateTheSameSlotTwiceAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	keys := b.customer()
	answers := make(chan answer, 4)
	var windows sync.WaitGroup
	for range 4 {
		windows.Go(func() {
			answers <- b.command("keys/secondary/regenerate", map[string]string{"replaces": keys["secondary"][:8]})
		})
	}
	windows.Wait()
	close(answers)
	shown := 0
	for a := range answers {
		if a.status == http.StatusOK {
			shown++
		} else {
			a.is(409).code("key_replaced")
		}
	}
	if shown != 1 {
		t.Errorf("%d windows show a key", shown)
	}
}

func TestOverageSwitchIsReadAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	for _, to := range []string{"stop", "continue", "stop", "stop"} {
		var done struct{ Position string }
		b.command("plan/overage", map[string]string{"to": to}).is(200).decode(&done)
		var plan struct{ Plan struct{ Overage string } }
		b.read("plan?after="+done.Position, &plan)
		if plan.Plan.Overage != to {
			t.Errorf("after the switch to %s the plan shows %s", to, plan.Plan.Overage)
		}
	}
	b.command("plan/overage", map[string]string{"to": "explode"}).is(400).code("invalid_request")
	b.get("/console/api/plan?after=soon").is(400)
	b.get("/console/api/plan?after=-1").is(400)
}

// A ceiling of pay-as-you-go is chosen, moved and given up like the other behaviours, and told in the activity.
func TestOverageCeiling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
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
		b.command("plan/overage", step.command).is(200).decode(&done)
		plan.Plan.Ceiling = nil
		b.read("plan?after="+done.Position, &plan)
		if p := plan.Plan; p.Overage != step.overage || (p.Ceiling == nil) != (step.ceiling == 0) || p.Ceiling != nil && *p.Ceiling != step.ceiling {
			t.Errorf("after %v the plan shows %s, ceiling %v", step.command, p.Overage, p.Ceiling)
		}
		var activity struct{ Entries []struct{ Summary string } }
		b.read("activity?after="+done.Position, &activity)
		if len(activity.Entries) == 0 || !strings.Contains(activity.Entries[0].Summary, step.says) {
			t.Errorf("after %v the activity begins with %+v, want %q", step.command, activity.Entries[:min(1, len(activity.Entries))], step.says)
		}
	}
	for _, wrong := range []any{0, -1, 1_000_000_001} {
		b.command("plan/overage", map[string]any{"to": "continue", "ceiling": wrong}).is(400).code("invalid_request")
	}
	for _, wrong := range []any{"many", 1.5} {
		b.command("plan/overage", map[string]any{"to": "continue", "ceiling": wrong}).is(400).code("invalid_request")
	}
	b.command("plan/overage", map[string]any{"to": "stop", "ceiling": 5}).is(400).code("invalid_request")
}

func TestPositionThatNeverComesIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	if a := b.get("/console/api/keys?after=999999999").is(200); a.header.Get("Console-Behind") == "" {
		t.Error("an answer that is behind does not say so")
	}
}

func TestUsage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	subscription := w.subscription()
	october := time.Date(2026, 10, 30, 9, 0, 0, 0, time.UTC)
	w.count(subscription, october, 1003)
	w.count(subscription, w.clock.Now().Add(-time.Hour), 60)
	w.credit(subscription, domain.MonthOf(october), 2)
	w.settled()

	var overview struct {
		Month    struct{ Calls, Remaining, OverLimit int64 }
		Days     []struct{ Day string }
		Recent   []struct{ Ordinal int64 }
		EverUsed bool
	}
	b.read("overview", &overview)
	if overview.Month.Calls != 60 || overview.Month.Remaining != 940 || overview.Month.OverLimit != 0 || len(overview.Days) != 30 || len(overview.Recent) != 8 || overview.Recent[0].Ordinal != 60 {
		t.Errorf("overview: %+v", overview)
	}
	var usage struct {
		Months []struct {
			Month                              string
			Calls, Included, Overage, Credited int64
		}
	}
	b.read("usage", &usage)
	if len(usage.Months) != 2 || usage.Months[1].Month != "2026-10" || usage.Months[1].Overage != 3 || usage.Months[1].Credited != 2 || usage.Months[0].Credited != 0 {
		t.Errorf("usage: %+v", usage)
	}
	seen, next := 0, ""
	for {
		var page struct {
			Checks []struct{ Ordinal int64 }
			Next   string
		}
		b.read("checks?behind="+next, &page)
		if seen += len(page.Checks); page.Next == "" {
			break
		}
		next = page.Next
	}
	if seen != 1063 {
		t.Errorf("paging shows %d checks", seen)
	}
	for _, path := range []string{"checks?behind=x", "checks?behind=2026-13.1", "usage/2026-99", "activity?before=x"} {
		b.get("/console/api/" + path).is(400).code("invalid_request")
	}

	download := b.get("/console/api/usage.csv").is(200)
	rows, err := csv.NewReader(strings.NewReader(download.body)).ReadAll()
	must(t, err)
	if diff := cmp.Diff([][]string{{"month", "plan", "limit", "calls", "included", "over_limit", "reported_to_aws", "credited"},
		{"2026-11", "Starter", "1000", "60", "60", "0", "0", "0"}, {"2026-10", "Starter", "1000", "1003", "1000", "3", "0", "2"}}, rows); diff != "" {
		t.Errorf("CSV (-want +got):\n%s", diff)
	}
	var activity struct {
		Entries []struct{ Summary, Actor string }
	}
	b.read("activity", &activity)
	if e := activity.Entries[0]; e.Summary != "2 calls over the limit of 2026-10 credited: your test run, ticket 42" || e.Actor != domain.ActorOperator {
		t.Errorf("the activity begins with %+v", e)
	}
	days, err := csv.NewReader(strings.NewReader(b.get("/console/api/usage/2026-10.csv").is(200).body)).ReadAll()
	must(t, err)
	sum := 0
	for _, row := range days[1:] {
		n, err := strconv.Atoi(row[1])
		must(t, err)
		sum += n
	}
	if len(days) != 32 || sum != 1003 {
		t.Errorf("the days of October: %d rows, %d calls", len(days), sum)
	}
}

func TestActivityTellsWhatHappened(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	var done struct{ Position string }
	b.command("plan/overage", map[string]string{"to": "stop"}).is(200).decode(&done)
	var activity struct {
		Entries []struct{ Kind, Summary, Actor string }
	}
	b.read("activity?after="+done.Position, &activity)
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

func TestHeadersProtectPages(t *testing.T) {
	t.Parallel()
	b := newWorld(t).browser()
	page := b.get("/console/login").is(200)
	for name, want := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin", "Cache-Control": "no-store",
	} {
		if got := page.header.Get(name); !strings.Contains(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
	if policy := page.header.Get("Content-Security-Policy"); strings.Contains(policy, "unsafe") || !strings.Contains(policy, "script-src 'self'") {
		t.Errorf("policy: %s", policy)
	}
	if strings.Contains(page.body, "<script>") || strings.Contains(page.body, "style=") {
		t.Error("the page has inline script or style")
	}
}

func TestStaticFiles(t *testing.T) {
	t.Parallel()
	b := newWorld(t).browser()
	page := b.get("/console/login").body
	_, rest, _ := strings.Cut(page, `href="/console/static/`)
	version, _, _ := strings.Cut(rest, "/")
	for name, contentType := range map[string]string{"app.js": "text/javascript", "base.css": "text/css", "vendor/preact.js": "text/javascript", "vendor/inter-latin.woff2": "font/woff2", "icon.svg": "image/svg+xml"} {
		a := b.get("/console/static/" + version + "/" + name).is(200)
		if !strings.HasPrefix(a.header.Get("Content-Type"), contentType) || !strings.Contains(a.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %v", name, a.header)
		}
		if a := b.get("/console/static/older/" + name).is(200); strings.Contains(a.header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s of another version may be kept for ever", name)
		}
	}
	b.get("/console/static/" + version + "/../console.go").is(404)
	b.get("/console/static/" + version + "/").is(404)
}

func TestStoreThatIsAwayIsNoDeadEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	w.pool.Close()
	b.get("/console/dashboard").is(503).says("Try again")
	b.get("/console/api/overview").is(503).code("service_unavailable")
}

// A customer sets at which shares of the plan it is told about usage; the banner follows.
func TestNotifications(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.customer()
	b.logIn()
	type settings struct {
		UsageMails               bool
		WarnPercent, StepPercent int64
	}
	var got settings
	b.read("notifications", &got)
	if got != (settings{true, 80, 50}) {
		t.Errorf("as sold: %+v", got)
	}
	b.command("notifications", map[string]any{"usageMails": false, "warnPercent": 60, "stepPercent": 100}).is(200)
	b.read("notifications", &got)
	if got != (settings{false, 60, 100}) {
		t.Errorf("as set: %+v", got)
	}
	var overview struct{ WarnPercent int64 }
	b.read("overview", &overview)
	if overview.WarnPercent != 60 {
		t.Errorf("overview: %+v", overview)
	}
	b.command("notifications", map[string]any{"usageMails": true, "warnPercent": 10, "stepPercent": 5}).is(400).says("from 50 to 99 percent", "from 10 to 1000 percent")
	b.command("notifications", map[string]any{"usageMails": true, "warn": 10}).is(400).code("invalid_request")
}
