package console_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

func TestLinksThatDoNotWork(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.register("starter", 1)
	link := w.mailedLink(mailAddress, "Verify")
	token := tokenOf(t, link)
	raw, err := base64.RawURLEncoding.DecodeString(token)
	must(t, err)
	for i := range raw {
		tampered := append([]byte(nil), raw...)
		tampered[i] ^= 1
		text := base64.RawURLEncoding.EncodeToString(tampered)
		if i%8 == 0 {
			b.get("/console/activate?token="+text).is(400).says("not valid", "Copy the whole address")
		}
		b.post("/console/activate", "token", text, "password", password).is(400)
	}
	for _, text := range []string{"", "x", token[:20], token + "A", token + "\x00", "'; drop table--", strings.Repeat("A", 5000)} {
		b.get("/console/activate?token=" + url.QueryEscape(text)).is(400).says("not valid")
	}
	b.get("/console/password/reset?token=" + token).is(400).says("does not work any more") // made for another purpose
}

func TestExpiredLinkIsRenewed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().register("starter", 1)
	link := w.mailedLink(mailAddress, "Verify")
	w.clock.advance(domain.VerificationValidity)
	b := w.browser() // another device: no session
	b.get(link).is(400).says("has expired", "Send me a new link")
	b.post("/console/activate", "token", tokenOf(t, link), "password", password).is(400).says("has expired")
	b.post("/console/activate/renew", "token", tokenOf(t, link)).is(200).at("/console/check-mail").says("A new mail is on its way")
	b.activate()
	b.post("/console/activate/renew", "token", tokenOf(t, link)).says("already active")
	b.post("/console/activate/renew", "token", "nonsense").is(400).says("not valid")
}

func TestLinkWorksOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.register("starter", 1)
	link := w.mailedLink(mailAddress, "Verify")
	for range 3 {
		b.get(link).is(200) // opening it uses nothing up
	}
	var shown atomic.Int32
	var tabs sync.WaitGroup
	for range 3 {
		tabs.Go(func() {
			if a := b.post("/console/activate", "token", tokenOf(t, link), "password", password); strings.Contains(a.body, `id="key-primary"`) {
				shown.Add(1)
			}
		})
	}
	tabs.Wait()
	if shown.Load() != 1 {
		t.Errorf("%d pages show keys", shown.Load())
	}
	b.get(link).is(409).says("already used", "Log in", "Regenerate")
	if page := b.post("/console/activate", "token", tokenOf(t, link), "password", password).is(409); shownKey.MatchString(page.body) {
		t.Error("a replayed activation shows keys")
	}
}

func TestPasswordRules(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.register("starter", 1)
	token := tokenOf(t, w.mailedLink(mailAddress, "Verify"))
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
		page := b.post("/console/activate", "token", token, "password", password).is(400).says(lacks)
		if password != "" && strings.Contains(page.body, password) {
			t.Errorf("the page gives the password %q back", password)
		}
	}
	b.post("/console/activate", "token", token, "password", "Pässwörd-1").is(200).says("Primary key")
}

func TestActivationIsConfirmedByMail(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.register("starter", 1)
	b.activate()
	if mail, ok := w.newestMail(mailAddress, "is active"); !ok || strings.Contains(mail.Text, "lc_") {
		t.Errorf("confirmation: %v\n%s", ok, mail.Text)
	}
	w.clock.advance(48 * time.Hour)
	w.mails.read, w.mails.mails = 0, nil // the handler starts over at the beginning of the log
	if mail, again := w.newestMail(mailAddress, ""); again {
		t.Errorf("reading the log again mails about the past: %s", mail.Subject)
	}
}
