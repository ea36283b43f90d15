package screens_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/http/console/browsertest"
	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// everyMail makes the mail of each event that calls for one, by a name of its own.
func everyMail(t *testing.T, w *consoletest.World, customer, subscription uuid.UUID) map[string]accounts.Mail {
	t.Helper()
	now := w.Clock.Now()
	threshold := func(percent, counted int64, overage domain.OveragePolicy, ceiling int64) domain.Event {
		return domain.UsageThresholdReached{
			SubscriptionID: subscription, CustomerID: customer, Month: domain.MonthOf(now), Percent: percent, Counted: counted,
			Plan: domain.PlanStarter, Limit: 1000, Overage: overage, Ceiling: ceiling, ReachedAt: now,
		}
	}
	mails := map[string]accounts.Mail{}
	walked := []string{"VerificationRequested", "PasswordResetRequested", "MemberInvited", "EmailChangeRequested", "EmailChanged"}
	shown := map[string]bool{}
	for _, eventType := range walked { // in the console: their mails follow from what is recorded there
		shown[eventType] = true
	}
	for name, event := range map[string]domain.Event{
		"active":                  domain.AccountActivated{CustomerID: customer},
		"password-changed":        domain.PasswordSet{CustomerID: customer, Cause: domain.PasswordChange, SetAt: now},
		"key-regenerated":         domain.KeyRegenerated{CustomerID: customer, Slot: domain.SlotPrimary, OldKey: domain.KeyDigest{Prefix: "lc_3fK9a"}, NewKey: domain.KeyDigest{Prefix: "lc_8sQ2x"}, RegeneratedAt: now},
		"plan-changed":            domain.PlanChanged{SubscriptionID: subscription, FromPlan: domain.PlanStarter, FromLimit: 1000, Plan: domain.PlanProfessional, Limit: 10_000, ChangedAt: now},
		"subscription-ending":     domain.UnsubscribeRequested{SubscriptionID: subscription, RequestedAt: now},
		"subscription-started":    domain.SubscriptionStarted{SubscriptionID: subscription, CustomerID: domain.CustomerIDForSubscription(subscription), Plan: domain.PlanStandard, Limit: 5000, StartedAt: now},
		"subscription-reinstated": domain.SubscriptionReinstated{SubscriptionID: subscription, Why: "why", ReinstatedAt: now},
		"subscription-ended":      domain.SubscriptionEnded{SubscriptionID: subscription, EndedAt: now},
		"over-limit-stop":         domain.OverageSwitched{SubscriptionID: subscription, To: domain.OverageStop, SwitchedAt: now},
		"over-limit-ceiling":      domain.OverageSwitched{SubscriptionID: subscription, To: domain.OverageContinue, Ceiling: 5000, SwitchedAt: now},
		"new-device":              domain.DeviceFirstUsed{AccountID: customer, Device: "another", At: now},
		"second-factor-added":     domain.SecondFactorAdded{CustomerID: customer, AddedAt: now},
		"second-factor-removed":   domain.SecondFactorRemoved{CustomerID: customer, RemovedAt: now},
		"recovery-codes-replaced": domain.RecoveryCodesReplaced{CustomerID: customer, ReplacedAt: now},
		"recovery-code-used":      domain.RecoveryCodeUsed{CustomerID: customer, UsedAt: now},
		"role-changed":            domain.MemberRoleChanged{CustomerID: customer, AccountID: customer, From: domain.RoleOwner, To: domain.RoleReader, ChangedAt: now},
		"ownership-passed-on":     domain.OwnershipPassedOn{CustomerID: customer, To: customer, PassedOnAt: now},
		"removed":                 domain.MemberRemoved{CustomerID: customer, AccountID: customer, RemovedAt: now},
		"usage-80":                threshold(80, 803, domain.OverageContinue, 0),
		"usage-100-stop":          threshold(100, 1000, domain.OverageStop, 0),
		"usage-150-ceiling":       threshold(150, 1507, domain.OverageContinue, 2000),
	} {
		called := w.MailsOf(event)
		if len(called) != 1 {
			t.Fatalf("%s: %d mails", name, len(called))
		}
		mails[name], shown[event.EventType()] = called[0], true
	}
	for _, eventType := range slices.Concat(accounts.MailEvents(), accounts.NoticeEvents(), accounts.SecondFactorEvents()) {
		if !shown[eventType] {
			t.Errorf("nobody has looked at the mail of %s: add it here", eventType)
		}
	}
	return mails
}

// Every mail is looked at as its reader sees it: in a browser as wide as a laptop and as a phone, light and dark, and as text.
// LIVENESS_SCREENSHOTS names a folder to write pictures to.
func TestEveryMailIsReadable(t *testing.T) {
	t.Parallel()
	config := browsertest.Installed(t)
	config.Axe = "" // its landmarks are those of pages
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	verification, _ := w.NewestMail(consoletest.MailAddress, "Verify")
	b.Activate()
	b.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(200)
	reset, _ := w.NewestMail(consoletest.MailAddress, "Reset")
	subscription := w.Subscription()
	mails := everyMail(t, w, domain.CustomerIDForSubscription(subscription), subscription)
	mails["verification"], mails["password-reset"] = verification, reset
	b.LogIn()
	b.Command("people/invite", map[string]any{"email": "eve@example.com", "role": "reader"}).Is(200)
	b.Command("account/email", map[string]any{"email": "ada@example.net", "currentPassword": consoletest.Password}).Is(200)
	var ok bool
	if mails["invitation"], ok = w.NewestMail("eve@example.com", ""); !ok {
		t.Fatal("no invitation")
	}
	if mails["email-change"], ok = w.NewestMail("ada@example.net", ""); !ok {
		t.Fatal("no mail to the new address")
	}
	_, err := w.Accounts.ChangeEmail(t.Context(), accounts.ChangeEmail{
		By: commands.NewOrigin(domain.ActorUser), Token: consoletest.TokenOf(t, w.MailedLink("ada@example.net", "")),
	})
	consoletest.Must(t, err)
	if mails["email-changed"], ok = w.NewestMail(consoletest.MailAddress, "changed"); !ok {
		t.Fatal("no mail to the former address")
	}

	var mu sync.Mutex
	var shown string
	pages := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		rw.Header().Set("Content-Type", "text/html; charset=utf-8")
		if r.URL.Path != "/favicon.ico" {
			_, _ = rw.Write([]byte(shown))
		}
	}))
	t.Cleanup(pages.Close)
	eyes := browsertest.Open(t, config, pages.URL)
	for name, mail := range mails {
		mu.Lock()
		shown = mail.HTML
		mu.Unlock()
		eyes.Open(pages.URL + "/" + name)
		eyes.Await("the mail "+name+" is shown", "document.querySelector('h1') && document.title !== '' && document.querySelectorAll('a[href]').length >= 2")
		eyes.Screen("mail-" + name)
		checkText(t, name, mail)
	}
}

// checkText reads a mail's text part.
func checkText(t *testing.T, name string, mail accounts.Mail) {
	t.Helper()
	if strings.Contains(mail.Text, "button") || strings.ContainsAny(mail.Text, "<>") || strings.Contains(mail.Text, "&#") || strings.Contains(mail.Text, "%!") {
		t.Errorf("%s reads:\n%s", name, mail.Text)
	}
	if !strings.HasPrefix(mail.Text, "Hello") || !strings.HasSuffix(mail.Text, "\n-- \nLiveness Detection API\n") || !strings.Contains(mail.Text, ":\nhttp") {
		t.Errorf("%s reads:\n%s", name, mail.Text)
	}
	if mail.Kind == "" || mail.Subject == "" || len(mail.Subject) > 78 || len(mail.Text) > 2000 {
		t.Errorf("%s is called %q, %q, and has %d characters", name, mail.Kind, mail.Subject, len(mail.Text))
	}
	if dir := os.Getenv("LIVENESS_SCREENSHOTS"); dir != "" {
		consoletest.Must(t, os.WriteFile(dir+"/mail-"+name+".txt", []byte("Subject: "+mail.Subject+"\n\n"+mail.Text), 0o600))
	}
}
