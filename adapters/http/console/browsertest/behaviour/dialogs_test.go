package behaviour_test

import (
	"testing"

	"github.com/chromedp/chromedp/kb"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// insist presses Escape again and again: browsers close a dialog at the second one, whatever the page says to the first.
func insist(b *browsertest.Browser) {
	for range 5 {
		b.Press(kb.Escape)
		b.Run("requestAnimationFrame(() => {})")
	}
}

const dialogOpen = "document.querySelector('dialog')?.matches(':modal')"

// TestIssuedKeyStaysUntilItIsAcknowledged: the old key is dead by then, and nobody can be shown the new one again.
func TestIssuedKeyStaysUntilItIsAcknowledged(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	b.Click(`nav a[href="/console/keys"]`)
	b.Click("#regenerate-primary")
	b.Click("#confirm-regenerate")
	b.Await("the new key is shown", "document.querySelector('#new-key')")
	key := b.Text("#new-key")
	insist(b)
	b.Await("it is still shown", dialogOpen+" && document.querySelector('#new-key')?.innerText === '"+key+"'")
	b.Screen("80-key-after-escape")
	b.Run("history.back()")
	b.AwaitPath("/console/dashboard")
	b.Await("it is shown on another screen too", dialogOpen+" && document.querySelector('#new-key')?.innerText === '"+key+"'")
	b.Await("the page asks before it is left", "!dispatchEvent(new Event('beforeunload', { cancelable: true }))")
	b.Click("#key-saved")
	b.Await("it is put away", "!document.querySelector('dialog')")
	b.Await("nothing is lost any more", "dispatchEvent(new Event('beforeunload', { cancelable: true }))")
	b.Await("the focus is on the screen", "document.activeElement !== document.body")
}

// TestBusyDialogStays: a command that is under way is not left for a screen that does not know of it.
func TestBusyDialogStays(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("keys")
	b.Run(`const ask = window.fetch; window.fetch = (...a) => String(a[0]).includes("regenerate") ? new Promise((answer) => { window.release = () => answer(ask(...a)); }) : ask(...a)`)
	b.Click("#regenerate-secondary")
	b.Click("#confirm-regenerate")
	b.Await("it is under way", "window.release && document.querySelector('#confirm-regenerate').innerText === 'Working…'")
	insist(b)
	b.Await("the dialog is still there", dialogOpen+" && document.querySelector('#confirm-regenerate')")
	b.Run("window.release()")
	b.Await("the new key is shown", dialogOpen+" && document.querySelector('#new-key')")
	b.Click("#key-saved")
}

// TestKeyWhoseAnswerWasLost is issued anew: the screen says what may have happened and leads to the key as it is now.
func TestKeyWhoseAnswerWasLost(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("keys")
	before := b.Text("#prefix-primary")
	b.Run(`const ask = window.fetch; window.fetch = async (...a) => { const answer = await ask(...a); if (String(a[0]).includes("regenerate") && !window.lost) { window.lost = true; throw new TypeError("lost"); } return answer; }`)
	b.Click("#regenerate-primary")
	b.Click("#confirm-regenerate")
	b.Await("it says what is not known", "document.querySelector('dialog [role=alert]')?.innerText.includes('Whether the key was replaced is not known')")
	b.Screen("85-key-lost")
	b.Click("dialog .dialog-actions button")
	b.Await("the key as it is now is shown", "!document.querySelector('dialog') && document.querySelector('#prefix-primary').innerText !== '"+before+"'")
	b.Click("#regenerate-primary")
	b.Click("#confirm-regenerate")
	b.Await("another key is shown", "document.querySelector('#new-key')")
	b.Click("#key-saved")
}

// TestLoginOverTheScreenStays: without it every screen would wait for ever.
func TestLoginOverTheScreenStays(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	_, err := w.Pool.Exec(t.Context(), "delete from sessions")
	consoletest.Must(t, err)
	b.Click(`nav a[href="/console/plan"]`)
	b.Await("a login is asked for", dialogOpen+" && document.querySelector('#again-password')")
	insist(b)
	b.Await("it is still asked for", dialogOpen+" && document.querySelector('#again-password')")
	b.Type("#again-password", consoletest.Password)
	b.Click("#again-password-submit")
	b.Await("the screen goes on", "!document.querySelector('dialog') && document.querySelector('#overage-stop')")
}

// TestFocusReturnsToWhatOpenedADialog also after Escape, which closes a dialog that may be closed.
func TestFocusReturnsToWhatOpenedADialog(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("keys")
	for _, dialog := range []struct{ screen, opener, focused string }{
		{"keys", "#regenerate-primary", "#regenerate-primary"}, {"plan", "#overage-stop", "#overage-stop"}, {"plan", "#overage-ceiling", "#overage-ceiling"},
		{"people", "[data-manage]", "[data-manage]"}, {"account", "#sign-out-others", "#sign-out-others"},
	} {
		b.Click(`nav a[href="/console/` + dialog.screen + `"]`)
		for _, leave := range []func(){func() { b.Press(kb.Escape) }, func() { b.Click("dialog .dialog-actions button") }} {
			b.Click(dialog.opener)
			b.Await("a dialog is open", dialogOpen)
			leave()
			b.Await("the focus is back on "+dialog.focused, "!document.querySelector('dialog') && document.activeElement.matches('"+dialog.focused+"')")
		}
	}
	b.Click(`nav a[href="/console/plan"]`)
	b.Click("#overage-stop")
	b.Click("#confirm-overage")
	b.Await("the focus is on what is chosen now", "!document.querySelector('dialog') && document.activeElement.matches('#overage-stop:checked')")
	b.Click(`nav a[href="/console/keys"]`)
	b.Click("#regenerate-primary")
	b.Click("#confirm-regenerate")
	b.Click("#key-saved")
	b.Await("the focus is back on Regenerate", "!document.querySelector('dialog') && document.activeElement.matches('#regenerate-primary')")
}
