package screens_test

import (
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// The screens by which a customer audits the own account: why a call was counted as it was, why the plan is as it is, what held
// then, and the proof of a month.
func TestAuditInBrowser(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("activity")
	b.Before(measureShifts)
	w.Used(1002)
	w.Count(w.Subscription(), w.Clock.Now().Add(-time.Minute), 3)
	w.Settled()
	looks(t, w, b, "/console/activity", ".audit-links a", "70-activity-with-why")

	b.Open(w.URL + "/console/usage")
	b.Click("td a[href^='/console/checks/']")
	b.Await("the check is shown", "document.querySelector('#why')")
	b.Click("#why")
	b.Await("why it was counted is told", "document.querySelectorAll('.reasons li').length > 1 && document.querySelector('h2').innerText.includes('beyond the plan')")
	call := b.Value("location.pathname")
	looks(t, w, b, call, ".reasons li", "71-why-a-call")
	if !b.Holds("[...document.querySelectorAll('.reasons li')].every((li) => li.innerText.trim() !== '')") {
		t.Error("a reason says nothing")
	}
	b.Click("a[href^='/console/replay/']")
	b.Await("what held then is shown", "document.querySelector('.facts') && !document.querySelector('.skeleton')")
	looks(t, w, b, b.Value("location.pathname"), ".facts", "72-what-held-then")

	b.Open(w.URL + "/console/activity")
	b.Click(".audit-links a[href^='/console/explain/']")
	b.Await("why it came to that is told", "document.querySelector('.reasons')")
	looks(t, w, b, b.Value("location.pathname"), ".reasons", "73-why-an-activity")

	b.Open(w.URL + "/console/explain/00000000-0000-0000-0000-000000000001")
	b.Await("there is no such event", "document.querySelector('.failure')")
	b.Screen("74-why-nothing")

	w.Sign()
	looks(t, w, b, "/console/usage", "a[href*='check-proof.html']", "75-proof-of-a-month")
}
