package console

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/pas-ta/liveness/commands/accounts"
)

// screenPath is what the address of every screen begins with.
const screenPath = "/console/"

// screens are the console's pages after login; ui/static/app.js draws them.
var screens = []string{"dashboard", "keys", "usage", "try", "plan", "activity", "people", "docs", "account"}

// checkScreen is where the screens of single checks are: its number follows, as 2026-11.1234.
const checkScreen = "/console/checks/"

// screenOfOne is the address of a screen of a single check, event or position.
var screenOfOne = regexp.MustCompile(`^(?:` + checkScreen + oneCheck + `|` + explainScreen + `(?:` + oneCheck + `|` + oneID + `)|` + replayScreen + `[0-9]{1,20})$`)

// oneCustomer is the query of a link to a screen of one of several customers.
var oneCustomer = regexp.MustCompile(`^` + customerField + `=` + oneID + `$`)

const (
	oneCheck = `[0-9]{4}-[0-9]{2}\.[0-9]{1,18}`
	oneID    = `[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}`
)

// showConsole gives a logged-in user the shell that the screens are drawn in, everybody else the way to log in.
func (c *console) showConsole(w http.ResponseWriter, r *http.Request) {
	if _, err := c.login(r); err != nil {
		if problemOf(err).Code == errLoggedOut.Code {
			http.Redirect(w, r, accounts.LoginPath+"?"+url.Values{"next": {r.URL.RequestURI()}}.Encode(), http.StatusSeeOther)
			return
		}
		c.fail(w, r, err)
		return
	}
	screen := strings.TrimPrefix(r.URL.Path, screenPath)
	w.Header().Set("Permissions-Policy", cameraPolicy)
	c.render(w, r, http.StatusOK, "console", page{Title: "Console", Modules: c.static.modules("app.js", moduleOf(screen))})
}

// moduleOf returns the module that draws a screen.
func moduleOf(screen string) string {
	switch {
	case screen == "dashboard":
		screen = "overview"
	case strings.HasPrefix(screenPath+screen, checkScreen):
		screen = "check"
	case strings.HasPrefix(screenPath+screen, explainScreen):
		screen = "explain"
	case strings.HasPrefix(screenPath+screen, replayScreen):
		screen = "replay"
	}
	return screen + ".js"
}
