package screens_test

import (
	"os"
	"os/exec"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/adapters/parts"
)

// TestFirefox looks at every screen and at the dialogs with axe, and at what Firefox does otherwise than Chromium.
func TestFirefox(t *testing.T) {
	t.Parallel()
	program, err := exec.LookPath("firefox-esr")
	if err != nil {
		program, err = exec.LookPath("firefox")
	}
	if err != nil {
		t.Skip("Firefox is not installed")
	}
	axe, err := parts.New(parts.Options{Progress: t.Output()}).AxeCore(t.Context())
	consoletest.Must(t, err)
	w := consoletest.New(t)
	w.Clock.Advance(time.Since(w.Clock.Now()))
	w.Client().Customer()
	w.Used(1203)
	f := browsertest.OpenFirefox(t, program, browsertest.Config{Axe: axe, Shots: os.Getenv("LIVENESS_SCREENSHOTS")})
	f.Resize(1280, 900)
	f.Open(w.URL + "/console/login")
	f.Screen("90-login")
	f.Type("#email", consoletest.MailAddress)
	f.Type("#password", consoletest.Password)
	f.Click("button[type=submit]")
	f.Await("the overview is shown", "document.querySelector('#calls')")
	for _, screen := range consoletest.ScreenNames {
		f.Open(w.URL + "/console/" + screen)
		f.Await("the screen is shown", "document.querySelector('main h1') && !document.querySelector('.skeleton')")
		if screen == "dashboard" || screen == "usage" {
			f.Await("the chart is there", "document.querySelector('.chart canvas')")
			if f.Value("[...document.querySelectorAll('caption')].every((c) => { const at = c.getBoundingClientRect(); return document.elementFromPoint(at.x + at.width / 2, at.y + at.height / 2) !== c; })") != "true" {
				t.Errorf("%s shows the caption of the hidden table", screen)
			}
		}
		f.Screen("91-" + screen)
	}
	f.Open(w.URL + "/console/plan")
	f.Click("#overage-stop")
	f.Screen("92-plan-confirm")
	f.Escape()
	f.Await("the focus is back", "!document.querySelector('dialog') && document.activeElement.matches('#overage-stop')")
	f.Open(w.URL + "/console/people")
	f.Click("[data-manage]")
	f.Screen("93-people-manage")
	f.Open(w.URL + "/console/account")
	f.Click("#sign-out-others")
	f.Screen("94-account-confirm")
	f.Open(w.URL + "/console/keys")
	f.Click("#regenerate-primary")
	f.Screen("95-keys-confirm")
	f.Click("#confirm-regenerate")
	f.Await("the new key is shown", "document.querySelector('#new-key')")
	for range 5 {
		f.Escape()
	}
	f.Await("it stays", "document.querySelector('dialog')?.matches(':modal') && document.querySelector('#new-key')")
	f.Screen("96-keys-new")
	f.Click("#key-saved")
	f.Await("the focus is back", "!document.querySelector('dialog') && document.activeElement.matches('#regenerate-primary')")
	_, err = w.Pool.Exec(t.Context(), "delete from sessions")
	consoletest.Must(t, err)
	f.Click(`nav a[href="/console/plan"]`)
	f.Await("a login is asked for", "document.querySelector('#again-password')")
	for range 5 {
		f.Escape()
	}
	f.Await("it stays", "document.querySelector('dialog')?.matches(':modal')")
	f.Screen("97-session-ended")
	f.Resize(500, 800)
	f.Open(w.URL + "/console/login")
	f.Screen("98-login-narrow")
}
