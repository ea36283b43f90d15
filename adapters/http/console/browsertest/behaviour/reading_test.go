package behaviour_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
)

// hurried makes a page's time pass fifty times as fast, notes what it asks for, and lets a test answer in the server's place.
const hurried = `(() => {
	const ask = window.fetch, wait = window.setTimeout, stop = window.clearTimeout, now = Date.now;
	const under = {};
	window.asked = []; window.overlaps = []; window.pauses = []; window.due = new Set();
	window.fetch = (address, ...rest) => {
		const path = new URL(address, location).pathname;
		asked.push(path);
		under[path] = (under[path] ?? 0) + 1;
		if (under[path] > 1) overlaps.push(path);
		window.inFlight = Object.values(under).reduce((a, b) => a + b);
		return (window.answering ?? ask)(address, ...rest).finally(() => { under[path]--; window.inFlight = Object.values(under).reduce((a, b) => a + b); });
	};
	window.behind = async (...request) => { const answer = await ask(...request); return new Response(await answer.text(), { headers: { "Console-Behind": "usage" } }); };
	window.overviewBehind = (address, ...rest) => (String(address).includes("overview") ? window.behind : ask)(address, ...rest);
	window.away = () => Promise.reject(new TypeError("away"));
	window.setTimeout = (work, pause, ...rest) => {
		pauses.push(pause ?? 0);
		const timer = wait(() => { due.delete(timer); work(...rest); }, pause / 50);
		due.add(timer);
		return timer;
	};
	window.clearTimeout = (timer) => { due.delete(timer); stop(timer); };
	Date.now = () => now() + (window.passed ?? 0);
	window.timesAsked = (path) => asked.filter((p) => p.endsWith("/" + path)).length;
})()`

const atRest = "due.size === 0 && window.inFlight === 0"

// TestScreenThatStaysBehindStopsAsking: a read model that does not come says so on the screen, and the person decides.
func TestScreenThatStaysBehindStopsAsking(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("keys")
	b.Before(hurried)
	b.Open(w.URL + "/console/keys")
	b.Await("the keys are shown", "timesAsked('keys') > 0 && "+atRest)
	b.Run("window.answering = window.behind; window.asked = []; document.dispatchEvent(new Event('visibilitychange'))")
	b.Await("it says what is missing", "document.querySelector('main')?.innerText.includes('The newest changes are not shown here yet.')")
	b.Await("nothing is asked any more", "timesAsked('keys') >= 5 && "+atRest)
	if asked := b.Value("timesAsked('keys')"); asked != "5" {
		t.Errorf("the keys were asked for %s times", asked)
	}
	if overlaps := b.Value("overlaps"); overlaps != "" {
		t.Errorf("asked again before the answer was there: %s", overlaps)
	}
	b.Run("window.answering = null; [...document.querySelectorAll('.retry button')].forEach((e) => e.click())")
	b.Await("it is there", "!document.querySelector('.retry')")
}

// TestScreenThatLivesGoesOnBehind: the overview shows what comes when a read model moves again, without anybody asking for it.
func TestScreenThatLivesGoesOnBehind(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	b.Before(hurried)
	b.Open(w.URL + "/console/dashboard")
	b.Await("the overview is read", "timesAsked('overview') > 0")
	b.Run("window.answering = window.overviewBehind; window.asked = []; document.dispatchEvent(new Event('visibilitychange'))")
	b.Await("it goes on behind a read model that stands still", "timesAsked('overview') > 7")
	b.Await("it says what is missing", "document.querySelector('main')?.innerText.includes('The newest changes are not shown here yet.')")
	b.Run("window.answering = null")
	b.Await("what is missing comes", "!document.querySelector('main').innerText.includes('not shown here yet')")
}

// TestIdleTabStopsAsking, and goes on when somebody is back.
func TestIdleTabStopsAsking(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	b.Before(hurried)
	b.Open(w.URL + "/console/dashboard")
	b.Await("the overview is read again and again", "timesAsked('overview') > 3")
	b.Run("window.passed = 6 * 60000")
	b.Await("nothing is asked any more", atRest)
	b.Run("window.asked = []; dispatchEvent(new Event('pointermove'))")
	b.Await("it is asked again", "timesAsked('overview') > 0")
	b.Run("window.passed = 12 * 60000; window.answering = window.away")
	b.Await("a server that is away is not asked for ever either", atRest)
	if overlaps := b.Value("overlaps"); overlaps != "" {
		t.Errorf("asked again before the answer was there: %s", overlaps)
	}
}

// TestScreensThatSayTheyKeepTrying do so within two seconds of the server being back, lists too.
func TestScreensThatSayTheyKeepTrying(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("dashboard")
	b.Before(hurried)
	for _, screen := range consoletest.ScreenNames {
		b.Open(w.URL + "/console/" + screen)
		b.Await("the screen is shown", "document.querySelector('main h1') && !document.querySelector('.skeleton')")
		b.Run("window.answering = window.away; document.dispatchEvent(new Event('visibilitychange'))")
		b.Await(screen+" says that it keeps trying", "document.querySelector('.retry')?.innerText.includes('The console keeps trying.')")
		b.Run("window.pauses = []")
		// What still came in may be read again at its usual interval, of ten seconds and more.
		b.Await("it keeps trying", "window.pauses.filter((p) => p < 10000).length > 1")
		if longest := b.Value("Math.max(...window.pauses.filter((p) => p < 10000)) <= 2000"); longest != "true" {
			t.Errorf("%s waits %s ms", screen, b.Value("window.pauses.join()"))
		}
		b.Run("window.answering = null")
		b.Await("it is back", "!document.querySelector('.retry')")
	}
	// A screen that was opened while the server was away has nothing to show yet.
	for _, screen := range []string{"activity", "usage"} {
		b.Run("window.answering = window.away")
		b.Click(`nav a[href="/console/` + screen + `"]`)
		b.Await("it says why nothing is there", "document.querySelector('.failure')?.innerText.includes('The console keeps trying.')")
		b.Run("window.answering = null")
		b.Await("it is there", "!document.querySelector('.failure, .skeleton')")
	}
}

// TestOtherTabsFollow what is changed in one.
func TestOtherTabsFollow(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("plan")
	other := b.Tab()
	other.Open(w.URL + "/console/plan")
	other.Await("the plan is shown", "document.querySelector('.choice.is-chosen #overage-continue')")
	b.Click("#overage-stop")
	b.Click("#confirm-overage")
	other.Await("it shows the switch", "document.querySelector('.choice.is-chosen #overage-stop')")
}

// loadedModules are the modules of ours, and the third-party ones, that the page has loaded.
func loadedModules(b *browsertest.Browser) []string {
	return strings.Fields(b.Value(`performance.getEntriesByType("resource").map((e) => new URL(e.name).pathname.split("/").slice(4).join("/")).filter((n) => n.endsWith(".js") || n.endsWith(".css")).sort().join(" ")`))
}

// TestScreensLoadTheirOwnModules, and the chart only where there is one. What each screen weighs when nothing is cached is printed.
func TestScreensLoadTheirOwnModules(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("keys")
	w.Used(3)
	own := map[string]string{"dashboard": "overview.js", "keys": "keys.js", "usage": "usage.js", "plan": "plan.js", "activity": "activity.js", "people": "people.js", "account": "account.js"}
	for _, screen := range consoletest.ScreenNames {
		b.Open(w.URL + "/console/" + screen)
		b.Await("the screen is shown", "document.querySelector('main h1') && !document.querySelector('.skeleton')")
		loaded := loadedModules(b)
		charts := b.Holds("document.querySelector('.chart')")
		if charts {
			b.Await("the chart is there", "document.querySelector('.chart canvas')")
			loaded = loadedModules(b)
		}
		for _, chart := range []string{"chart.js", "vendor/uplot.js", "vendor/uplot.css"} {
			if slices.Contains(loaded, chart) != charts {
				t.Errorf("%s loads %v", screen, loaded)
			}
		}
		for other, module := range own {
			if slices.Contains(loaded, module) != (other == screen) {
				t.Errorf("%s loads %v", screen, loaded)
			}
		}
		t.Logf("%s: %s", screen, b.Value(`(() => { const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
			return all.length + " requests, " + Math.round(all.reduce((sum, e) => sum + e.encodedBodySize, 0) / 1000) + " kB" })()`))
	}
}

// An answer that ends in the middle is none: the screen reads it again instead of drawing what it lacks.
func TestAnswerThatIsCutOffIsReadAgain(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Person("account")
	b.Before(`const whole = window.fetch; let cut = false; window.fetch = async (address, ...rest) => {
		const answer = await whole(address, ...rest);
		if (cut || !String(address).includes("/api/overview")) return answer;
		cut = true;
		return new Response(new ReadableStream({ start: (body) => body.error(new TypeError("the connection is lost")) }), { status: 200 });
	}`)
	b.Open(w.URL + "/console/dashboard")
	b.Await("the overview is shown", "document.querySelector('#first-call')")
}
