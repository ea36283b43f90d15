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

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

const (
	graceAddress = "grace@example.com"
	newAddress   = "ada@analytical.example.com"
)

// shownSession is what frames every screen.
type shownSession struct {
	Account   string
	Email     string
	Customer  string
	Company   string
	Status    string
	Role      string
	Customers []struct{ ID, Company, Status, Role string }
}

func (b *browser) session(customer string) (s shownSession) {
	b.w.t.Helper()
	path := "session"
	if customer != "" {
		path += "?customer=" + customer
	}
	b.read(path, &s)
	return s
}

// buyAgain registers another subscription with the address that has a login, and attaches it; it gives the customer.
func (b *browser) buyAgain(company string) string {
	b.w.t.Helper()
	token, identity := b.w.market.sell("standard", 1)
	b.post("/marketplace/register", tokenField, token).is(200).at("/console/onboarding")
	b.post("/console/onboarding", person("company", company)...).is(200).at("/console/check-mail")
	link := b.w.mailedLink(mailAddress, "Add your new subscription")
	b.get(link).is(200).says("Add the subscription to your login", mailAddress, identity.DisplayID())
	b.post("/console/activate/attach", "token", tokenOf(b.w.t, link), "password", password).is(200).says("The subscription is added to your login", "Primary key")
	b.w.settled()
	return domain.CustomerIDForSubscription(domain.SubscriptionIDForLicence(identity.LicenseARN)).String()
}

// invite lets the owner who uses the browser invite grace, who accepts; it gives her browser and her account.
func (b *browser) invite(customer, role string) (grace *browser, account string) {
	b.w.t.Helper()
	b.command("people/invite?customer="+customer, map[string]string{"email": graceAddress, "role": role}).is(200)
	grace = b.w.browser()
	link := b.w.mailedLink(graceAddress, "You are invited")
	grace.get(link).is(200).says("You are invited", graceAddress)
	grace.post("/console/invitation", "token", tokenOf(b.w.t, link), "firstName", "Grace", "lastName", "Hopper", "password", password).is(200).at("/console/dashboard")
	b.w.settled()
	return grace, grace.session("").Account
}

func TestOneLoginTwoCustomers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	firstKeys := ada.customer()
	first := ada.session("").Customer
	second := ada.buyAgain("Engines of Tomorrow")

	session := ada.session("")
	if session.Customer != second || session.Company != "Engines of Tomorrow" || len(session.Customers) != 2 {
		t.Errorf("after attaching: %+v", session)
	}
	if session = ada.session(first); session.Customer != first || session.Company != "Analytical Engines" {
		t.Errorf("the first customer: %+v", session)
	}
	firstSubscription, secondSubscription := w.subscriptionOf(first), w.subscriptionOf(second)
	w.count(firstSubscription, w.clock.Now().Add(-time.Hour), 3)
	w.count(secondSubscription, w.clock.Now().Add(-time.Hour), 5)
	ada.command("plan/overage?customer="+second, map[string]string{"to": "stop"}).is(200)
	w.settled()

	for customer, want := range map[string]struct {
		calls   int64
		limit   string
		overage string
	}{first: {3, "1000", "continue"}, second: {5, "5000", "stop"}} {
		var overview struct {
			Plan  struct{ Overage string }
			Month struct{ Calls int64 }
		}
		ada.read("overview?customer="+customer, &overview)
		if overview.Month.Calls != want.calls || overview.Plan.Overage != want.overage {
			t.Errorf("overview: %+v, want %+v", overview, want)
		}
		rows, err := csv.NewReader(strings.NewReader(ada.get("/console/api/usage.csv?customer=" + customer).is(200).body)).ReadAll()
		if err != nil || len(rows) != 2 || rows[1][2] != want.limit {
			t.Errorf("CSV: %v, %v", rows, err)
		}
	}
	var keys struct {
		Keys []struct{ Slot, Prefix string }
	}
	ada.read("keys?customer="+first, &keys)
	if keys.Keys[0].Prefix != firstKeys["primary"][:8] {
		t.Errorf("keys of the first: %+v", keys)
	}
	ada.read("keys?customer="+second, &keys)
	if keys.Keys[0].Prefix == firstKeys["primary"][:8] || keys.Keys[0].Prefix == "" {
		t.Errorf("keys of the second: %+v", keys)
	}
	if kinds := ada.activity(first); slices.Contains(kinds, "OverageSwitched") || !slices.Contains(kinds, "LoginSucceeded") {
		t.Errorf("activity of the first: %v", kinds)
	}
	if kinds := ada.activity(second); !slices.Contains(kinds, "OverageSwitched") || !slices.Contains(kinds, "RegistrationAttached") {
		t.Errorf("activity of the second: %v", kinds)
	}

	// What is ended stays readable, and the next login begins with what is not.
	w.end(secondSubscription)
	w.settled()
	if ended := ada.session(second); ended.Status != "ended" || ended.Customer != second {
		t.Errorf("the ended one: %+v", ended)
	}
	ada.get("/console/api/usage.csv?customer=" + second).is(200)
	again := w.browser()
	again.logIn()
	if session := again.session(""); session.Customer != first || len(session.Customers) != 2 {
		t.Errorf("after another login: %+v", session)
	}
	again.command("customer?customer="+second, struct{}{}).is(200)
	if session := again.session(""); session.Customer != second {
		t.Errorf("after choosing: %+v", session)
	}
}

func (b *browser) activity(customer string) (kinds []string) {
	b.w.t.Helper()
	var activity struct{ Entries []struct{ Kind string } }
	b.read("activity?customer="+customer, &activity)
	for _, e := range activity.Entries {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// subscriptionOf returns the subscription of a customer.
func (w *world) subscriptionOf(customer string) uuid.UUID {
	w.t.Helper()
	account, err := w.accounts.Account(w.t.Context(), uuid.MustParse(customer))
	must(w.t, err)
	return account.SubscriptionID
}

// end ends a subscription, as AWS does.
func (w *world) end(subscription uuid.UUID) {
	w.t.Helper()
	_, err := commands.Execute(w.t.Context(), w.accounts.Executor, commands.NewOrigin(domain.ActorMarketplace), domain.SubscriptionStream(subscription),
		func(s domain.Subscription) ([]domain.Event, error) { return s.End("cancelled", w.clock.Now()), nil })
	must(w.t, err)
}

// Who bought again after the end uses the address that they have.
func TestBuyingAgainAfterTheEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	first := ada.session("").Customer
	w.end(w.subscription())
	w.settled()
	second := ada.buyAgain("Analytical Engines")
	if session := ada.session(""); session.Customer != second || session.Status != "active" {
		t.Errorf("after buying again: %+v", session)
	}
	ada.read("usage?customer="+first, &struct{}{})
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
	must(t, err)
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

var reads = []string{"overview", "keys", "usage", "usage/2026-11", "checks", "plan", "notifications", "activity", "people", "usage.csv", "usage/2026-11.csv",
	"failures", "traffic", "cost", "checks/2026-11.csv"}

func TestReadersSeeEverythingAndChangeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	customer := ada.session("").Customer
	grace, account := ada.invite(customer, "reader")
	if session := grace.session(""); session.Role != "reader" || session.Customer != customer || session.Email != graceAddress || session.Company != "Analytical Engines" {
		t.Errorf("session: %+v", session)
	}
	for _, path := range reads {
		grace.get("/console/api/" + path).is(200)
	}
	all, err := w.store.All()
	must(t, err)
	for path, body := range writes(account) {
		grace.command(path, body).is(403).code("read_only")
	}
	after, err := w.store.All()
	must(t, err)
	if len(after) != len(all) {
		t.Errorf("a reader has written %v", after[len(all):])
	}
	// Her own login is hers.
	grace.command("account/sign-out-others", struct{}{}).is(200)
	grace.get("/console/api/account").is(200)
	if kinds := grace.activity(customer); slices.Contains(kinds, "PasswordSet") == false || !slices.Contains(kinds, "MemberJoined") {
		t.Errorf("her activity: %v", kinds)
	}
	if kinds := ada.activity(customer); !slices.Contains(kinds, "MemberInvited") || !slices.Contains(kinds, "MemberJoined") {
		t.Errorf("the owner's activity: %v", kinds)
	}
}

func TestStrangersSeeNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	customer := ada.session("").Customer
	grace, account := ada.invite(customer, "reader")
	eve := w.browser()
	token, _ := w.market.sell("starter", 1)
	eve.post("/marketplace/register", tokenField, token).is(200)
	eve.post("/console/onboarding", person("email", "eve@example.com")...).is(200)
	link := w.mailedLink("eve@example.com", "Verify")
	eve.post("/console/activate", "token", tokenOf(t, link), "password", password).is(200)
	eve.post("/console/login", "email", "eve@example.com", "password", password).is(200).at("/console/dashboard")
	w.settled()

	ada.command("people/"+account+"/remove", struct{}{}).is(200)
	w.settled()
	for name, stranger := range map[string]*browser{"somebody else": eve, "who was removed": grace} {
		t.Log(name)
		for _, path := range append(reads, "session", "account") {
			stranger.get("/console/api/" + path + "?customer=" + customer).is(403).code("not_a_member")
		}
		for path, body := range writes(account) {
			stranger.command(path+"?customer="+customer, body).is(403).code("not_a_member")
		}
	}
	if session := grace.session(""); session.Customer != "" || len(session.Customers) != 0 {
		t.Errorf("who was removed everywhere: %+v", session)
	}
	grace.get("/console/api/account").is(200)
	grace.get("/console/api/keys").is(403).code("no_customer")
	own := grace.session("").Account
	grace.get("/console/api/keys?customer=" + own).is(403)
	grace.command("keys/primary/regenerate?customer="+own, map[string]string{"replaces": ""}).is(403)
	grace.get("/console/api/keys?customer=nonsense").is(400).code("invalid_request")
}

func TestOwnersManagePeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	customer := ada.session("").Customer
	me := ada.session("").Account
	ada.command("people/"+me+"/remove", struct{}{}).is(409).code("last_owner")
	ada.command("people/"+me+"/role", map[string]string{"to": "reader"}).is(409).code("last_owner")
	ada.command("people/invite", map[string]string{"email": "nobody", "role": "reader"}).is(400).code("invalid_request")
	ada.command("people/invite", map[string]string{"email": "a@example.com", "role": "king"}).is(400).code("invalid_request")
	ada.command("people/invite", map[string]string{"email": mailAddress, "role": "reader"}).is(409).code("already_member")
	ada.command("people/nobody/remove", struct{}{}).is(400)
	ada.command("people/"+uuid.NewString()+"/role", map[string]string{"to": "reader"}).is(404).code("no_such_member")

	ada.command("people/invite", map[string]string{"email": "eve@example.com", "role": "owner"}).is(200)
	w.settled()
	var people struct {
		People      []struct{ Account, Name, Email, Role string }
		Invitations []struct{ ID, Email, Role string }
	}
	ada.read("people", &people)
	if len(people.Invitations) != 1 || people.Invitations[0].Email != "eve@example.com" || people.Invitations[0].Role != "owner" {
		t.Fatalf("invitations: %+v", people.Invitations)
	}
	eve := w.mailedLink("eve@example.com", "You are invited")
	ada.command("invitations/"+people.Invitations[0].ID+"/withdraw", struct{}{}).is(200)
	w.settled()
	w.browser().get(eve).is(400).says("This invitation does not work any more")

	grace, account := ada.invite(customer, "owner")
	ada.command("people/"+account+"/pass-on", struct{}{}).is(200)
	ada.command("plan/overage", map[string]string{"to": "stop"}).is(403).code("read_only")
	w.settled()
	if session := ada.session(""); session.Role != "reader" {
		t.Errorf("who passed it on: %+v", session)
	}
	grace.command("plan/overage", map[string]string{"to": "stop"}).is(200)
	grace.command("keys/primary/regenerate", map[string]string{"replaces": ""}).is(200)
	if _, ok := w.newestMail(graceAddress, "Primary API key was regenerated"); !ok {
		t.Error("the owner is not told of the key")
	}
	if _, ok := w.newestMail(mailAddress, "Primary API key was regenerated"); ok {
		t.Error("a reader is told of the key")
	}
}

// Somebody with a login accepts with it.
func TestInvitingSomebodyWithALogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	customer := ada.session("").Customer
	_, account := ada.invite(customer, "reader")

	eve := w.browser()
	token, _ := w.market.sell("starter", 1)
	eve.post("/marketplace/register", tokenField, token).is(200)
	eve.post("/console/onboarding", person("email", "eve@example.com", "company", "Eve Ltd")...).is(200)
	link := w.mailedLink("eve@example.com", "Verify")
	eve.post("/console/activate", "token", tokenOf(t, link), "password", password).is(200)
	eve.post("/console/login", "email", "eve@example.com", "password", password).is(200)
	w.settled()
	eve.command("people/invite", map[string]string{"email": graceAddress, "role": "owner"}).is(200)
	link = w.mailedLink(graceAddress, "You are invited")

	grace := w.browser()
	grace.get(link).is(200).says("Log in and accept", "Eve Ltd")
	grace.post("/console/invitation", "token", tokenOf(t, link), "password", "wrong").is(401).says("The password is not right")
	grace.post("/console/invitation", "token", tokenOf(t, link), "password", password).is(200).at("/console/dashboard")
	w.settled()
	if session := grace.session(""); session.Account != account || session.Company != "Eve Ltd" || session.Role != "owner" || len(session.Customers) != 2 {
		t.Errorf("session: %+v", session)
	}
	grace.get(link).is(409).says("This invitation was already accepted")
}

func TestChangeOfWorkEmail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	change := func(email, current string) answer {
		return ada.command("account/email", map[string]string{"email": email, "currentPassword": current})
	}
	change(newAddress, "wrong").is(400).code("wrong_password")
	change("nonsense", password).is(400).code("invalid_request")
	change(mailAddress, password).is(400).code("same_email")
	change(newAddress, password).is(200)
	w.settled()
	var account struct{ Email, NewEmail string }
	ada.read("account", &account)
	if account.Email != mailAddress || account.NewEmail != newAddress {
		t.Errorf("account: %+v", account)
	}
	link := w.mailedLink(newAddress, "Confirm your new work email")
	w.browser().get(link).is(200).says(newAddress)
	w.browser().post("/console/email/confirm", "token", tokenOf(t, link)).is(200).says("Your work email is changed", newAddress)
	w.browser().post("/console/email/confirm", "token", tokenOf(t, link)).is(400).says("does not work any more")
	w.settled()
	ada.read("account", &account)
	if account.Email != newAddress || account.NewEmail != "" {
		t.Errorf("account: %+v", account)
	}
	if _, ok := w.newestMail(mailAddress, "work email was changed"); !ok {
		t.Error("the old address is not told")
	}
	w.browser().post("/console/login", "email", mailAddress, "password", password).is(401)
	w.browser().post("/console/login", "email", newAddress, "password", password).is(200).at("/console/dashboard")
	// The old address is free for another subscription.
	other := w.browser()
	other.register("starter", 1)
	other.activate()
}

// The answer to a change says nothing of whether an address has a login; its mail does.
func TestChangeToAnAddressThatHasALogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	ada.invite(ada.session("").Customer, "reader")
	known := ada.command("account/email", map[string]string{"email": graceAddress, "currentPassword": password}).is(200)
	unknown := ada.command("account/email", map[string]string{"email": newAddress, "currentPassword": password}).is(200)
	if len(known.body) != len(unknown.body) {
		t.Errorf("%s and %s differ", known.body, unknown.body)
	}
	if _, ok := w.newestMail(newAddress, "Confirm"); !ok {
		t.Error("the newest address gets no link")
	}
	ada.command("account/email", map[string]string{"email": graceAddress, "currentPassword": password}).is(200)
	if mail, ok := w.newestMail(graceAddress, "has a Liveness Detection API login already"); !ok || strings.Contains(mail.Text, "/console/email/confirm") {
		t.Errorf("the mail to an address with a login: %+v", mail)
	}
}

// A link to attach is worthless for another login, and for the wrong password.
func TestAttachingNeedsTheLoginOfTheAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	grace, _ := ada.invite(ada.session("").Customer, "reader")
	buyer := w.browser()
	buyer.register("starter", 1)
	link := w.mailedLink(mailAddress, "Add your new subscription")
	token := tokenOf(t, link)
	buyer.post("/console/activate/attach", "token", token, "password", "wrong").is(401).says("The password is not right")
	grace.get(link).is(200).says("Log in and add the subscription") // she is logged in as somebody else
	grace.post("/console/activate/attach", "token", token, "password", "").is(401)
	buyer.post("/console/activate", "token", token, "password", password).is(http.StatusOK).at("/console/activate").says("Add the subscription to your login")
	ada.get(link).is(200).says("Add the subscription")
	ada.post("/console/activate/attach", "token", token).is(200).says("The subscription is added to your login")
	ada.get(link).is(409).says("This link was already used")
	ada.post("/console/activate/attach", "token", token).is(409)
}

// An owner lets a whole team in at once; only who goes on and on mailing strangers has to wait.
func TestInvitingATeam(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ada := w.browser()
	ada.customer()
	invite := func(i int) answer {
		return ada.command("people/invite", map[string]string{"email": fmt.Sprintf("colleague%d@example.com", i), "role": "reader"})
	}
	for i := range 40 {
		invite(i).is(200)
	}
	invite(40).is(429).code("too_many_attempts")
}
