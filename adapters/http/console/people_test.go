package console_test

import (
	"encoding/csv"
	"fmt"
	"maps"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

func TestOneLoginTwoCustomers(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	firstKeys := ada.Customer()
	first := ada.Session("").Customer
	second := ada.BuyAgain("Engines of Tomorrow")

	session := ada.Session("")
	if session.Customer != second || session.Company != "Engines of Tomorrow" || len(session.Customers) != 2 {
		t.Errorf("after attaching: %+v", session)
	}
	if session = ada.Session(first); session.Customer != first || session.Company != "Analytical Engines" {
		t.Errorf("the first customer: %+v", session)
	}
	firstSubscription, secondSubscription := w.SubscriptionOf(first), w.SubscriptionOf(second)
	w.Count(firstSubscription, w.Clock.Now().Add(-time.Hour), 3)
	w.Count(secondSubscription, w.Clock.Now().Add(-time.Hour), 5)
	ada.Command("plan/overage?customer="+second, map[string]string{"to": "stop"}).Is(200)
	w.Settled()

	for customer, want := range map[string]struct {
		calls   int64
		limit   string
		overage string
	}{first: {3, "1000", "continue"}, second: {5, "5000", "stop"}} {
		var overview struct {
			Plan  struct{ Overage string }
			Month struct{ Calls int64 }
		}
		ada.Read("overview?customer="+customer, &overview)
		if overview.Month.Calls != want.calls || overview.Plan.Overage != want.overage {
			t.Errorf("overview: %+v, want %+v", overview, want)
		}
		rows, err := csv.NewReader(strings.NewReader(ada.Get("/console/api/usage.csv?customer=" + customer).Is(200).Body)).ReadAll()
		if err != nil || len(rows) != 2 || rows[1][2] != want.limit {
			t.Errorf("CSV: %v, %v", rows, err)
		}
	}
	var keys struct {
		Keys []struct{ Slot, Prefix string }
	}
	ada.Read("keys?customer="+first, &keys)
	if keys.Keys[0].Prefix != firstKeys["primary"][:8] {
		t.Errorf("keys of the first: %+v", keys)
	}
	ada.Read("keys?customer="+second, &keys)
	if keys.Keys[0].Prefix == firstKeys["primary"][:8] || keys.Keys[0].Prefix == "" {
		t.Errorf("keys of the second: %+v", keys)
	}
	if kinds := ada.Activity(first); slices.Contains(kinds, "OverageSwitched") || !slices.Contains(kinds, "LoginSucceeded") {
		t.Errorf("activity of the first: %v", kinds)
	}
	if kinds := ada.Activity(second); !slices.Contains(kinds, "OverageSwitched") || !slices.Contains(kinds, "RegistrationAttached") {
		t.Errorf("activity of the second: %v", kinds)
	}

	// What is ended stays readable, and the next login begins with what is not.
	w.End(secondSubscription)
	w.Settled()
	if ended := ada.Session(second); ended.Status != "ended" || ended.Customer != second {
		t.Errorf("the ended one: %+v", ended)
	}
	ada.Get("/console/api/usage.csv?customer=" + second).Is(200)
	again := w.Client()
	again.LogIn()
	if session := again.Session(""); session.Customer != first || len(session.Customers) != 2 {
		t.Errorf("after another login: %+v", session)
	}
	again.Command("customer?customer="+second, struct{}{}).Is(200)
	if session := again.Session(""); session.Customer != second {
		t.Errorf("after choosing: %+v", session)
	}
}

// Who bought again after the end uses the address that they have.
func TestBuyingAgainAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	first := ada.Session("").Customer
	w.End(w.Subscription())
	w.Settled()
	second := ada.BuyAgain("Analytical Engines")
	if session := ada.Session(""); session.Customer != second || session.Status != "active" {
		t.Errorf("after buying again: %+v", session)
	}
	ada.Read("usage?customer="+first, &struct{}{})
}

// writes are all requests that change something of a customer.
func writes(account string) map[string]any {
	return map[string]any{
		"keys/primary/regenerate":                        map[string]string{"replaces": ""},
		"plan/overage":                                   map[string]string{"to": "stop"},
		"notifications":                                  map[string]any{"usageMails": false, "warnPercent": 80, "stepPercent": 10},
		"keys/primary/name":                              map[string]string{"name": "mine"},
		"people/invite":                                  map[string]string{"email": "eve@example.com", "role": "owner"},
		"people/" + account + "/role":                    map[string]string{"to": "owner"},
		"people/" + account + "/pass-on":                 struct{}{},
		"people/" + account + "/remove":                  struct{}{},
		"invitations/" + uuid.Nil.String() + "/withdraw": struct{}{},
	}
}

// TestEveryWriteIsTriedAsAReader: a route that is added without a line in writes would not be tried.
func TestEveryWriteIsTriedAsAReader(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("api.go")
	consoletest.Must(t, err)
	routes := regexp.MustCompile(`[^n]api\(http\.MethodPost, "([^"]+)"`).FindAllStringSubmatch(string(source), -1)
	for _, route := range routes {
		if route[1] == "try" {
			continue // changes nothing; readers may
		}
		pattern := regexp.MustCompile("^" + regexp.MustCompile(`\{[^}]+\}`).ReplaceAllString(route[1], "[^/]+") + "$")
		if !slices.ContainsFunc(slices.Collect(maps.Keys(writes("account"))), pattern.MatchString) {
			t.Errorf("%s is not tried", route[1])
		}
	}
	if len(routes) < 7 {
		t.Errorf("found %d routes", len(routes))
	}
}

const newAddress = "ada@analytical.example.com"

var reads = []string{"overview", "keys", "usage", "usage/2026-11", "checks", "plan", "notifications", "activity", "people", "usage.csv", "usage/2026-11.csv",
	"failures", "traffic", "cost", "checks/2026-11.csv"}

func TestReadersSeeEverythingAndChangeNothing(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	customer := ada.Session("").Customer
	grace, account := ada.Invite(customer, "reader")
	if session := grace.Session(""); session.Role != "reader" || session.Customer != customer || session.Email != consoletest.GraceAddress || session.Company != "Analytical Engines" {
		t.Errorf("session: %+v", session)
	}
	for _, path := range reads {
		grace.Get("/console/api/" + path).Is(200)
	}
	all, err := w.Store.All()
	consoletest.Must(t, err)
	for path, body := range writes(account) {
		grace.Command(path, body).Is(403).Code("read_only")
	}
	after, err := w.Store.All()
	consoletest.Must(t, err)
	if len(after) != len(all) {
		t.Errorf("a reader has written %v", after[len(all):])
	}
	// Her own login is hers.
	grace.Command("account/sign-out-others", map[string]string{"currentPassword": consoletest.Password}).Is(200)
	grace.Get("/console/api/account").Is(200)
	if kinds := grace.Activity(customer); slices.Contains(kinds, "PasswordSet") == false || !slices.Contains(kinds, "MemberJoined") {
		t.Errorf("her activity: %v", kinds)
	}
	if kinds := ada.Activity(customer); !slices.Contains(kinds, "MemberInvited") || !slices.Contains(kinds, "MemberJoined") {
		t.Errorf("the owner's activity: %v", kinds)
	}
}

func TestStrangersSeeNothing(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	customer := ada.Session("").Customer
	grace, account := ada.Invite(customer, "reader")
	eve := w.Stranger("eve@example.net")
	ada.Command("people/"+account+"/remove", struct{}{}).Is(200)
	w.Settled()
	for name, stranger := range map[string]*consoletest.Client{"somebody else": eve, "who was removed": grace} {
		t.Log(name)
		for _, path := range append(reads, "session", "account") {
			stranger.Get("/console/api/" + path + "?customer=" + customer).Is(403).Code("not_a_member")
		}
		for path, body := range writes(account) {
			stranger.Command(path+"?customer="+customer, body).Is(403).Code("not_a_member")
		}
	}
	if session := grace.Session(""); session.Customer != "" || len(session.Customers) != 0 {
		t.Errorf("who was removed everywhere: %+v", session)
	}
	grace.Get("/console/api/account").Is(200)
	grace.Get("/console/api/keys").Is(403).Code("no_customer")
	own := grace.Session("").Account
	grace.Get("/console/api/keys?customer=" + own).Is(403)
	grace.Command("keys/primary/regenerate?customer="+own, map[string]string{"replaces": ""}).Is(403)
	grace.Get("/console/api/keys?customer=nonsense").Is(400).Code("invalid_request")
}

func TestOwnersManagePeople(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	customer := ada.Session("").Customer
	me := ada.Session("").Account
	ada.Command("people/"+me+"/remove", struct{}{}).Is(409).Code("last_owner")
	ada.Command("people/"+me+"/role", map[string]string{"to": "reader"}).Is(409).Code("last_owner")
	ada.Command("people/invite", map[string]string{"email": "nobody", "role": "reader"}).Is(400).Code("invalid_request")
	ada.Command("people/invite", map[string]string{"email": "a@example.com", "role": "king"}).Is(400).Code("invalid_request")
	ada.Command("people/invite", map[string]string{"email": consoletest.MailAddress, "role": "reader"}).Is(409).Code("already_member")
	ada.Command("people/nobody/remove", struct{}{}).Is(400)
	ada.Command("people/"+uuid.NewString()+"/role", map[string]string{"to": "reader"}).Is(404).Code("no_such_member")

	ada.Command("people/invite", map[string]string{"email": "eve@example.com", "role": "owner"}).Is(200)
	w.Settled()
	var people struct {
		People      []struct{ Account, Name, Email, Role string }
		Invitations []struct{ ID, Email, Role string }
	}
	ada.Read("people", &people)
	if len(people.Invitations) != 1 || people.Invitations[0].Email != "eve@example.com" || people.Invitations[0].Role != "owner" {
		t.Fatalf("invitations: %+v", people.Invitations)
	}
	eve := w.MailedLink("eve@example.com", "You are invited")
	ada.Command("invitations/"+people.Invitations[0].ID+"/withdraw", struct{}{}).Is(200)
	w.Settled()
	w.Client().Get(eve).Is(400).Says("This invitation does not work any more")

	grace, account := ada.Invite(customer, "owner")
	ada.Command("people/"+account+"/pass-on", struct{}{}).Is(200)
	ada.Command("plan/overage", map[string]string{"to": "stop"}).Is(403).Code("read_only")
	w.Settled()
	if session := ada.Session(""); session.Role != "reader" {
		t.Errorf("who passed it on: %+v", session)
	}
	grace.Command("plan/overage", map[string]string{"to": "stop"}).Is(200)
	grace.Command("keys/primary/regenerate", map[string]string{"replaces": ""}).Is(200)
	if _, ok := w.NewestMail(consoletest.GraceAddress, "Primary API key was regenerated"); !ok {
		t.Error("the owner is not told of the key")
	}
	if _, ok := w.NewestMail(consoletest.MailAddress, "Primary API key was regenerated"); ok {
		t.Error("a reader is told of the key")
	}
}

// Somebody with a login accepts with it.
func TestInvitingSomebodyWithALogin(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	customer := ada.Session("").Customer
	_, account := ada.Invite(customer, "reader")

	eve := w.Client()
	token, _ := w.Market.Sell("starter", 1)
	eve.Post("/marketplace/register", consoletest.TokenField, token).Is(200)
	eve.Post("/console/onboarding", consoletest.OnboardingForm("email", "eve@example.com", "company", "Eve Ltd")...).Is(200)
	link := w.MailedLink("eve@example.com", "Verify")
	eve.Post("/console/activate", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(200)
	eve.Post("/console/login", "email", "eve@example.com", "password", consoletest.Password).Is(200)
	w.Settled()
	eve.Command("people/invite", map[string]string{"email": consoletest.GraceAddress, "role": "owner"}).Is(200)
	link = w.MailedLink(consoletest.GraceAddress, "You are invited")

	grace := w.Client()
	grace.Get(link).Is(200).Says("Log in and accept", "Eve Ltd")
	grace.Post("/console/invitation", "token", consoletest.TokenOf(t, link), "password", "wrong").Is(401).Says("The password is not right")
	grace.Post("/console/invitation", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(200).At("/console/dashboard")
	w.Settled()
	if session := grace.Session(""); session.Account != account || session.Company != "Eve Ltd" || session.Role != "owner" || len(session.Customers) != 2 {
		t.Errorf("session: %+v", session)
	}
	grace.Get(link).Is(409).Says("This invitation was already accepted")

	// She is invited under another address, which she takes for her login before she opens the invitation.
	eve.Command("people/invite", map[string]string{"email": newAddress, "role": "reader"}).Is(200)
	link = w.MailedLink(newAddress, "You are invited")
	grace.Command("account/email", map[string]string{"email": newAddress, "currentPassword": consoletest.Password}).Is(200)
	confirm := w.MailedLink(newAddress, "Confirm your new work email")
	grace.Post("/console/email/confirm", "token", consoletest.TokenOf(t, confirm)).Is(200)
	w.Settled()
	grace.Post("/console/invitation", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(409).Says("belongs to the customer already")
}

func TestChangeOfWorkEmail(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	change := func(email, current string) consoletest.Answer {
		return ada.Command("account/email", map[string]string{"email": email, "currentPassword": current})
	}
	change(newAddress, "wrong").Is(400).Code("wrong_password")
	change("nonsense", consoletest.Password).Is(400).Code("invalid_request")
	change(consoletest.MailAddress, consoletest.Password).Is(400).Code("same_email")
	change(newAddress, consoletest.Password).Is(200)
	w.Settled()
	var account struct{ Email, NewEmail string }
	ada.Read("account", &account)
	if account.Email != consoletest.MailAddress || account.NewEmail != newAddress {
		t.Errorf("account: %+v", account)
	}
	link := w.MailedLink(newAddress, "Confirm your new work email")
	w.Client().Get(link).Is(200).Says(newAddress)
	w.Client().Post("/console/email/confirm", "token", consoletest.TokenOf(t, link)).Is(200).Says("Your work email is changed", newAddress)
	w.Client().Post("/console/email/confirm", "token", consoletest.TokenOf(t, link)).Is(409).Says("Your work email is changed already", "your new address")
	w.Settled()
	ada.Read("account", &account)
	if account.Email != newAddress || account.NewEmail != "" {
		t.Errorf("account: %+v", account)
	}
	if _, ok := w.NewestMail(consoletest.MailAddress, "work email was changed"); !ok {
		t.Error("the old address is not told")
	}
	w.Client().Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(401)
	w.Client().Post("/console/login", "email", newAddress, "password", consoletest.Password).Is(200).At("/console/dashboard")
	// The old address is free for another subscription.
	other := w.Client()
	other.Register("starter", 1)
	other.Activate()
}

// The answer to a change says nothing of whether an address has a login; its mail does.
func TestChangeToAnAddressThatHasALogin(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	ada.Invite(ada.Session("").Customer, "reader")
	known := ada.Command("account/email", map[string]string{"email": consoletest.GraceAddress, "currentPassword": consoletest.Password}).Is(200)
	unknown := ada.Command("account/email", map[string]string{"email": newAddress, "currentPassword": consoletest.Password}).Is(200)
	if len(known.Body) != len(unknown.Body) {
		t.Errorf("%s and %s differ", known.Body, unknown.Body)
	}
	if _, ok := w.NewestMail(newAddress, "Confirm"); !ok {
		t.Error("the newest address gets no link")
	}
	ada.Command("account/email", map[string]string{"email": consoletest.GraceAddress, "currentPassword": consoletest.Password}).Is(200)
	if mail, ok := w.NewestMail(consoletest.GraceAddress, "has a Liveness Detection API login already"); !ok || strings.Contains(mail.Text, "/console/email/confirm") {
		t.Errorf("the mail to an address with a login: %+v", mail)
	}
}

// A link to attach is worthless for another login, and for the wrong password.
func TestAttachingNeedsTheLoginOfTheAddress(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	grace, _ := ada.Invite(ada.Session("").Customer, "reader")
	buyer := w.Client()
	buyer.Register("starter", 1)
	link := w.MailedLink(consoletest.MailAddress, "Add your new subscription")
	token := consoletest.TokenOf(t, link)
	buyer.Post("/console/activate/attach", "token", token, "password", "wrong").Is(401).Says("The password is not right")
	grace.Get(link).Is(200).Says("Log in and add the subscription") // she is logged in as somebody else
	grace.Post("/console/activate/attach", "token", token, "password", "").Is(401)
	buyer.Post("/console/activate", "token", token, "password", consoletest.Password).Is(http.StatusOK).At("/console/activate").Says("Add the subscription to your login")
	ada.Get(link).Is(200).Says("Add the subscription")
	ada.Post("/console/activate/attach", "token", token).Is(200).Says("The subscription is added to your login")
	ada.Get(link).Is(409).Says("This link was already used")
	ada.Post("/console/activate/attach", "token", token).Is(409)
}

// An owner lets a whole team in at once; only who goes on and on mailing strangers has to wait.
func TestInvitingATeam(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	invite := func(i int) consoletest.Answer {
		return ada.Command("people/invite", map[string]string{"email": fmt.Sprintf("colleague%d@example.com", i), "role": "reader"})
	}
	for i := range 40 {
		invite(i).Is(200)
	}
	invite(40).Is(429).Code("too_many_attempts")
}
