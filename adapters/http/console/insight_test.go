package console_test

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

type failuresRead struct {
	Points []struct {
		At              time.Time
		Refused, Faults int64
	}
	Calls int64
	Kinds []struct {
		Status, Calls                     int
		Code, Message, KeySlot, KeyPrefix string
	}
	Newest []struct {
		RequestID, Code, Message, KeyPrefix string
		Status                              int
	}
	Since string
}

func TestFailures(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	keys := b.Customer()
	now := w.Clock.Now()
	var got failuresRead
	b.Read("failures", &got)
	if got.Calls != 0 || len(got.Points) != 48 || len(got.Kinds) != 0 {
		t.Errorf("before any failed: %+v", got)
	}
	busy := counting.FailedCall{At: now.Add(-47 * time.Hour), Status: 503, Code: "overloaded", Message: "busy", KeySlot: domain.SlotSecondary, KeyPrefix: "lc_xyz89"}
	w.Fail(consoletest.NoFace(now), consoletest.NoFace(now.Add(-time.Hour)), busy, consoletest.NoFace(now.Add(-48*time.Hour)))
	b.Command("keys/primary/regenerate", map[string]string{"replaces": keys["primary"][:8]}).Is(200)
	w.SendReplaced(keys["primary"], 3)
	w.SendReplaced("lc_never12ABCDEFGHIJKLMNOPQRSTUV", 5)
	b.Read("failures", &got)
	if got.Calls != 6 || len(got.Kinds) != 3 || got.Kinds[0].Status != 401 || got.Kinds[0].Calls != 3 || got.Kinds[0].KeyPrefix != keys["primary"][:8] {
		t.Errorf("the last hours: %+v", got)
	}
	first, last := got.Points[0], got.Points[47]
	if first.Faults != 1 || first.Refused != 0 || last.Refused != 4 || !last.At.Equal(now.Truncate(time.Hour)) {
		t.Errorf("from %+v to %+v", first, last)
	}
	if len(got.Newest) != 0 {
		t.Error("the overview gets calls one by one that it does not show")
	}
	b.Read("failures?month=2026-11", &got)
	if got.Calls != 7 || len(got.Points) != 30 || got.Points[19].Refused != 5 || len(got.Newest) != 7 || got.Since != "2026-08-22" {
		t.Errorf("the month: %+v", got)
	}
	for _, call := range got.Newest {
		if _, err := uuid.Parse(call.RequestID); err != nil || call.Code == "" || call.KeyPrefix == "" {
			t.Errorf("one of the newest is %+v", call)
		}
	}
	b.Read("failures?month=2026-10", &got)
	if got.Calls != 0 || len(got.Points) != 31 {
		t.Errorf("the month before: %+v", got)
	}
	b.Get("/console/api/failures?month=2026-13").Is(400).Code("invalid_request")
}

func TestFindCheck(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	w.Count(w.Subscription(), w.Clock.Now(), 30)
	w.Settled()
	type list struct {
		Checks []struct {
			Ordinal   int64
			FakeFace  bool
			ValidFace bool
		}
		Next string
	}
	ordinals := func(l list) (all []int64) {
		for _, c := range l.Checks {
			all = append(all, c.Ordinal)
		}
		return all
	}
	for query, want := range map[string][]int64{ // see count: which are fake or not usable
		"verdict=fake":                {27, 16, 5},
		"face=unusable":               {21, 4},
		"verdict=fake&face=unusable":  nil,
		"key=secondary":               nil,
		"billing=overage":             nil,
		"day=2026-11-19":              nil,
		"request=" + uuid.NewString(): nil,
		"day=2026-11-20&key=primary&billing=included&verdict=fake&face=valid": {27, 16, 5},
		"verdict=&face=&day=&request=&face=":                                  {30, 29, 28, 27, 26, 25, 24, 23, 22, 21, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6},
		"verdict=live&behind=2026-11.5":                                       {4, 3, 2, 1},
	} {
		var got list
		b.Read("checks?"+query, &got)
		if diff := cmp.Diff(want, ordinals(got)); diff != "" || got.Checks == nil {
			t.Errorf("%s: %s", query, diff)
		}
	}
	for _, query := range []string{"verdict=maybe", "face=no", "key=tertiary", "billing=free", "day=20.11.2026", "request=17"} {
		b.Get("/console/api/checks?" + query).Is(400).Code("invalid_request").Says("")
	}

	var one struct {
		Event                       domain.CheckCompleted
		Recorded                    map[string]any
		PlanName, RequestID, Stream string
		Revision                    uint64
		RecordedAt                  time.Time
	}
	b.Read("checks/2026-11.5", &one)
	if one.Event.Ordinal != 5 || one.Revision != 4 || one.PlanName != "Starter" || one.Event.SubscriptionID != w.Subscription() || one.RecordedAt.IsZero() ||
		one.Recorded["requestDigest"] != nil || one.Recorded["checkId"] != one.Event.CheckID.String() {
		t.Errorf("the fifth check is %+v", one)
	}
	var fourth struct {
		Issues []struct{ Code, Message string }
	}
	if b.Read("checks/2026-11.4", &fourth); len(fourth.Issues) != 2 || fourth.Issues[0].Code != "too_dark" || fourth.Issues[0].Message != domain.IssueTooDark.Message() {
		t.Errorf("the fourth is not usable because of %+v", fourth.Issues)
	}
	for _, number := range []string{"2026-11.31", "2026-11.0", "2026-10.1", "2026-11.999999999999999999"} {
		b.Get("/console/api/checks/" + number).Is(404).Code("no_such_check")
	}
	b.Get("/console/api/checks/2026-11.x").Is(404)
	b.Get("/console/checks/2026-11.5").Is(200)
	other := w.Client()
	other.Get("/console/checks/2026-11.5").Is(200).At("/console/login")
	if a := other.Post("/console/login?next=/console/checks/2026-11.5", "email", consoletest.MailAddress, "password", consoletest.Password); a.Path != "/console/checks/2026-11.5" && a.Path != "/console/dashboard" {
		t.Errorf("after login the browser is at %s", a.Path)
	}
}

// Another customer's checks are not found, whatever is known of them.
func TestChecksOfAnotherCustomer(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	w.Count(w.Subscription(), w.Clock.Now(), 3)
	w.Settled()
	stranger := w.Stranger("eve@example.net")
	stranger.Get("/console/api/checks/2026-11.1").Is(404).Code("no_such_check")
	stranger.Get("/console/api/checks/2026-11.1?customer=" + domain.CustomerIDForSubscription(w.Subscription()).String()).Is(403)
	if rows := strings.Count(stranger.Get("/console/api/checks/2026-11.csv").Is(200).Body, "\n"); rows != 1 {
		t.Errorf("the export has %d lines, want the heading", rows)
	}
}

// The export holds every check of the month in its order, and more than is read at once.
func TestExportOfChecks(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	const calls = 2_003
	w.Count(w.Subscription(), w.Clock.Now().Add(-5*time.Hour), calls)
	w.Settled()
	a := b.Get("/console/api/checks/2026-11.csv").Is(200)
	if got := a.Header.Get("Content-Disposition"); got != `attachment; filename="liveness-checks-2026-11.csv"` {
		t.Errorf("the browser saves it as %q", got)
	}
	rows, err := csv.NewReader(bufio.NewReader(strings.NewReader(a.Body))).ReadAll()
	if err != nil || len(rows) != calls+1 {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for n, row := range rows[1:] {
		if row[0] != fmt.Sprint(n+1) {
			t.Fatalf("row %d is call %s", n+1, row[0])
		}
	}
	if row := rows[calls]; row[4] != "primary" || row[5] != "overage" || rows[1][5] != "included" || rows[1][6] != "false" || rows[5][6] != "true" {
		t.Errorf("the rows are %v … %v", rows[1], row)
	}
	b.Get("/console/api/checks/2026-13.csv").Is(400)
	b.Send(http.MethodHead, "/console/api/checks/2026-11.csv", "", "").Is(200)
}

type costRead struct {
	Calls, Overage, Credited, Limit int64
	CallUSD, AmountUSD              *float64
	Forecast                        *int64
	PlanUSD                         *int
	Begun, Passed                   float64
	Days                            []struct{ Day string }
}

func TestCost(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer() // on the twentieth at noon
	var cost costRead
	b.Read("cost", &cost)
	if cost.Forecast != nil || cost.Overage != 0 || cost.AmountUSD == nil || *cost.AmountUSD != 0 || *cost.CallUSD != 0.25 || *cost.PlanUSD != 180 || len(cost.Days) != 30 || cost.Begun != 19.5 {
		t.Errorf("at first: %+v", cost)
	}
	w.Count(w.Subscription(), w.Clock.Now(), 1_100)
	w.Clock.Advance(3 * 24 * time.Hour) // of ten and a half
	w.Settled()
	b.Read("cost", &cost)
	if cost.Forecast == nil || *cost.Forecast != 3_850 || cost.Overage != 100 || *cost.AmountUSD != 25 || cost.Passed != 22.5 {
		t.Errorf("with calls beyond the plan: %+v", cost)
	}
	w.Credit(w.Subscription(), domain.MonthOf(w.Clock.Now()), 40)
	w.Settled()
	b.Read("cost", &cost)
	if cost.Credited != 40 || *cost.AmountUSD != 15 || cost.Overage != 100 {
		t.Errorf("with 40 of them credited: %+v", cost)
	}
}

type keysRead struct {
	Keys []struct {
		Slot, Prefix, Name string
		UsedAt             *time.Time
		UseKnown           bool
	}
	Replaced []struct {
		Slot, Prefix string
		Calls        int64
	}
}

func TestKeyNamesAndUse(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	keys := b.Customer()
	w.Settled()
	var got keysRead
	b.Read("keys", &got)
	if len(got.Keys) != 2 || got.Keys[0].UsedAt != nil || got.Keys[0].Name != "" || len(got.Replaced) != 0 {
		t.Errorf("at first: %+v", got)
	}
	var named struct{ Position string }
	b.Command("keys/primary/name", map[string]string{"name": " production "}).Is(200).Decode(&named)
	b.Command("keys/tertiary/name", map[string]string{"name": "x"}).Is(400).Code("invalid_request")
	b.Command("keys/primary/name", map[string]string{"name": keys["primary"]}).Is(400).Code("invalid_request")
	b.Command("keys/primary/name", map[string]int{"name": 7}).Is(400).Code("invalid_request")
	w.Clock.Advance(time.Hour)
	used := w.Clock.Now()
	w.Count(w.Subscription(), used, 1)
	w.Settled()
	b.Read("keys?after="+named.Position, &got)
	if got.Keys[0].Name != "production" || got.Keys[0].UsedAt == nil || !got.Keys[0].UsedAt.Equal(used) || got.Keys[1].UsedAt != nil || !got.Keys[1].UseKnown {
		t.Errorf("named and used: %+v", got.Keys)
	}
	w.Clock.Advance(time.Hour)
	refused := consoletest.NoFace(w.Clock.Now())
	refused.KeySlot, refused.KeyPrefix = domain.SlotSecondary, keys["secondary"][:8]
	w.Fail(refused)
	b.Command("keys/primary/regenerate", map[string]string{"replaces": keys["primary"][:8]}).Is(200)
	w.SendReplaced(keys["primary"], 2)
	b.Read("keys", &got)
	if got.Keys[0].UsedAt != nil || got.Keys[0].Name != "production" {
		t.Errorf("the replaced key's use is the new one's, or its name is lost: %+v", got.Keys[0])
	}
	if got.Keys[1].UsedAt == nil || !got.Keys[1].UsedAt.Equal(w.Clock.Now()) {
		t.Errorf("a call that failed is no use: %+v", got.Keys[1])
	}
	if len(got.Replaced) != 1 || got.Replaced[0].Prefix != keys["primary"][:8] || got.Replaced[0].Calls != 2 {
		t.Errorf("the replaced key is still sent: %+v", got.Replaced)
	}
	w.Clock.Advance(49 * time.Hour)
	b.Read("keys", &got)
	if len(got.Replaced) != 0 {
		t.Errorf("it was sent two days ago: %+v", got.Replaced)
	}
	for _, recorded := range w.All() {
		if e, ok := recorded.Event.(domain.KeyNamed); ok && strings.Contains(string(e.Name), "production") {
			t.Error("the name stands in the log in the clear")
		}
	}
}

// A reader sees all of it, and names no key.
func TestReaderLooksBack(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	owner := w.Client()
	owner.Customer()
	w.Count(w.Subscription(), w.Clock.Now(), 2)
	reader, _ := owner.Invite(owner.Session("").Customer, "reader")
	for _, path := range []string{"failures", "failures?month=2026-11", "traffic", "cost", "keys", "checks?verdict=live", "checks/2026-11.1", "checks/2026-11.csv", "snippets"} {
		reader.Get("/console/api/" + path).Is(200)
	}
	reader.Command("keys/primary/name", map[string]string{"name": "mine"}).Is(403)
}

func TestTraffic(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	type traffic struct {
		Points []struct {
			At                 time.Time
			Primary, Secondary int64
			Latency            *struct{ P50, P95 int64 }
		}
		Calls   int64
		Latency *struct{ P50, P95 int64 }
	}
	var got traffic
	b.Read("traffic", &got)
	if len(got.Points) != 48 || got.Calls != 0 || got.Latency != nil {
		t.Errorf("without calls: %d points, %+v", len(got.Points), got.Latency)
	}
	w.Count(w.Subscription(), w.Clock.Now().Add(-3*time.Hour), 20)
	w.Count(w.Subscription(), w.Clock.Now(), 5)
	w.Settled()
	b.Read("traffic", &got)
	if got.Calls != 25 || got.Points[44].Primary != 20 || got.Points[47].Primary != 5 || got.Points[47].Secondary != 0 || got.Points[46].Latency != nil {
		t.Errorf("with calls: %+v", got)
	}
	if l := got.Latency; l == nil || l.P50 < 84 || l.P50 > 110 || l.P95 < l.P50 {
		t.Errorf("they took %+v", l)
	}
}
