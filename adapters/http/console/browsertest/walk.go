package browsertest

import (
	"net/http"
	"regexp"
	"strings"
)

// Site is the server under test and the world around it.
type Site struct {
	URL string // of the console and the API, without a final slash

	// Subscribe brings the browser from AWS Marketplace to the onboarding screen.
	Subscribe func(b *Browser)
	// MailedLink waits for a mail to an address whose subject contains a text, and gives the first link in it.
	MailedLink func(address, subject string) string
	// Check sends one good face photo with an API key and gives the status of the answer.
	Check func(key string) int
}

// The person of the walk.
const (
	Email    = "ada.lovelace@example.com"
	Password = "Analytical-Engine-1843"
)

var fullKey = regexp.MustCompile(`^lc_[A-Za-z0-9]{29}$`)

// Walk is the customer's journey: AWS Marketplace, onboarding, mail, password, keys, login, the first check and what it
// changes on the overview, a key replaced, the API stopped at the limit.
func Walk(b *Browser, site Site) {
	b.t.Helper()
	primary, link := signUp(b, site)
	b.Click("#go-login")
	b.AwaitPath("/console/login")
	b.Screen("08-login")
	LogIn(b, site, "wrong password")
	b.Await("the login is refused", "document.querySelector('[role=alert]')?.innerText.includes('not right')")
	b.Screen("09-login-refused")
	b.Type("#password", Password)
	b.Click("button[type=submit]")
	b.AwaitPath("/console/dashboard")
	b.AwaitText("#calls", "0")
	b.Screen("10-overview-without-calls")

	if status := site.Check(primary); status != http.StatusOK {
		b.t.Fatalf("a check with the primary key answers %d", status)
	}
	b.AwaitText("#calls", "1") // by itself, while the person looks
	replaced := replaceKey(b, site, primary)
	stopAtLimit(b)
	Tour(b, "20")
	b.Open(site.URL + "/console/dashboard")
	if status := site.Check(replaced); status != http.StatusOK {
		b.t.Errorf("a check below the limit of a plan that stops at it answers %d", status)
	}
	b.Click(".who button")
	b.AwaitPath("/console/login")
	resetPassword(b, site)
	deadEnds(b, site, link)
}

// signUp walks from AWS Marketplace to the page with the keys, and gives the primary key and the used link.
func signUp(b *Browser, site Site) (primary, link string) {
	b.t.Helper()
	site.Subscribe(b)
	b.AwaitPath("/console/onboarding")
	if account := b.Text("#aws-account-id"); !regexp.MustCompile(`^\d{12}$`).MatchString(account) {
		b.t.Errorf("the onboarding screen shows %q as AWS Account ID", account)
	}
	if b.Text("#subscription-id") == "" {
		b.t.Error("the onboarding screen shows no Subscription ID")
	}
	b.Screen("01-onboarding")
	b.Type("#firstName", "Ada")
	b.Type("#website", "http://example.com/about")
	b.Click("button[type=submit]")
	b.Await("the fields at fault are marked", "document.querySelectorAll('[aria-invalid=true]').length === 4 && document.querySelector('#firstName').value === 'Ada'")
	b.Screen("02-onboarding-refused")
	for field, text := range map[string]string{"#lastName": "Lovelace", "#email": Email, "#company": "Analytical Engines Ltd", "#website": "https://example.com"} {
		b.Type(field, text)
	}
	b.Click("button[type=submit]")
	b.AwaitPath("/console/check-mail")
	b.Screen("03-check-mail")

	link = site.MailedLink(Email, "Verify")
	b.Open(link)
	b.AwaitPath("/console/activate")
	b.Type("#password", "short")
	b.Await("the rules follow what is typed", "document.querySelectorAll('.rules .is-met').length === 1")
	b.Screen("04-password")
	b.Click("button[type=submit]")
	b.Await("the password is refused", "document.querySelector('#password-error') !== null")
	b.Screen("05-password-refused")
	b.Type("#password", Password)
	b.Await("all rules are met", "document.querySelectorAll('.rules .is-met').length === 5")
	b.Screen("06-password-good")
	b.Click("button[type=submit]")
	b.Await("the keys are shown", "document.querySelector('#key-secondary') !== null")
	primary = b.Text("#key-primary")
	secondary := b.Text("#key-secondary")
	if !fullKey.MatchString(primary) || !fullKey.MatchString(secondary) || primary == secondary {
		b.t.Fatalf("the page after activation shows the keys %q and %q", primary, secondary)
	}
	if curl := b.Text("#curl"); !strings.Contains(curl, primary) || !strings.Contains(curl, site.URL+"/v1/check/liveness") {
		b.t.Errorf("the ready command is not ready:\n%s", curl)
	}
	b.Screen("07-keys-once")
	return primary, link
}

// LogIn fills the login screen.
func LogIn(b *Browser, site Site, password string) {
	b.t.Helper()
	b.Open(site.URL + "/console/login")
	b.Type("#email", Email)
	b.Type("#password", password)
	b.Click("button[type=submit]")
}

// replaceKey regenerates the primary key and gives the new one.
func replaceKey(b *Browser, site Site, old string) string {
	b.t.Helper()
	b.Click(`nav a[href="/console/keys"]`)
	b.AwaitText("#prefix-primary", old[:8]+"…")
	b.Screen("11-keys")
	b.Click("#regenerate-primary")
	b.Await("it is asked for confirmation", "document.querySelector('dialog[open] #confirm-regenerate') !== null")
	b.Screen("12-keys-confirm")
	b.Click("#confirm-regenerate")
	b.Await("the new key is shown", "document.querySelector('#new-key') !== null")
	key := b.Text("#new-key")
	if !fullKey.MatchString(key) || key == old {
		b.t.Fatalf("the new key is %q", key)
	}
	b.Screen("13-keys-new")
	if status := site.Check(old); status != http.StatusUnauthorized {
		b.t.Errorf("a check with the replaced key answers %d", status)
	}
	if status := site.Check(key); status != http.StatusOK {
		b.t.Errorf("a check with the new key answers %d", status)
	}
	b.Click("#key-saved")
	b.AwaitText("#prefix-primary", key[:8]+"…")
	return key
}

func stopAtLimit(b *Browser) {
	b.t.Helper()
	b.Click(`nav a[href="/console/plan"]`)
	b.Await("the plan is shown", "document.querySelector('#overage-continue')?.checked")
	b.Click("#overage-stop")
	b.Await("it is asked for confirmation", "document.querySelector('dialog[open] #confirm-overage') !== null")
	b.Screen("14-plan-confirm")
	b.Click("#confirm-overage")
	b.Await("the API stops at the limit", "!document.querySelector('dialog[open]') && document.querySelector('#overage-stop')?.checked && document.querySelector('.choice.is-chosen #overage-stop')")
}

// Tour looks at every screen of the console; the browser is logged in and at one of them.
func Tour(b *Browser, prefix string) {
	b.t.Helper()
	for _, screen := range []struct{ path, name, shown string }{
		{"dashboard", "overview", "#calls"}, {"keys", "keys", "#regenerate-primary"}, {"usage", "usage", ".chart canvas"},
		{"try", "try", "#photo"}, {"plan", "plan", "#overage-stop"}, {"activity", "activity", ".timeline li"}, {"people", "people", ".people li"}, {"account", "account", "#new-password"},
	} {
		b.Click(`nav a[href="/console/` + screen.path + `"]`)
		b.Await("the screen "+screen.name+" is shown", "document.querySelector('"+screen.shown+"') !== null && !document.querySelector('.skeleton, .toast')")
		b.Screen(prefix + "-" + screen.name)
	}
	b.Click("#sign-out-others")
	b.Screen(prefix + "-account-confirm")
	b.Type("#end-password", Password)
	b.Click("#confirm-sign-out")
	b.Await("other sessions are signed out", "document.querySelector('.toast') !== null")
}

func resetPassword(b *Browser, site Site) {
	b.t.Helper()
	b.Open(site.URL + "/console/password/forgot")
	b.Screen("30-forgot")
	b.Type("#email", Email)
	b.Click("button[type=submit]")
	b.Await("it says to look for the mail", "document.querySelector('h1').innerText === 'Check your mail'")
	b.Screen("31-forgot-sent")
	b.Open(site.MailedLink(Email, "Reset"))
	b.Screen("32-reset")
	b.Type("#password", Password+"!")
	b.Click("button[type=submit]")
	b.AwaitPath("/console/login")
	LogIn(b, site, Password+"!")
	b.AwaitPath("/console/dashboard")
}

// deadEnds looks at the pages of people who came the wrong way.
func deadEnds(b *Browser, site Site, usedLink string) {
	b.t.Helper()
	for _, end := range []struct{ name, address string }{
		{"40-link-used", usedLink},
		{"41-link-tampered", usedLink[:len(usedLink)-4] + "AAAA"},
		{"42-register-without-token", site.URL + "/marketplace/register"},
		{"43-not-found", site.URL + "/console/nowhere"},
	} {
		b.Open(end.address)
		b.Screen(end.name)
	}
}
