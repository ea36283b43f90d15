package console_test

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// accept has somebody new join ada's customer.
func accept(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) (b *consoletest.Client, account string) {
	t.Helper()
	b, address := w.Client(), fmt.Sprintf("grace%d@example.com", n)
	ada.Command("people/invite", map[string]string{"email": address, "role": "reader"}).Is(http.StatusOK)
	b.Post("/console/invitation", "token", consoletest.TokenOf(t, w.MailedLink(address, "You are invited")),
		"firstName", "Grace", "lastName", "Hopper", "password", consoletest.Password).Is(http.StatusOK).At("/console/dashboard")
	return b, b.Session("").Account
}

// Who was removed, and who tries photos of a subscription that has ended, is refused whatever read models know.
func TestNobodyIsLetInByAReadModelThatIsBehind(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	grace, account := accept(t, w, ada, 0)
	customer := ada.Session("").Customer
	defer w.HoldBack("members")()
	ada.Command("people/"+account+"/remove", struct{}{}).Is(http.StatusOK)
	for _, screen := range []string{"session", "overview", "people", "usage.csv"} {
		grace.Get("/console/api/" + screen + "?customer=" + customer).Is(http.StatusForbidden).Code("not_a_member")
	}
	if session := grace.Session(""); session.Customer != "" {
		t.Errorf("who was removed looks at %+v", session)
	}

	defer w.HoldBack("subscriptions")()
	w.End(w.SubscriptionOf(customer))
	ada.Command("try", photo("a photo")).Is(http.StatusForbidden).Code("subscription_inactive")
}
