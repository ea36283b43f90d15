package console_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/domain"
)

// theft is a request for what is another customer's.
type theft struct {
	path  string   // with the victim's ids and cursors, without /console/api/ where the route begins with it
	body  any      // of a command; the fields of a form
	named bool     // the address is about a customer: naming the victim is refused as such
	owner int      // what the victim gets for the same request; 0: not asked, because it is about the own login, or ends it
	marks []string // types of events that anybody may cause of anybody
}

// victim is what there is to know of a customer, all of which a stranger may have learned.
type victim struct {
	customer, account, colleague, invitation, session, subscription string
	prefix, request, event, position                                string
}

// thefts are a request for each route of the console. What is public has one too: the victim's ids must lead nowhere there either.
func thefts(v victim) map[string]theft {
	form := func(fields ...string) []string { return fields }
	own := struct{}{}
	all := map[string]theft{
		"POST /marketplace/register":                    {body: form(consoletest.TokenField, v.subscription)},
		"GET /marketplace/register":                     {path: "?x-amzn-marketplace-token=" + v.subscription},
		"GET /console/onboarding":                       {path: "?subscription=" + v.subscription},
		"POST /console/onboarding":                      {body: consoletest.OnboardingForm()},
		"GET /console/check-mail":                       {path: "?email=" + consoletest.MailAddress},
		"POST /console/check-mail/resend":               {body: form("email", consoletest.MailAddress)},
		"GET /console/activate":                         {path: "?token=" + v.account},
		"POST /console/activate":                        {body: form("token", v.account, "password", consoletest.Password)},
		"POST /console/activate/renew":                  {body: form("token", v.account, "email", consoletest.MailAddress)},
		"POST /console/activate/attach":                 {body: form("token", v.subscription, "password", consoletest.Password)},
		"GET /console/invitation":                       {path: "?token=" + v.invitation},
		"POST /console/invitation":                      {body: form("token", v.invitation, "firstName", "Eve", "lastName", "Eve", "password", consoletest.Password)},
		"GET /console/email/confirm":                    {path: "?token=" + v.account},
		"POST /console/email/confirm":                   {body: form("token", v.account)},
		"GET /console/login":                            {path: "?next=/console/checks/2026-11.1"},
		"POST /console/login":                           {body: form("email", consoletest.MailAddress, "password", "Not-her-password-1"), marks: []string{"LoginFailed"}},
		"GET /console/login/code":                       {},
		"POST /console/login/code":                      {body: form("code", "123456", "account", v.account)},
		"GET /console/password/forgot":                  {path: "?email=" + consoletest.MailAddress},
		"POST /console/password/forgot":                 {body: form("email", consoletest.MailAddress), marks: []string{"PasswordResetRequested"}},
		"GET /console/password/reset":                   {path: "?token=" + v.account},
		"POST /console/password/reset":                  {body: form("token", v.account, "password", "Another-password-1")},
		"GET /console/checks/{check}":                   {path: "/console/checks/2026-11.1"},
		"GET /console/explain/{event}":                  {path: "/console/explain/" + v.event},
		"GET /console/replay/{position}":                {path: "/console/replay/" + v.position},
		"GET api/explanations/{event}":                  {path: "explanations/" + v.event, named: true, owner: 200},
		"GET api/replay/{position}":                     {path: "replay/" + v.position, named: true, owner: 200},
		"GET api/session":                               {path: "session", named: true, owner: 200},
		"POST api/customer":                             {path: "customer", body: own, named: true, owner: 200},
		"GET api/snippets":                              {path: "snippets", owner: 200},
		"GET api/overview":                              {path: "overview", named: true, owner: 200},
		"GET api/keys":                                  {path: "keys?after=" + v.position, named: true, owner: 200},
		"POST api/keys/{slot}/name":                     {path: "keys/primary/name", body: map[string]string{"name": "mine"}, named: true, owner: 200},
		"POST api/keys/{slot}/regenerate":               {path: "keys/secondary/regenerate", body: map[string]string{"replaces": v.prefix}, named: true, owner: 200},
		"GET api/usage":                                 {path: "usage", named: true, owner: 200},
		"GET api/usage/{month}":                         {path: "usage/2026-11", named: true, owner: 200},
		"GET api/checks":                                {path: "checks?behind=2026-11.3&request=" + v.request, named: true, owner: 200},
		"GET api/checks/{month}.{ordinal}":              {path: "checks/2026-11.1", named: true, owner: 200},
		"GET api/cost":                                  {path: "cost", named: true, owner: 200},
		"GET api/traffic":                               {path: "traffic", named: true, owner: 200},
		"GET api/failures":                              {path: "failures?month=2026-11", named: true, owner: 200},
		"GET api/try":                                   {path: "try", named: true, owner: 200},
		"POST api/try":                                  {path: "try", body: photo("a photo"), named: true, owner: 200},
		"GET api/plan":                                  {path: "plan", named: true, owner: 200},
		"POST api/plan/overage":                         {path: "plan/overage", body: map[string]string{"to": "stop"}, named: true, owner: 200},
		"GET api/notifications":                         {path: "notifications", named: true, owner: 200},
		"POST api/notifications":                        {path: "notifications", body: map[string]any{"usageMails": false, "warnPercent": 80, "stepPercent": 10}, named: true, owner: 200},
		"GET api/activity":                              {path: "activity?before=" + v.position, named: true, owner: 200},
		"GET api/people":                                {path: "people", named: true, owner: 200},
		"POST api/people/invite":                        {path: "people/invite", body: map[string]string{"email": "mallory@example.com", "role": "owner"}, named: true, owner: 200},
		"POST api/people/{account}/role":                {path: "people/" + v.colleague + "/role", body: map[string]string{"to": "owner"}, named: true, owner: 200},
		"POST api/people/{account}/pass-on":             {path: "people/" + v.colleague + "/pass-on", body: own, named: true},
		"POST api/people/{account}/remove":              {path: "people/" + v.account + "/remove", body: own, named: true},
		"POST api/invitations/{invitation}/withdraw":    {path: "invitations/" + v.invitation + "/withdraw", body: own, named: true, owner: 200},
		"GET api/account":                               {path: "account", named: true, owner: 200},
		"POST api/account/password":                     {path: "account/password", body: map[string]string{"currentPassword": "Not-her-password-1", "password": "Another-password-1"}},
		"POST api/account/email":                        {path: "account/email", body: map[string]string{"email": consoletest.MailAddress, "currentPassword": "Not-her-password-1"}},
		"POST api/account/confirm":                      {path: "account/confirm", body: map[string]string{"currentPassword": "Not-her-password-1"}},
		"GET api/account/sessions":                      {path: "account/sessions", owner: 200},
		"POST api/account/sessions/{session}/end":       {path: "account/sessions/" + v.session + "/end", body: map[string]string{"currentPassword": consoletest.Password}},
		"POST api/account/second-factor/prepare":        {path: "account/second-factor/prepare", body: own},
		"POST api/account/second-factor/add":            {path: "account/second-factor/add", body: map[string]string{"code": "123456"}},
		"POST api/account/second-factor/remove":         {path: "account/second-factor/remove", body: map[string]string{"code": "123456"}},
		"POST api/account/second-factor/recovery-codes": {path: "account/second-factor/recovery-codes", body: map[string]string{"code": "123456"}},
		"GET api/usage.csv":                             {path: "usage.csv", named: true, owner: 200},
		"GET api/usage/{month}.csv":                     {path: "usage/2026-11.csv", named: true, owner: 200},
		"GET api/usage/{month}.ndjson":                  {path: "usage/2026-11.ndjson", named: true},
		"GET api/check-proof.html":                      {path: "check-proof.html", owner: 200},
		"GET api/checks/{month}.csv":                    {path: "checks/2026-11.csv", named: true, owner: 200},
		"POST api/login":                                {path: "login", body: map[string]string{"email": consoletest.MailAddress, "password": "Not-her-password-1"}, marks: []string{"LoginFailed"}},
		"POST api/account/sign-out-others":              {path: "account/sign-out-others", body: map[string]string{"currentPassword": "Not-her-password-1"}},
		"POST /console/logout":                          {body: form("account", v.account)},
	}
	for _, screen := range []string{"dashboard", "keys", "usage", "try", "plan", "activity", "people", "docs", "account"} {
		all["GET /console/"+screen] = theft{}
	}
	return all
}

// TestEveryRouteIsTriedOnAnotherCustomer: a customer with a session of its own, and everything that can be known of another one, gets
// nothing of it and changes nothing of it, whichever address of the console it asks. A new route without a theft fails.
func TestEveryRouteIsTriedOnAnotherCustomer(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada, v, secrets := robbed(w)
	eve := w.Stranger("eve@example.net")
	own := eve.Session("").Customer
	all := thefts(v)
	tried := map[string]bool{}
	for _, route := range console.Routes() {
		theft, known := all[route]
		if tried[route] = true; !known {
			t.Errorf("%s is not tried: add what a stranger would ask it for", route)
			continue
		}
		if strings.HasSuffix(route, "/logout") {
			continue // below, at the end
		}
		for _, naming := range []bool{false, true} {
			a, events := try(w, eve, route, theft, naming, v.customer)
			if naming && theft.named && (a.Status != http.StatusForbidden || !strings.Contains(a.Body, "not_a_member")) {
				t.Errorf("%s, naming the other customer, answers %d:\n%s", route, a.Status, a.Text())
			}
			for _, secret := range secrets {
				if strings.Contains(a.Body, secret) && !strings.Contains(sent(theft), secret) && !(naming && secret == v.customer) {
					t.Errorf("%s (naming the other: %t) tells a stranger %q:\n%s", route, naming, secret, a.Text())
				}
			}
			for _, event := range events {
				text, err := json.Marshal(event)
				consoletest.Must(t, err)
				for _, id := range []string{v.customer, v.account, v.subscription, v.colleague, v.invitation} {
					if strings.Contains(string(text), id) && !slices.Contains(theft.marks, event.Event.EventType()) {
						t.Errorf("%s (naming the other: %t): a stranger has written %s of the other: %s", route, naming, event.Event.EventType(), text)
					}
				}
			}
		}
		if strings.HasPrefix(route, "GET api/") || strings.HasPrefix(route, "POST api/") && route != "POST api/login" {
			if a, _ := try(w, w.Client(), route, theft, true, v.customer); a.Status != http.StatusUnauthorized {
				t.Errorf("%s answers %d without a session", route, a.Status)
			}
		}
	}
	for route := range all {
		if !tried[route] {
			t.Errorf("there is no %s any more", route)
		}
	}
	if now := eve.Session("").Customer; now != own {
		t.Errorf("the stranger acts for %s now", now)
	}
	// The requests were good ones: their owner is answered, the session that a stranger tried to end goes on.
	for _, route := range console.Routes() {
		if theft := all[route]; theft.owner != 0 {
			if a, _ := try(w, ada, route, theft, true, v.customer); a.Status != theft.owner {
				t.Errorf("%s answers its owner %d:\n%s", route, a.Status, a.Text())
			}
		}
	}
	eve.Post("/console/logout", all["POST /console/logout"].body.([]string)...).Is(http.StatusOK)
	ada.Get("/console/api/session").Is(http.StatusOK)
}

// robbed is a customer with a colleague, an invitation, checks, a named key and failed calls; and what of it nobody else may read.
func robbed(w *consoletest.World) (ada *consoletest.Client, v victim, secrets []string) {
	ada = w.Client()
	keys := ada.Customer()
	session := ada.Session("")
	_, colleague := ada.Invite(session.Customer, "reader")
	ada.Command("people/invite", map[string]string{"email": "bertha@example.com", "role": "reader"}).Is(http.StatusOK)
	var named struct{ Position string }
	ada.Command("keys/primary/name", map[string]string{"name": "Production of Ada"}).Is(http.StatusOK).Decode(&named)
	w.Count(w.Subscription(), w.Clock.Now().Add(-time.Minute), 3)
	failed := consoletest.NoFace(w.Clock.Now())
	failed.RequestID = uuid.New()
	w.Fail(failed)
	w.Settled()
	var check struct{ RequestID, EventID string }
	ada.Read("checks/2026-11.1", &check)
	var activity struct{ Entries []struct{ ID string } }
	ada.Read("activity", &activity)
	var people struct{ Invitations []struct{ ID string } }
	ada.Read("people", &people)
	var sessions struct{ Sessions []struct{ ID string } }
	ada.Read("account/sessions", &sessions)
	v = victim{
		customer: session.Customer, account: session.Account, colleague: colleague, invitation: people.Invitations[0].ID, session: sessions.Sessions[0].ID,
		subscription: w.Subscription().String(), prefix: keys["secondary"][:8], request: check.RequestID, event: activity.Entries[0].ID, position: named.Position,
	}
	return ada, v, []string{
		v.customer, v.account, v.colleague, v.invitation, v.session, v.subscription, v.prefix, keys["primary"][:8], v.request, check.EventID, failed.RequestID.String(),
		consoletest.MailAddress, consoletest.GraceAddress, "bertha@example.com", "Lovelace", "Hopper", "Analytical Engines", "Production of Ada",
	}
}

// sent is all that a request says, which may come back.
func sent(t theft) string {
	text, err := json.Marshal(t.body)
	if err != nil {
		panic(err)
	}
	return t.path + string(text)
}

// try sends a request, naming a customer in its address or not, and returns what was appended to the log by it.
func try(w *consoletest.World, by *consoletest.Client, route string, theft theft, naming bool, customer string) (consoletest.Answer, []domain.Recorded) {
	before := len(w.All())
	method, path, _ := strings.Cut(route, " ")
	switch {
	case strings.HasPrefix(path, "api/"):
		path = "/console/api/" + theft.path
	case strings.HasPrefix(theft.path, "/"):
		path = theft.path
	default:
		path += theft.path
	}
	if naming {
		separator := "?"
		if strings.Contains(path, "?") {
			separator = "&"
		}
		path += separator + url.Values{"customer": {customer}}.Encode()
	}
	var a consoletest.Answer
	switch body := theft.body.(type) {
	case nil:
		a = by.Send(method, path, "", "")
	case []string:
		a = by.Post(path, body...)
	default:
		a = by.Command(strings.TrimPrefix(path, "/console/api/"), body)
	}
	return a, w.All()[before:]
}
