package browsertest

import (
	"net/http"
	"strings"
)

// The other people of the walk, and the address that the first one moves to.
const (
	ColleagueEmail = "grace.hopper@example.com"
	NewEmail       = "ada@analytical.example.com"
)

// WalkPeople is the journey of a person who buys a second subscription with the address that they have, lets a colleague
// in, passes the ownership on and moves to another address. Site.Subscribe buys anew each time.
func WalkPeople(b *Browser, site Site) {
	b.t.Helper()
	first, _ := signUp(b, site)
	LogIn(b, site, Password)
	b.AwaitPath("/console/dashboard")
	b.AwaitText("#calls", "0")
	if status := site.Check(first); status != http.StatusOK {
		b.t.Fatalf("a check with the first key answers %d", status)
	}
	b.AwaitText("#calls", "1")
	if b.has("#customer") {
		b.t.Error("who has one customer is asked which")
	}
	second := b.buyAgain(site)
	b.switchCustomers(site, first, second)
	b.letColleagueIn(site)
	b.passOwnershipOn(site)
	b.moveToNewEmail(site)
}

// has returns whether the page has what a selector names.
func (b *Browser) has(selector string) bool {
	b.t.Helper()
	return b.Holds("document.querySelector(" + quoted(selector) + ") !== null")
}

func (b *Browser) logOut() {
	b.t.Helper()
	b.Click(".who form button")
	b.AwaitPath("/console/login")
}

func (b *Browser) logInAs(site Site, email, password string) {
	b.t.Helper()
	b.Open(site.URL + "/console/login")
	b.Type("#email", email)
	b.Type("#password", password)
	b.Click("button[type=submit]")
	b.AwaitPath("/console/dashboard")
}

// buyAgain registers a second subscription with the address that has a login, and gives its primary key.
func (b *Browser) buyAgain(site Site) string {
	b.t.Helper()
	b.logOut()
	site.Subscribe(b)
	b.AwaitPath("/console/onboarding")
	for field, text := range map[string]string{
		"#firstName": "Ada", "#lastName": "Lovelace", "#email": Email, "#company": "Engines of Tomorrow Ltd", "#website": "https://example.com",
	} {
		b.Type(field, text)
	}
	b.Click("button[type=submit]")
	b.AwaitPath("/console/check-mail")
	b.Screen("60-check-mail-with-a-login")
	b.Open(site.MailedLink(Email, "Add your new subscription"))
	b.AwaitPath("/console/activate")
	b.Screen("61-attach")
	b.Type("#password", "wrong password")
	b.Click("button[type=submit]")
	b.Await("the password is refused", "document.querySelector('[role=alert]')?.innerText.includes('not right')")
	b.Screen("62-attach-refused")
	b.Type("#password", Password)
	b.Click("button[type=submit]")
	b.Await("the keys are shown", "document.querySelector('#key-secondary') !== null")
	key := b.Text("#key-primary")
	b.Screen("63-attached-keys")
	b.Click("#go-console")
	b.AwaitPath("/console/dashboard")
	return key
}

// switchCustomers looks at each of the two customers, which have their own keys and usage.
func (b *Browser) switchCustomers(site Site, first, second string) {
	b.t.Helper()
	b.Await("there is a choice of two, and the new one is shown", "document.querySelectorAll('#customer option').length === 2 && document.querySelector('#customer').selectedOptions[0].text.startsWith('Engines')")
	b.AwaitText("#calls", "0")
	b.Screen("64-overview-of-two")
	b.chooseCustomer("Analytical")
	b.AwaitText("#calls", "1")
	b.Click(`nav a[href="/console/keys"]`)
	b.AwaitText("#prefix-primary", first[:8]+"…")
	b.chooseCustomer("Engines")
	b.AwaitText("#prefix-primary", second[:8]+"…")
	if status := site.Check(second); status != http.StatusOK {
		b.t.Errorf("a check with the second key answers %d", status)
	}
}

// chooseCustomer picks the customer whose name begins so.
func (b *Browser) chooseCustomer(name string) {
	b.t.Helper()
	b.Await("the customer "+name+" is chosen", `(() => { const s = document.querySelector("#customer"); if (!s) return false;
		const o = [...s.options].find((o) => o.text.startsWith(`+quoted(name)+`)); s.value = o.value;
		return s.dispatchEvent(new Event("change", { bubbles: true })); })()`)
	b.Await("it is shown", `document.querySelector("#customer")?.selectedOptions[0].text.startsWith(`+quoted(name)+`) && !document.querySelector(".skeleton")`)
}

// letColleagueIn invites a reader, who looks around.
func (b *Browser) letColleagueIn(site Site) {
	b.t.Helper()
	b.Click(`nav a[href="/console/people"]`)
	b.Type("#invite-email", ColleagueEmail)
	b.Screen("65-people-invite")
	b.Click("#invite")
	b.Await("the invitation is listed", "[...document.querySelectorAll('.people strong')].some((e) => e.innerText === '"+ColleagueEmail+"')")
	b.Screen("66-people-invited")
	b.logOut()
	b.Open(site.MailedLink(ColleagueEmail, "You are invited"))
	b.AwaitPath("/console/invitation")
	b.Type("#firstName", "Grace")
	b.Type("#lastName", "Hopper")
	b.Type("#password", "short")
	b.Screen("67-invitation")
	b.Click("button[type=submit]")
	b.Await("the password is refused", "document.querySelector('#password-error') !== null")
	b.Type("#password", Password)
	b.Click("button[type=submit]")
	b.AwaitPath("/console/dashboard")
	b.AwaitText("#calls", "1")
	b.Await("she reads", "document.querySelector('.who .badge')?.innerText === 'Reader'")
	b.Click(`nav a[href="/console/keys"]`)
	b.Await("she cannot regenerate", "document.querySelector('#regenerate-primary')?.disabled")
	b.Screen("68-keys-of-a-reader")
	b.Click(`nav a[href="/console/plan"]`)
	b.Await("she cannot switch", "document.querySelector('.choices')?.disabled")
	b.Await("she cannot set mails", "['#usage-mails', '#warn-percent', '#step-percent', '#save-notifications'].every((id) => document.querySelector(id)?.matches(':disabled'))")
	b.Screen("69-plan-of-a-reader")
	b.Click(`nav a[href="/console/people"]`)
	b.Await("she cannot manage", "document.querySelectorAll('.people li').length === 2 && !document.querySelector('[data-manage], #invite')")
	b.Screen("70-people-of-a-reader")
	b.logOut()
}

// passOwnershipOn makes the colleague the owner of the second customer.
func (b *Browser) passOwnershipOn(site Site) {
	b.t.Helper()
	b.logInAs(site, Email, Password)
	b.chooseCustomer("Engines")
	b.Click(`nav a[href="/console/people"]`)
	b.Click(`[data-manage="` + Email + `"]`)
	b.Await("the only owner stays", "document.querySelector('dialog[open] .note')?.innerText.includes('only owner') && !document.querySelector('dialog[open] #remove')")
	b.Screen("71-people-only-owner")
	b.Click("dialog .dialog-actions button")
	b.Click(`[data-manage="` + ColleagueEmail + `"]`)
	b.Screen("72-people-manage")
	b.Click("#pass-on")
	b.Await("she reads now", "document.querySelector('.who .badge')?.innerText === 'Reader' && !document.querySelector('[data-manage]')")
	b.Click(`nav a[href="/console/activity"]`)
	b.Await("the activity names who did what", "document.querySelector('.timeline')?.innerText.includes('Grace Hopper: The ownership was passed on')")
	b.Screen("73-activity-of-people")
	b.chooseCustomer("Analytical")
	b.Await("she owns the other", "!document.querySelector('.who .badge')")
}

// moveToNewEmail changes the work email, and logs in with it.
func (b *Browser) moveToNewEmail(site Site) {
	b.t.Helper()
	b.Click(`nav a[href="/console/account"]`)
	b.Type("#new-email", NewEmail)
	b.Type("#email-password", "wrong password")
	b.Click("#change-email")
	b.Await("the password is refused", "document.querySelector('#email-password-error')?.innerText.includes('not right')")
	b.Type("#email-password", Password)
	b.Click("#change-email")
	b.Await("the new address waits to be confirmed", "document.querySelector('#new-work-email')?.innerText.includes('"+NewEmail+"')")
	b.Screen("74-account-new-email")
	b.Open(site.MailedLink(NewEmail, "Confirm your new work email"))
	b.AwaitPath("/console/email/confirm")
	b.Screen("75-email-confirm")
	b.Click("button[type=submit]")
	b.Await("it is changed", "document.querySelector('h1').innerText === 'Your work email is changed'")
	b.Screen("76-email-changed")
	if link := site.MailedLink(Email, "work email was changed"); !strings.Contains(link, "/console/login") {
		b.t.Errorf("the notice to the old address links to %s", link)
	}
	b.Open(site.URL + "/console/account")
	b.AwaitText("#work-email", NewEmail)
	b.logOut()
	b.logInAs(site, NewEmail, Password)
}
