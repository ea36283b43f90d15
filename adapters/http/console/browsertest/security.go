package browsertest

import "strings"

// Person is how somebody logs in.
type Person struct {
	Email, Password string
	Code            func(secret string) string // that an app shows for a secret, another one each time
}

// TourSecurity looks at what guards a login: its sessions, of which there is another one, and two-step login, from switching it on
// to a login with a code and to switching it off. The browser is logged in as the person.
func TourSecurity(b *Browser, site Site, person Person) {
	b.t.Helper()
	b.Open(site.URL + "/console/account")
	b.Await("there are two sessions", "document.querySelectorAll('#sessions li').length === 2")
	b.Screen("100-account-two-sessions")
	b.Click("[data-end]")
	b.Screen("101-session-end")
	b.Type("#end-password", "wrong password")
	b.Click("#confirm-sign-out")
	b.Await("the password is refused", "document.querySelector('#end-password-error')?.innerText.includes('not right')")
	b.Screen("102-session-end-refused")
	b.Type("#end-password", person.Password)
	b.Click("#confirm-sign-out")
	b.Await("it is ended", "!document.querySelector('dialog[open]') && document.querySelectorAll('#sessions li').length === 1")

	secret, recovery := b.switchSecondFactorOn(person)
	b.logOut()
	b.logInWithCode(site, person, secret)
	b.Click(`nav a[href="/console/account"]`)
	recovery = b.replaceRecoveryCodes(person, recovery)
	b.switchSecondFactorOff(person, recovery)
}

// switchSecondFactorOn gives the secret of the app and the recovery codes.
func (b *Browser) switchSecondFactorOn(person Person) (secret string, recovery []string) {
	b.t.Helper()
	b.Click("#second-factor-on")
	b.Screen("103-two-step-password")
	b.Type("#factor-password", person.Password)
	b.Click("#factor-next")
	b.Await("the key is shown", "document.querySelector('#factor-secret') && document.querySelector('dialog img').naturalWidth > 100")
	b.Screen("104-two-step-app")
	b.Type("#factor-code", "12345")
	b.Click("#factor-next")
	b.Await("the code is refused", "document.querySelector('#factor-code-error')?.innerText.includes('not right')")
	b.Screen("105-two-step-refused")
	secret = b.Text("#factor-secret")
	b.Type("#factor-code", person.Code(secret))
	b.Click("#factor-next")
	recovery = b.saveRecoveryCodes("106-two-step-recovery")
	b.Await("it is on", "document.querySelector('#second-factor-off') && document.querySelector('#codes-left').innerText === '10'")
	b.Screen("107-account-two-step")
	return secret, recovery
}

// saveRecoveryCodes takes the codes down that are shown this once.
func (b *Browser) saveRecoveryCodes(screen string) []string {
	b.t.Helper()
	b.Await("recovery codes are shown", "document.querySelector('#recovery')?.innerText.trim().split('\\n').length === 10")
	codes := strings.Fields(b.Text("#recovery"))
	b.Screen(screen)
	b.Click("#codes-saved")
	b.Await("the dialog is closed", "!document.querySelector('dialog[open], .toast')")
	return codes
}

func (b *Browser) logInWithCode(site Site, person Person, secret string) {
	b.t.Helper()
	b.Open(site.URL + "/console/login")
	b.Type("#email", person.Email)
	b.Type("#password", person.Password)
	b.Click("button[type=submit]")
	b.AwaitPath("/console/login/code")
	b.Screen("108-login-code")
	b.Type("#code", "12345")
	b.Click("button[type=submit]")
	b.Await("the code is refused", "document.querySelector('#code-error')?.innerText.includes('not right')")
	b.Screen("109-login-code-refused")
	b.Type("#code", person.Code(secret))
	b.Click("button[type=submit]")
	b.AwaitPath("/console/dashboard")
}

// replaceRecoveryCodes makes new codes, with one of the old ones.
func (b *Browser) replaceRecoveryCodes(person Person, old []string) []string {
	b.t.Helper()
	b.Click("#recovery-codes")
	b.Screen("110-two-step-codes")
	b.Type("#factor-password", person.Password)
	b.Type("#factor-code", old[0])
	b.Click("#factor-next")
	return b.saveRecoveryCodes("111-two-step-new-codes")
}

func (b *Browser) switchSecondFactorOff(person Person, recovery []string) {
	b.t.Helper()
	b.Click("#second-factor-off")
	b.Screen("112-two-step-off")
	b.Type("#factor-password", person.Password)
	b.Type("#factor-code", recovery[0])
	b.Click("#factor-next")
	b.Await("it is off", "!document.querySelector('dialog[open]') && document.querySelector('#second-factor-on')")
}
