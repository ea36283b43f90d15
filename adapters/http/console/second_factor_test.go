package console_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/pas-ta/liveness/adapters/http/console/consoletest"
	"github.com/pas-ta/liveness/domain"
)

// app is an authenticator app.
type app struct {
	t      *testing.T
	w      *consoletest.World
	secret string
}

func (a app) code() string {
	a.t.Helper()
	code, err := totp.GenerateCode(a.secret, a.w.Clock.Now())
	consoletest.Must(a.t, err)
	return code
}

// next is a code that was not used yet.
func (a app) next() string {
	a.t.Helper()
	a.w.Clock.Advance(30 * time.Second)
	return a.code()
}

// secured switches two-step login on for the customer of a browser.
func secured(t *testing.T, w *consoletest.World, b *consoletest.Client) (app, []string) {
	t.Helper()
	var prepared struct{ Secret, Picture string }
	b.Command("account/second-factor/prepare", map[string]string{"currentPassword": wrongPassword}).Is(http.StatusBadRequest).Code("wrong_password")
	b.Command("account/second-factor/prepare", map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusOK).Decode(&prepared)
	if !strings.HasPrefix(prepared.Picture, "data:image/png;base64,") {
		t.Errorf("the picture is %.40q", prepared.Picture)
	}
	a := app{t, w, prepared.Secret}
	b.Command("account/second-factor/add", map[string]string{"code": "000000"}).Is(http.StatusUnauthorized).Code("wrong_code")
	var answer struct{ RecoveryCodes []string }
	b.Command("account/second-factor/add", map[string]string{"code": a.code()}).Is(http.StatusOK).Decode(&answer)
	if len(answer.RecoveryCodes) != 10 {
		t.Fatalf("recovery codes: %v", answer.RecoveryCodes)
	}
	return a, answer.RecoveryCodes
}

func enterPassword(b *consoletest.Client) consoletest.Answer {
	return b.Post("/console/login", "email", consoletest.MailAddress, "password", consoletest.Password, "next", "/console/keys").Is(http.StatusOK).At("/console/login/code")
}

func enterCode(b *consoletest.Client, code string) consoletest.Answer {
	return b.Post("/console/login/code", "code", code)
}

func TestLoginWithASecondFactor(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b, other := w.Client(), w.Client()
	b.Customer()
	other.LogIn()
	phone, recovery := secured(t, w, b)
	first := phone.code() // that switched it on
	b.Get("/console/api/session").Is(http.StatusOK)
	other.Get("/console/api/session").Is(http.StatusUnauthorized) // it began without a code

	enterPassword(other).Says("Enter your code")
	other.Get("/console/api/session").Is(http.StatusUnauthorized)
	enterCode(other, "12345").Is(http.StatusUnauthorized).Says("not right")
	enterCode(other, first).Is(http.StatusUnauthorized).Says("used already")
	code := phone.next()
	enterCode(other, code[:3]+" "+code[3:]).Is(http.StatusOK).At("/console/keys")
	other.Get("/console/api/session").Is(http.StatusOK)

	third := w.Client()
	enterPassword(third)
	enterCode(third, code).Is(http.StatusUnauthorized).Says("used already") // RFC 6238: once
	enterCode(third, strings.ToUpper(recovery[0])).Is(http.StatusOK).At("/console/keys")
	fourth := w.Client()
	enterPassword(fourth)
	enterCode(fourth, recovery[0]).Is(http.StatusUnauthorized)
	enterCode(fourth, strings.ReplaceAll(recovery[1], "-", "")).Is(http.StatusOK)

	// On a screen whose session has ended the code is asked for too.
	fifth := w.Client()
	login := map[string]string{"email": consoletest.MailAddress, "password": consoletest.Password}
	fifth.Command("login", login).Is(http.StatusUnauthorized).Code("code_required")
	login["code"] = "000000"
	fifth.Command("login", login).Is(http.StatusUnauthorized).Code("wrong_code")
	login["code"] = phone.next()
	fifth.Command("login", login).Is(http.StatusOK)

	var account struct {
		SecondFactorSince *time.Time
		RecoveryCodesLeft int
	}
	fifth.Read("account", &account)
	if account.SecondFactorSince == nil || account.RecoveryCodesLeft != 8 {
		t.Errorf("%+v", account)
	}
	all, err := w.Store.All()
	consoletest.Must(t, err)
	for _, recorded := range all {
		data, _, err := domain.NewRegistry().Encode(recorded.Event)
		consoletest.Must(t, err)
		for _, secret := range append([]string{phone.secret}, recovery...) {
			if strings.Contains(string(data), secret) || strings.Contains(string(data), strings.ReplaceAll(secret, "-", "")) {
				t.Errorf("%s holds a secret in the clear", recorded.Event.EventType())
			}
		}
	}
}

func TestCodesAreNotGuessed(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	owner := w.Client()
	owner.Customer()
	phone, _ := secured(t, w, owner)
	thief := w.Client()
	thief.Address = "192.0.2.66"
	enterPassword(thief)
	for range 5 {
		enterCode(thief, "000000").Is(http.StatusUnauthorized)
	}
	enterCode(thief, phone.next()).Is(http.StatusTooManyRequests)
	// The owner's own browser is counted by itself, logged in and at the login.
	owner.Command("account/second-factor/recovery-codes", map[string]string{"currentPassword": consoletest.Password, "code": phone.next()}).Is(http.StatusOK)
	// A reset proves whose the mail is, and nothing about the phone.
	thief.Post("/console/password/forgot", "email", consoletest.MailAddress).Is(http.StatusOK)
	link := w.MailedLink(consoletest.MailAddress, "Reset")
	thief.Post("/console/password/reset", "token", consoletest.TokenOf(t, link), "password", "Reset-password-3").Is(http.StatusOK)
	thief.Post("/console/login", "email", consoletest.MailAddress, "password", "Reset-password-3").Is(http.StatusOK).At("/console/login/code")
	enterCode(thief, phone.next()).Is(http.StatusTooManyRequests)
	owner.Post("/console/login", "email", consoletest.MailAddress, "password", "Reset-password-3").Is(http.StatusOK).At("/console/login/code")
	enterCode(owner, phone.next()).Is(http.StatusOK).At("/console/dashboard")
}

// A login waits for its code for some minutes, and not behind another password.
func TestWaitingLoginsEnd(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b, waits := w.Client(), w.Client()
	b.Customer()
	phone, _ := secured(t, w, b)
	waits.Get("/console/login/code").Is(http.StatusOK).At("/console/login")
	enterCode(waits, phone.next()).Is(http.StatusUnauthorized).Says("Enter your password again")
	enterPassword(waits)
	w.Clock.Advance(10 * time.Minute)
	enterCode(waits, phone.next()).Is(http.StatusUnauthorized).Says("Enter your password again")
	enterPassword(waits)
	b.Command("account/password", map[string]string{"currentPassword": consoletest.Password, "password": "Changed-password-2"}).Is(http.StatusOK)
	enterCode(waits, phone.next()).Is(http.StatusUnauthorized)
	waits.Get("/console/api/session").Is(http.StatusUnauthorized)
}

func TestSecondFactorIsSwitchedOff(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	b := w.Client()
	b.Customer()
	phone, recovery := secured(t, w, b)
	b.Command("account/second-factor/prepare", map[string]string{"currentPassword": consoletest.Password}).Is(http.StatusConflict).Code("second_factor_on")
	with := func(code string) map[string]string {
		return map[string]string{"currentPassword": consoletest.Password, "code": code}
	}
	var fresh struct{ RecoveryCodes []string }
	b.Command("account/second-factor/recovery-codes", with(phone.next())).Is(http.StatusOK).Decode(&fresh)
	b.Command("account/second-factor/remove", with(recovery[0])).Is(http.StatusUnauthorized).Code("wrong_code")
	b.Command("account/second-factor/remove", map[string]string{"currentPassword": wrongPassword, "code": fresh.RecoveryCodes[0]}).Is(http.StatusBadRequest)
	b.Command("account/second-factor/remove", with(fresh.RecoveryCodes[0])).Is(http.StatusOK)
	w.Client().LogIn()
	b.Command("account/second-factor/remove", with(fresh.RecoveryCodes[1])).Is(http.StatusConflict).Code("second_factor_off")
	b.Command("account/second-factor/add", map[string]string{"code": phone.next()}).Is(http.StatusConflict).Code("second_factor_not_prepared")
}

// Who confirms something with a login that has a second factor gives the code first, and comes back.
func TestInvitationToALoginWithASecondFactor(t *testing.T) {
	t.Parallel()
	w := consoletest.New(t)
	ada := w.Client()
	ada.Customer()
	grace, _ := ada.Invite(ada.Session("").Customer, "reader")
	phone, _ := secured(t, w, grace)
	second := ada.BuyAgain("Second Company")
	ada.Command("people/invite?customer="+second, map[string]string{"email": consoletest.GraceAddress, "role": "reader"}).Is(http.StatusOK)
	link := w.MailedLink(consoletest.GraceAddress, "You are invited")
	b := w.Client()
	b.Post("/console/invitation", "token", consoletest.TokenOf(t, link), "password", consoletest.Password).Is(http.StatusOK).At("/console/login/code")
	enterCode(b, phone.next()).Is(http.StatusOK).At("/console/invitation").Says("Accept the invitation")
	b.Post("/console/invitation", "token", consoletest.TokenOf(t, link)).Is(http.StatusOK).At("/console/dashboard")
}
