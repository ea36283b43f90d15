package console_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/domain"
)

func TestLinksThatDoNotWork(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	link := w.MailedLink(consoletest.MailAddress, "Verify")
	token := consoletest.TokenOf(t, link)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	consoletest.Must(t, err)
	for i := range raw {
		tampered := append([]byte(nil), raw...)
		tampered[i] ^= 1
		text := base64.RawURLEncoding.EncodeToString(tampered)
		if i%8 == 0 {
			b.Get("/console/activate?token="+text).Is(400).Says("not valid", "Copy the whole address")
		}
		b.Post("/console/activate", "token", text, "password", consoletest.Password).Is(400)
	}
	for _, text := range []string{"", "x", token[:20], token + "A", token + "\x00", "'; drop table--", strings.Repeat("A", 5000)} {
		b.Get("/console/activate?token=" + url.QueryEscape(text)).Is(400).Says("not valid")
	}
	b.Get("/console/password/reset?token=" + token).Is(400).Says("does not work any more") // made for another purpose
}

func TestExpiredLinkIsRenewed(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	w.Client().Register("starter", 1)
	link := w.MailedLink(consoletest.MailAddress, "Verify")
	w.Clock.Advance(domain.VerificationValidity)
	b := w.Client() // another device: no session
	b.Get(link).Is(400).Says("has expired", "Send me a new link")
	b.Post("/console/activate", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(400).Says("has expired")
	b.Post("/console/activate/renew", "token", consoletest.TokenOf(t, link)).Is(200).At("/console/check-mail").Says("A new mail is on its way")
	b.Activate()
	b.Post("/console/activate/renew", "token", consoletest.TokenOf(t, link)).Says("already active")
	b.Post("/console/activate/renew", "token", "nonsense").Is(400).Says("not valid")
}

func TestLinkWorksOnce(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	link := w.MailedLink(consoletest.MailAddress, "Verify")
	for range 3 {
		b.Get(link).Is(200) // opening it uses nothing up
	}
	var shown atomic.Int32
	var tabs sync.WaitGroup
	for range 3 {
		tabs.Go(func() {
			if a := b.Post("/console/activate", "token", consoletest.TokenOf(t, link), "password", consoletest.Password); strings.Contains(a.Body, `id="key-primary"`) {
				shown.Add(1)
			}
		})
	}
	tabs.Wait()
	if shown.Load() != 1 {
		t.Errorf("%d pages show keys", shown.Load())
	}
	b.Get(link).Is(409).Says("already used", "Log in", "Regenerate")
	if page := b.Post("/console/activate", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(409); consoletest.ShownKey.MatchString(page.Body) {
		t.Error("a replayed activation shows keys")
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	token := consoletest.TokenOf(t, w.MailedLink(consoletest.MailAddress, "Verify"))
	for password, lacks := range map[string]string{
		"":                                "at least 8 characters",
		"Aa1!aaa":                         "at least 8 characters",
		"correct-horse-1":                 "an upper-case letter",
		"CORRECT-HORSE-1":                 "a lower-case letter",
		"Correct-horse":                   "a digit",
		"Correcthorse1":                   "a symbol",
		"Correct horse 1":                 "a symbol",
		"Aa1!" + strings.Repeat("x", 300): "longer than 256",
	} {
		page := b.Post("/console/activate", "token", token, "password", password).Is(400).Says(lacks)
		if password != "" && strings.Contains(page.Body, password) {
			t.Errorf("the page gives the password %q back", password)
		}
	}
	b.Post("/console/activate", "token", token, "password", "Pässwörd-1").Is(200).Says("Primary key")
}

func TestActivationIsConfirmedByMail(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Register("starter", 1)
	b.Activate()
	if mail, ok := w.NewestMail(consoletest.MailAddress, "is active"); !ok || strings.Contains(mail.Text, "lc_") {
		t.Errorf("confirmation: %v\n%s", ok, mail.Text)
	}
	w.Clock.Advance(48 * time.Hour)
	w.Mails.StartOver()
	if mail, again := w.NewestMail(consoletest.MailAddress, ""); again {
		t.Errorf("reading the log again mails about the past: %s", mail.Subject)
	}
}
