package consoletest

import (
	"time"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
)

// ScreenNames are the screens that every customer has something on.
var ScreenNames = []string{"dashboard", "keys", "usage", "plan", "activity", "people", "account"}

// Chromium opens a browser that asks no other host than the console and hosts.
func (w *World) Chromium(hosts ...string) *browsertest.Browser {
	w.t.Helper()
	w.Clock.Advance(time.Since(w.Clock.Now())) // the browser's clock is the real one
	return browsertest.Open(w.t, browsertest.Installed(w.t), append(hosts, w.URL)...)
}

// Person opens a browser in which a new customer has logged in, and looks at a screen.
func (w *World) Person(screen string) *browsertest.Browser {
	w.t.Helper()
	b := w.Chromium()
	w.Client().Customer()
	w.LogIn(b)
	b.Open(w.URL + "/console/" + screen)
	b.Await("the screen is shown", "document.querySelector('main h1') && !document.querySelector('.skeleton')")
	return b
}

// LogIn logs the customer in on the login screen.
func (w *World) LogIn(b *browsertest.Browser) {
	w.t.Helper()
	b.Open(w.URL + "/console/login")
	b.Type("#email", MailAddress)
	b.Type("#password", Password)
	b.Click("button[type=submit]")
	b.AwaitPath("/console/dashboard")
}
