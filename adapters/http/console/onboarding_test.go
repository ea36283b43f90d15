package console_test

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/pas-ta/liveness/commands/accounts"
)

func (b *browser) atOnboarding() {
	b.w.t.Helper()
	token, _ := b.w.market.sell("starter", 1)
	b.post("/marketplace/register", tokenField, token).is(200).at("/console/onboarding")
}

func TestBadFieldsAreNamedAndKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct{ field, value, says string }{
		{"firstName", "", "Enter your first name."},
		{"firstName", strings.Repeat("あ", 4000), "longer than 100 characters"},
		{"lastName", "a\x00b", "control characters"},
		{"lastName", "bad \xff\xfe bytes", "cannot be read"},
		{"company", "two\nlines", "control characters"},
		{"email", "", "Enter a mail address"},
		{"email", "ada@localhost", "Enter a mail address"},
		{"email", "Ada <ada@example.com>", "Enter a mail address"},
		{"email", "ada@example.com\r\nBcc: all@example.com", "Enter a mail address"},
		{"email", strings.Repeat("a", 10_000) + "@example.com", "longer than 254"},
		{"email", "jösé@example.com", "ASCII"},
		{"website", "http://example.com", "in the form https://example.com"},
		{"website", "https://example.com/about", "in the form https://example.com"},
		{"website", "https://user:pass@example.com", "in the form https://example.com"},
		{"website", "https://example.com:8443", "in the form https://example.com"},
		{"website", "javascript:alert(1)", "in the form https://example.com"},
		{"website", "https://", "in the form https://example.com"},
	} {
		b := w.browser()
		b.atOnboarding()
		page := b.post("/console/onboarding", person(c.field, c.value)...).is(400).says(c.says, "123456789012")
		if !strings.Contains(page.body, `aria-invalid="true"`) {
			t.Errorf("%s %.20q is not marked", c.field, c.value)
		}
		other := "Analytical Engines"
		if c.field == "company" {
			other = "Lovelace"
		}
		if !strings.Contains(page.body, `value="`+other+`"`) {
			t.Errorf("after %s %.20q the other values are gone", c.field, c.value)
		}
	}
}

func TestHostileTextIsJustText(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const hostile = `Robert'); DROP TABLE accounts;--<script>alert(1)</script>"&{{.}}`
	b := w.browser()
	b.atOnboarding()
	page := b.post("/console/onboarding", person("firstName", hostile, "website", "nope")...).is(400)
	if strings.Contains(page.body, "<script>alert") || !strings.Contains(page.body, html.EscapeString(hostile)) {
		t.Errorf("the value is not given back as text:\n%s", page.body)
	}
	b.post("/console/onboarding", person("firstName", hostile, "lastName", hostile, "company", hostile)...).is(200).at("/console/check-mail")
	mail, _ := w.newestMail(mailAddress, "Verify")
	if strings.Contains(mail.HTML+mail.Text, "script>") {
		t.Errorf("a stranger's words are mailed to an address that nobody has proved:\n%s\n%s", mail.Text, mail.HTML)
	}
	b.activate()
	mail, _ = w.newestMail(mailAddress, "account is active")
	if strings.Contains(mail.HTML, "<script>") || !strings.Contains(mail.Text, hostile) {
		t.Errorf("the mail does not greet by the name as it is:\n%s\n%s", mail.Text, mail.HTML)
	}
	b.logIn()
	var account struct{ FirstName, LastName, Company string }
	b.read("account", &account)
	if account.FirstName != hostile || account.LastName != hostile || account.Company != hostile {
		t.Errorf("account: %+v", account)
	}
}

func TestNamesAndDomainsOfTheWorld(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.atOnboarding()
	b.post("/console/onboarding", person("firstName", "愛", "lastName", "O’Brien-Łukasz", "company", "株式会社パスタ", "email", "Ada@BÜCHER.example", "website", "https://bücher.example")...).
		is(200).at("/console/check-mail").says("ada@xn--bcher-kva.example")
	link := w.mailedLink("ada@xn--bcher-kva.example", "Verify")
	b.post("/console/activate", "token", tokenOf(t, link), "password", password).is(200).says("Primary key")
	b.post("/console/login", "email", "ADA@bücher.example", "password", password).is(200).at("/console/dashboard")
}

func tokenOf(t testing.TB, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	must(t, err)
	return u.Query().Get("token")
}

func TestFormSurvivesAnEndedSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	page := b.post("/console/onboarding", person()...).is(401).says("Your session has ended", "Set up your account", "what you entered is kept")
	for _, value := range []string{"Ada", "Lovelace", mailAddress, "Analytical Engines", "https://example.com"} {
		if !strings.Contains(page.body, `value="`+value+`"`) {
			t.Errorf("%q is lost", value)
		}
	}
	b.atOnboarding() // in another tab
	b.post("/console/onboarding", person()...).is(200).at("/console/check-mail")
}

func TestTooMuchTextIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.atOnboarding()
	b.post("/console/onboarding", person("company", strings.Repeat("x", 1<<20))...).is(http.StatusRequestEntityTooLarge).says("too much text")
	b.send(http.MethodPost, "/console/onboarding", "application/x-www-form-urlencoded", "%zz=%").is(400)
	b.send(http.MethodPost, "/console/onboarding", "multipart/form-data; boundary=x", "--x").is(400)
}

func TestTwoTabsRegisterAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.atOnboarding()
	var tabs sync.WaitGroup
	for range 4 {
		tabs.Go(func() { b.post("/console/onboarding", person()...).is(200).at("/console/check-mail") })
	}
	tabs.Wait()
	b.activate() // the newest link works
}

func TestResentMailReplacesTheLink(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.register("starter", 1)
	old := w.mailedLink(mailAddress, "Verify")
	b.post("/console/check-mail/resend").is(200).at("/console/check-mail").says("A new mail is on its way")
	w.browser().get(old).is(400).says("A newer link was sent", "Send me a new link")
	b.activate()

	limited := w.browser()
	limited.atOnboarding()
	for range 20 {
		if a := limited.post("/console/onboarding", person("email", "eve@example.com")...); a.status == http.StatusTooManyRequests {
			a.says("Too many attempts")
			return
		}
	}
	t.Error("mails can be asked for without end")
}

// Who enters an address that has a login reads what everybody reads; the mail says more.
func TestMailAddressOfAnotherAccount(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().customer()
	known, unknown := w.browser(), w.browser()
	known.atOnboarding()
	unknown.atOnboarding()
	same := known.post("/console/onboarding", person()...).is(200).at("/console/check-mail").text()
	other := unknown.post("/console/onboarding", person("email", "eve@example.com")...).is(200).at("/console/check-mail").text()
	if want := strings.ReplaceAll(other, "eve@example.com", mailAddress); same != want {
		t.Errorf("an address with a login gets another page:\n%s\nthan one without:\n%s", same, want)
	}
	if mail, ok := w.newestMail(mailAddress, "Add your new subscription"); !ok || !strings.Contains(mail.Text, "Log in") {
		t.Errorf("the mail does not ask to log in: %+v", mail)
	}
}

// The page that waits for the mail says what became of it, and what to do when its recipient will never get it.
func TestThePageThatWaitsForAMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.atOnboarding()
	w.mails.refuse(&accounts.UndeliverableError{Cause: accounts.CauseNoMailbox, Answer: "550 5.1.1"})
	page := b.post("/console/onboarding", person("email", "adda@example.com")...).is(200).says("We are sending a verification link", "adda@example.com")
	if !strings.Contains(page.body, "data-refresh") {
		t.Error("the page does not ask what becomes of the mail")
	}
	w.newestMail("", "")
	page = b.get("/console/check-mail").is(200).says("adda@example.com", "Your mail server refused it: there is no such mailbox (550 5.1.1).", "Correct the address")
	if strings.Contains(page.body, "data-refresh") {
		t.Error("the page asks on for what is decided")
	}

	w.mails.refuse(nil)
	page = b.post("/console/onboarding", person()...).is(200).says("We are sending a verification link", mailAddress)
	if strings.Contains(page.body, "refused") {
		t.Error("what became of the mail to the old address is said of the new one")
	}
	mail, _ := w.newestMail(mailAddress, "Verify")
	b.get("/console/check-mail").is(200).says("A verification link is on its way to", mailAddress)

	// It came back after all.
	known, err := w.states.Return(t.Context(), mail.ID, accounts.UndeliverableError{Cause: accounts.CauseSuppressed})
	if err != nil || !known {
		t.Fatalf("known %t, %v", known, err)
	}
	b.get("/console/check-mail").is(200).says("Earlier mails to it came back", "Correct the address")
	w.browser().get("/console/check-mail").is(200).says("the address you entered")
}
