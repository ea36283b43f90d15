package console_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
)

// A flow is something that a person does. It makes ready what that takes, and returns what does it: whose browser it is, and the
// position that a screen passes on, if any.
type flow func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) (do func() (b *consoletest.Client, after string))

// screens are what is read behind it.
var screens = []string{"session", "overview", "keys", "usage", "checks", "cost", "traffic", "plan", "notifications", "activity", "people", "account", "account/sessions"}

var flows = map[string]flow{
	"activation": func(t *testing.T, w *consoletest.World, _ *consoletest.Client, n int) func() (*consoletest.Client, string) {
		return func() (*consoletest.Client, string) {
			b, address := w.Client(), fmt.Sprintf("eve%d@example.net", n)
			token, _ := w.Market.Sell("starter", 1)
			b.Post("/marketplace/register", consoletest.TokenField, token).Is(http.StatusOK).At("/console/onboarding")
			b.Post("/console/onboarding", consoletest.OnboardingForm("email", address)...).Is(http.StatusOK).At("/console/check-mail")
			link := w.MailedLink(address, "Verify")
			b.Get(link).Is(http.StatusOK).Says("Set your password")
			b.Post("/console/activate", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(http.StatusOK).Says("Save your API keys")
			b.Post("/console/login", "email", address, "password", consoletest.Password).Is(http.StatusOK).At("/console/dashboard")
			return b, ""
		}
	},
	"another subscription": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		w.Mails.StartOver()
		return func() (*consoletest.Client, string) {
			token, _ := w.Market.Sell("standard", 1)
			ada.Post("/marketplace/register", consoletest.TokenField, token).Is(http.StatusOK).At("/console/onboarding")
			ada.Post("/console/onboarding", consoletest.OnboardingForm("company", fmt.Sprint("Engines ", n))...).Is(http.StatusOK).At("/console/check-mail")
			link := w.MailedLink(consoletest.MailAddress, "Add your new subscription")
			ada.Get(link).Is(http.StatusOK)
			ada.Post("/console/activate/attach", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(http.StatusOK).Says("Primary key")
			return ada, ""
		}
	},
	"accepting with a new login": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		return func() (*consoletest.Client, string) {
			b, _ := accept(t, w, ada, n)
			return b, ""
		}
	},
	"accepting with a login": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		owner := w.Stranger(fmt.Sprintf("eve%d@example.net", n))
		w.Mails.StartOver()
		return func() (*consoletest.Client, string) {
			owner.Command("people/invite", map[string]string{"email": consoletest.MailAddress, "role": "reader"}).Is(http.StatusOK)
			token := consoletest.TokenOf(t, w.MailedLink(consoletest.MailAddress, "You are invited"))
			ada.Post("/console/invitation", "token", token).Is(http.StatusOK).At("/console/dashboard")
			return ada, ""
		}
	},
	"inviting": func(_ *testing.T, _ *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		return command(ada, "people/invite", map[string]string{"email": fmt.Sprintf("eve%d@example.net", n), "role": "reader"})
	},
	"withdrawing an invitation": func(_ *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		ada.Command("people/invite", map[string]string{"email": fmt.Sprintf("eve%d@example.net", n), "role": "reader"}).Is(http.StatusOK)
		w.Settled()
		var people struct{ Invitations []struct{ ID string } }
		ada.Read("people", &people)
		return command(ada, "invitations/"+people.Invitations[0].ID+"/withdraw", struct{}{})
	},
	"changing a role": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		_, account := accept(t, w, ada, n)
		return command(ada, "people/"+account+"/role", map[string]string{"to": "owner"})
	},
	"passing the ownership on": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		if n > 0 { // back to ada
			var people struct {
				People []struct{ Account, Email string }
			}
			ada.Read("people", &people)
			former := w.Client()
			former.Post("/console/login", "email", fmt.Sprintf("grace%d@example.com", n-1), "password", consoletest.Password).Is(http.StatusOK)
			for _, p := range people.People {
				if p.Email == consoletest.MailAddress {
					former.Command("people/"+p.Account+"/pass-on", struct{}{}).Is(http.StatusOK)
				}
			}
			w.Settled()
		}
		_, account := accept(t, w, ada, n)
		return command(ada, "people/"+account+"/pass-on", struct{}{})
	},
	"removing somebody": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		_, account := accept(t, w, ada, n)
		return command(ada, "people/"+account+"/remove", struct{}{})
	},
	"leaving": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		b, account := accept(t, w, ada, n)
		ada.Command("people/"+account+"/role", map[string]string{"to": "owner"}).Is(http.StatusOK)
		return command(b, "people/"+account+"/remove", struct{}{})
	},
	"regenerating the primary key":   regenerate("primary"),
	"regenerating the secondary key": regenerate("secondary"),
	"naming a key": func(_ *testing.T, _ *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		return command(ada, "keys/primary/name", map[string]string{"name": fmt.Sprint("key ", n)})
	},
	"the over-limit switch": func(_ *testing.T, _ *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		return command(ada, "plan/overage", map[string]string{"to": []string{"stop", "continue"}[n%2]})
	},
	"notifications": func(_ *testing.T, _ *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		return command(ada, "notifications", map[string]any{"usageMails": n%2 == 1, "warnPercent": 80, "stepPercent": 10})
	},
	"asking for another address": func(_ *testing.T, _ *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		return command(ada, "account/email", map[string]string{"email": fmt.Sprintf("ada%d@example.com", n), "currentPassword": consoletest.Password})
	},
	"confirming another address": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		address := fmt.Sprintf("ada%d@example.com", n)
		ada.Command("account/email", map[string]string{"email": address, "currentPassword": consoletest.Password}).Is(http.StatusOK)
		token := consoletest.TokenOf(t, w.MailedLink(address, "Confirm"))
		return func() (*consoletest.Client, string) {
			ada.Post("/console/email/confirm", "token", token).Is(http.StatusOK).Says("Your work email is changed")
			return ada, ""
		}
	},
	"changing the password": func(_ *testing.T, _ *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		passwords := []string{consoletest.Password, "Difference-1822"}
		return command(ada, "account/password", map[string]string{"currentPassword": passwords[n%2], "password": passwords[(n+1)%2]})
	},
	"resetting the password": func(t *testing.T, w *consoletest.World, _ *consoletest.Client, _ int) func() (*consoletest.Client, string) {
		return func() (*consoletest.Client, string) {
			b := w.Client()
			w.Mails.StartOver()
			b.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(http.StatusOK)
			token := consoletest.TokenOf(t, w.MailedLink(consoletest.MailAddress, "Reset"))
			b.Post("/console/password/reset", "token", token, "password", consoletest.Password).Is(http.StatusOK).At("/console/login")
			b.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(http.StatusOK).At("/console/dashboard")
			return b, ""
		}
	},
	"logging in": func(_ *testing.T, w *consoletest.World, _ *consoletest.Client, _ int) func() (*consoletest.Client, string) {
		return func() (*consoletest.Client, string) {
			b := w.Client()
			b.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password).Is(http.StatusOK).At("/console/dashboard")
			return b, ""
		}
	},
	"switching two-step login on": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		if n > 0 {
			ada = w.Stranger(fmt.Sprintf("eve%d@example.net", n))
		}
		return func() (*consoletest.Client, string) {
			secured(t, w, ada)
			return ada, ""
		}
	},
	"making recovery codes": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) func() (*consoletest.Client, string) {
		if n > 0 {
			ada = w.Stranger(fmt.Sprintf("eve%d@example.net", n))
		}
		phone, _ := secured(t, w, ada)
		return command(ada, "account/second-factor/recovery-codes", map[string]string{"currentPassword": consoletest.Password, "code": phone.next()})
	},
	"switching two-step login off": func(t *testing.T, w *consoletest.World, ada *consoletest.Client, _ int) func() (*consoletest.Client, string) {
		phone, _ := secured(t, w, ada)
		return command(ada, "account/second-factor/remove", map[string]string{"currentPassword": consoletest.Password, "code": phone.next()})
	},
}

// accept has somebody new join ada's customer.
func accept(t *testing.T, w *consoletest.World, ada *consoletest.Client, n int) (b *consoletest.Client, account string) {
	t.Helper()
	b, address := w.Client(), fmt.Sprintf("grace%d@example.com", n)
	ada.Command("people/invite", map[string]string{"email": address, "role": "reader"}).Is(http.StatusOK)
	b.Post("/console/invitation", "token", consoletest.TokenOf(t, w.MailedLink(address, "You are invited")),
		"firstName", "Grace", "lastName", "Hopper", "password", consoletest.Password).Is(http.StatusOK).At("/console/dashboard")
	return b, b.Session("").Account
}

// command is what a screen sends, and the position that its next reads pass on.
func command(b *consoletest.Client, path string, body any) func() (*consoletest.Client, string) {
	return func() (*consoletest.Client, string) {
		var done struct{ Position string }
		b.Command(path, body).Is(http.StatusOK).Decode(&done)
		return b, done.Position
	}
}

func regenerate(slot string) flow {
	return func(_ *testing.T, _ *consoletest.World, ada *consoletest.Client, _ int) func() (*consoletest.Client, string) {
		return func() (*consoletest.Client, string) {
			var done struct{ Position string }
			ada.Command("keys/"+slot+"/regenerate", struct{}{}).Decode(&done) // 503 while nodes may not know
			return ada, done.Position
		}
	}
}

// Whoever has done something sees it on the next screen, or that the screen does not show it yet: whichever read model is behind.
func TestNobodyMissesWhatTheyHaveDone(t *testing.T) {
	t.Parallel()
	for name, flow := range flows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := consoletest.New(t)
			ada := w.Client()
			ada.Customer()
			do := flow(t, w, ada, 0)
			before := len(w.All())
			do()
			var types []string
			for _, recorded := range w.All()[before:] {
				types = append(types, recorded.Event.EventType())
			}
			n := 0
			for _, p := range projections.All() {
				if slices.ContainsFunc(types, func(name string) bool { return slices.Contains(p.Events, name) }) {
					n++
					seesIt(t, w, p, flow(t, w, ada, n))
				}
			}
		})
	}
}

func seesIt(t *testing.T, w *consoletest.World, behind engine.Projection, do func() (*consoletest.Client, string)) {
	t.Helper()
	release := w.HoldBack(behind.Name)
	b, after := do()
	read := func(screen string) consoletest.Answer {
		path := "/console/api/" + screen
		if after != "" {
			path += "?" + url.Values{"after": {after}}.Encode()
		}
		return b.Get(path)
	}
	atOnce := map[string]consoletest.Answer{}
	for _, screen := range screens {
		atOnce[screen] = read(screen)
	}
	release()
	w.Settled()
	for _, screen := range screens {
		seen, then := atOnce[screen], read(screen)
		asksAgain := seen.Status == http.StatusServiceUnavailable || seen.Status == http.StatusOK && seen.Header.Get("Console-Behind") != ""
		if !asksAgain && seen.Body != then.Body {
			t.Errorf("%s, with %s behind, is %d and stays\n%s\nand is to be %d\n%s", screen, behind.Name,
				seen.Status, strings.TrimSpace(seen.Body), then.Status, strings.TrimSpace(then.Body))
		}
	}
}

// Who has done nothing is told as well that a read model has lacked something for longer than a moment.
func TestScreensOfALateReadModelSaySo(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	site, _ := url.Parse(w.URL)
	b.HTTP.Jar.SetCookies(site, []*http.Cookie{{Name: "liveness_followed", Path: "/", MaxAge: -1}}) // a minute has passed
	marked := func(screen string) string {
		t.Helper()
		w.Settled()
		w.TellLateness()
		return b.Get("/console/api/" + screen).Is(http.StatusOK).Header.Get("Console-Behind")
	}
	if readModel := marked("usage"); readModel != "" {
		t.Errorf("%s is late and lacks nothing", readModel)
	}
	release := w.HoldBack(projections.UsageProjection().Name)
	w.Count(w.Subscription(), w.Clock.Now(), 1)
	for screen, wanted := range map[string]string{"usage": "usage", "keys": ""} {
		if readModel := marked(screen); readModel != wanted {
			t.Errorf("the marked read model of %s is %q, not %q", screen, readModel, wanted)
		}
	}
	release()
	if readModel := marked("usage"); readModel != "" {
		t.Errorf("%s is late and has caught up", readModel)
	}
}

// A command that takes long leaves alone what another tab has put into the session meanwhile.
func TestCommandsDoNotWriteTheSession(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	done := b.Command("plan/overage", map[string]any{"to": "stop"}).Is(http.StatusOK)
	if cookies := strings.Join(done.Header.Values("Set-Cookie"), "\n"); strings.Contains(cookies, "liveness_session") || !strings.Contains(cookies, "liveness_followed=") {
		t.Errorf("the command sets %s", cookies)
	}
}

// Who was removed, and who tries photos of a subscription that has ended, is refused whatever read models know.
func TestNobodyIsLetInByAReadModelThatIsBehind(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	grace, account := accept(t, w, ada, 0)
	customer := ada.Session("").Customer
	release := w.HoldBack("members")
	ada.Command("people/"+account+"/remove", struct{}{}).Is(http.StatusOK)
	for _, screen := range []string{"session", "overview", "people", "usage.csv"} {
		grace.Get("/console/api/" + screen + "?customer=" + customer).Is(http.StatusForbidden).Code("not_a_member")
	}
	if session := grace.Session(""); session.Customer != "" {
		t.Errorf("who was removed looks at %+v", session)
	}

	release()

	// The customers that the session lists are those of the log as well.
	eve := w.Stranger("eve@example.net")
	w.Mails.StartOver()
	eve.Command("people/invite", map[string]string{"email": consoletest.MailAddress, "role": "reader"}).Is(http.StatusOK)
	token := consoletest.TokenOf(t, w.MailedLink(consoletest.MailAddress, "You are invited"))
	ada.Post("/console/invitation", "token", token).Is(http.StatusOK).At("/console/dashboard")
	w.Settled()
	if listed := ada.Session(customer).Customers; len(listed) != 2 {
		t.Fatalf("the session lists %+v", listed)
	}
	defer w.HoldBack("members")()
	eve.Command("people/"+ada.Session("").Account+"/remove", struct{}{}).Is(http.StatusOK)
	if listed := ada.Session(customer).Customers; len(listed) != 1 || listed[0].ID != customer {
		t.Errorf("the session lists %+v", listed)
	}

	defer w.HoldBack("subscriptions")()
	w.End(w.SubscriptionOf(customer))
	ada.Command("try", photo("a photo")).Is(http.StatusForbidden).Code("subscription_inactive")
}

// Keys that nodes may not know yet are shown, since nobody can show them again, and it is said that they may be refused at first.
func TestKeysThatNodesDoNotKnowYet(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	link := w.MailedLink(consoletest.MailAddress, "Verify")
	const soon = "It can take a minute until every server knows them"
	defer w.HoldBack("api_keys")()
	b.Post("/console/activate", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(http.StatusOK).Says("Primary key", soon)
}

// Who has just joined is nobody's former colleague while the read model of logins does not know them.
func TestNewColleaguesAreNotFormerOnes(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	defer w.HoldBack("accounts")()
	accept(t, w, ada, 0)
	w.Settled()
	for _, screen := range []string{"people", "activity"} {
		if a := ada.Get("/console/api/" + screen).Is(http.StatusOK).Says("A new colleague"); strings.Contains(a.Body, "former") {
			t.Errorf("%s: %s", screen, a.Body)
		}
	}
}
