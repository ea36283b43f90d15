package console

import (
	"net/http"
	"slices"
	"strings"

	"github.com/pas-ta/liveness/adapters/http/problem"
	"github.com/pas-ta/liveness/commands/accounts"
)

// Serves returns whether a request is for the console: one of its addresses, or what a person types who means one of them, as
// /, /login or /Console.
func Serves(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, screenPath) || r.URL.Path == "/console" || strings.HasPrefix(r.URL.Path, "/marketplace/") ||
		readsPage(r) && meant(r.URL.Path) != ""
}

func readsPage(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead
}

// meant returns the address that a person means by one that they typed; empty when that is none of the console. Capitals, a slash
// at the end and a missing /console lead astray nowhere else, so they shall not here.
func meant(path string) string {
	lower := strings.TrimRight(strings.ToLower(path), "/")
	name := strings.TrimPrefix(strings.TrimPrefix(lower, "/console"), "/")
	switch {
	case path == "/" || lower == "/console":
		return dashboardPath
	case screenPath+name == accounts.LoginPath || slices.Contains(screens, name):
		return screenPath + name
	case strings.HasPrefix(lower, screenPath):
		return lower
	}
	return ""
}

// leadOn sends on to the address that was meant, or says that there is none.
func (c *console) leadOn(w http.ResponseWriter, r *http.Request) {
	address := meant(r.URL.Path)
	if address == "" || address == r.URL.Path || !readsPage(r) || isAPI(r) {
		c.fail(w, r, problem.ErrNotFound)
		return
	}
	if r.URL.RawQuery != "" {
		address += "?" + r.URL.RawQuery
	}
	http.Redirect(w, r, address, http.StatusSeeOther)
}
