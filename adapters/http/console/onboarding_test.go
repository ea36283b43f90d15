package console_test

import (
	"html"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands/accounts"
)

func TestBadFieldsAreNamedAndKept(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	for _, c := range []struct{ field, value, says string }{
		{"firstName", "", "Enter your first name."},
		{"firstName", strings.Repeat("あ", 4000), "longer than 100 characters"},
		{"lastName", "a\x00b", "cannot be seen"},
		{"lastName", "bad \xff\xfe bytes", "cannot be read"},
		{"company", "two\nlines", "cannot be seen"},
		{"company", "\u202emoc.elpmaxe", "cannot be seen"},
		{"firstName", "A\u200bda", "cannot be seen"},
		{"lastName", "Love\u2028lace", "cannot be seen"},
		{"website", "https://exa\u200bmple.com", "in the form https://example.com"},
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
		b := w.Client()
		b.AtOnboarding()
		page := b.Post("/console/onboarding", consoletest.OnboardingForm(c.field, c.value)...).Is(400).Says(c.says, "123456789012")
		if !strings.Contains(page.Body, `aria-invalid="true"`) {
			t.Errorf("%s %.20q is not marked", c.field, c.value)
		}
		other := "Analytical Engines"
		if c.field == "company" {
			other = "Lovelace"
		}
		if !strings.Contains(page.Body, `value="`+other+`"`) {
			t.Errorf("after %s %.20q the other values are gone", c.field, c.value)
		}
	}
}

func TestHostileTextIsJustText(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	const hostile = `Robert'); DROP TABLE accounts;--<script>alert(1)</script>"&{{.}}`
	b := w.Client()
	b.AtOnboarding()
	page := b.Post("/console/onboarding", consoletest.OnboardingForm("firstName", hostile, "website", "nope")...).Is(400)
	if strings.Contains(page.Body, "<script>alert") || !strings.Contains(page.Body, html.EscapeString(hostile)) {
		t.Errorf("the value is not given back as text:\n%s", page.Body)
	}
	b.Post("/console/onboarding", consoletest.OnboardingForm("firstName", hostile, "lastName", hostile, "company", hostile)...).Is(200).At("/console/check-mail")
	mail, _ := w.NewestMail(consoletest.MailAddress, "Verify")
	if strings.Contains(mail.HTML+mail.Text, "script>") {
		t.Errorf("a stranger's words are mailed to an address that nobody has proved:\n%s\n%s", mail.Text, mail.HTML)
	}
	b.Activate()
	mail, _ = w.NewestMail(consoletest.MailAddress, "account is active")
	if strings.Contains(mail.HTML, "<script>") || !strings.Contains(mail.Text, hostile) {
		t.Errorf("the mail does not greet by the name as it is:\n%s\n%s", mail.Text, mail.HTML)
	}
	b.LogIn()
	var account struct{ FirstName, LastName, Company string }
	b.Read("account", &account)
	if account.FirstName != hostile || account.LastName != hostile || account.Company != hostile {
		t.Errorf("account: %+v", account)
	}
}

func TestNamesAndDomainsOfTheWorld(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.AtOnboarding()
	b.Post("/console/onboarding", consoletest.OnboardingForm("firstName", "愛", "lastName", "O’Brien-Łukasz", "company", "株式会社パスタ", "email", "Ada@BÜCHER.example", "website", "https://bücher.example")...).
		Is(200).At("/console/check-mail").Says("ada@xn--bcher-kva.example")
	link := w.MailedLink("ada@xn--bcher-kva.example", "Verify")
	b.Post("/console/activate", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(200).Says("Primary key")
	b.Post("/console/login", "email", "ADA@bücher.example", "password", consoletest.Password).Is(200).At("/console/dashboard")
}

func TestFormSurvivesAnEndedSession(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	page := b.Post("/console/onboarding", consoletest.OnboardingForm()...).Is(401).Says("Your session has ended", "Set up your account", "what you entered is kept")
	for _, value := range []string{"Ada", "Lovelace", consoletest.MailAddress, "Analytical Engines", "https://example.com"} {
		if !strings.Contains(page.Body, `value="`+value+`"`) {
			t.Errorf("%q is lost", value)
		}
	}
	b.AtOnboarding() // in another tab
	b.Post("/console/onboarding", consoletest.OnboardingForm()...).Is(200).At("/console/check-mail")
}

func TestTooMuchTextIsRefused(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.AtOnboarding()
	b.Post("/console/onboarding", consoletest.OnboardingForm("company", strings.Repeat("x", 1<<20))...).Is(http.StatusRequestEntityTooLarge).Says("too much text")
	b.Send(http.MethodPost, "/console/onboarding", "application/x-www-form-urlencoded", "%zz=%").Is(400)
	b.Send(http.MethodPost, "/console/onboarding", "multipart/form-data; boundary=x", "--x").Is(400)
}

func TestTwoTabsRegisterAtOnce(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.AtOnboarding()
	var tabs sync.WaitGroup
	for range 4 {
		tabs.Go(func() {
			b.Post("/console/onboarding", consoletest.OnboardingForm()...).Is(200).At("/console/check-mail")
		})
	}
	tabs.Wait()
	b.Activate() // the newest link works
}

func TestResentMailReplacesTheLink(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	old := w.MailedLink(consoletest.MailAddress, "Verify")
	b.Post("/console/check-mail/resend").Is(200).At("/console/check-mail").Says("A new mail is on its way")
	w.Client().Get(old).Is(400).Says("A newer link was sent", "Send me a new link")
	b.Activate()

	limited := w.Client()
	limited.AtOnboarding()
	for range 20 {
		if a := limited.Post("/console/onboarding", consoletest.OnboardingForm("email", "eve@example.com")...); a.Status == http.StatusTooManyRequests {
			a.Says("Too many attempts")
			return
		}
	}
	t.Error("mails can be asked for without end")
}

// Who enters an address that has a login reads what everybody reads; the mail says more.
func TestMailAddressOfAnotherAccount(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Customer()
	known, unknown := w.Client(), w.Client()
	known.AtOnboarding()
	unknown.AtOnboarding()
	same := known.Post("/console/onboarding", consoletest.OnboardingForm()...).Is(200).At("/console/check-mail").Text()
	other := unknown.Post("/console/onboarding", consoletest.OnboardingForm("email", "eve@example.com")...).Is(200).At("/console/check-mail").Text()
	if want := strings.ReplaceAll(other, "eve@example.com", consoletest.MailAddress); same != want {
		t.Errorf("an address with a login gets another page:\n%s\nthan one without:\n%s", same, want)
	}
	if mail, ok := w.NewestMail(consoletest.MailAddress, "Add your new subscription"); !ok || !strings.Contains(mail.Text, "Log in") {
		t.Errorf("the mail does not ask to log in: %+v", mail)
	}
}

// The page that waits for the mail says what became of it, and what to do when its recipient will never get it.
func TestThePageThatWaitsForAMail(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.AtOnboarding()
	w.Mails.Refuse(&accounts.UndeliverableError{Cause: accounts.CauseNoMailbox, Answer: "550 5.1.1"})
	page := b.Post("/console/onboarding", consoletest.OnboardingForm("email", "adda@example.com")...).Is(200).Says("We are sending a verification link", "adda@example.com")
	if !strings.Contains(page.Body, "data-refresh") {
		t.Error("the page does not ask what becomes of the mail")
	}
	w.NewestMail("", "")
	page = b.Get("/console/check-mail").Is(200).Says("adda@example.com", "Your mail server refused it: there is no such mailbox (550 5.1.1).", "Correct the address")
	if strings.Contains(page.Body, "data-refresh") {
		t.Error("the page asks on for what is decided")
	}

	w.Mails.Refuse(nil)
	page = b.Post("/console/onboarding", consoletest.OnboardingForm()...).Is(200).Says("We are sending a verification link", consoletest.MailAddress)
	if strings.Contains(page.Body, "refused") {
		t.Error("what became of the mail to the old address is said of the new one")
	}
	mail, _ := w.NewestMail(consoletest.MailAddress, "Verify")
	b.Get("/console/check-mail").Is(200).Says("A verification link is on its way to", consoletest.MailAddress)

	// It came back after all.
	known, err := w.States.Return(t.Context(), mail.ID, accounts.UndeliverableError{Cause: accounts.CauseSuppressed})
	if err != nil || !known {
		t.Fatalf("known %t, %v", known, err)
	}
	b.Get("/console/check-mail").Is(200).Says("Earlier mails to it came back", "Correct the address")
	w.Client().Get("/console/check-mail").Is(200).Says("the address you entered")
}
