package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/pquerna/otp/totp"

	"github.com/pas-ta/liveness/adapters/http/console"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// Somebody who has lost app and recovery codes gets in again by an operator's command: the password is enough then, what was
// open is not, and a mail says so.
func TestLostSecondFactor(t *testing.T) {
	t.Parallel()
	const email, password = "ada@example.com", "Correct-horse-1"
	p := startMailing(t, node.Config{}, 1)
	account := p.register(email).CustomerID
	p.activate(email)
	secret := filepath.Join(t.TempDir(), "secret")
	p.must(os.WriteFile(secret, []byte(strings.Repeat("s", 32)), 0o600))
	remove := func(person string, yes bool) (string, int) {
		return projectionsRun(t, &LoginRemoveSecondFactorCmd{
			ReadModelFlags: p.flags, SecretFlags: SecretFlags{SecretFile: secret}, Person: person, Yes: yes,
		})
	}
	if out, code := remove(email, true); code != exitFailure || !strings.Contains(out, "not on") {
		t.Errorf("of a login without one: %d, %s", code, out)
	}
	p.addSecondFactor(account, password)
	p.arrives(accounts.MailKindSecondFactorAdded, email, 1)
	logins := console.NewPostgresLogins(p.core.pool, console.LoginLimits{Idle: time.Hour, Lifetime: time.Hour})
	p.must(logins.Begin(t.Context(), console.Login{ID: uuid.New(), Account: account}))
	for person, says := range map[string]string{"nobody@example.com": "nobody logs in", uuid.NewString(): "nobody logs in"} {
		if out, code := remove(person, true); code != exitFailure || !strings.Contains(out, says) {
			t.Errorf("of %s: %d, %s", person, code, out)
		}
	}
	if out, code := remove(email, false); code != exitFailure || !strings.Contains(out, "--yes") || !p.needsCode(email, password) {
		t.Errorf("without --yes: %d, %s", code, out)
	}
	if out, code := remove(email, true); code != 0 || !strings.Contains(out, "is off") || p.needsCode(email, password) {
		t.Errorf("removing: %d, %s", code, out)
	}
	if open, err := logins.Of(t.Context(), account); err != nil || len(open) != 0 {
		t.Errorf("open sessions: %+v, %v", open, err)
	}
	p.arrives(accounts.MailKindSecondFactorRemoved, email, 1)
	p.addSecondFactor(account, password) // with another app
	if out, code := remove(account.String(), true); code != 0 || p.needsCode(email, password) {
		t.Errorf("removing by the account's id: %d, %s", code, out)
	}
}

// addSecondFactor switches two-step login on, with an app of its own.
func (p *mailedProduct) addSecondFactor(account uuid.UUID, password string) {
	p.t.Helper()
	prepared, err := p.core.accounts.PrepareSecondFactor(p.t.Context(), account, password)
	p.must(err)
	code, err := totp.GenerateCode(prepared.Secret, time.Now())
	p.must(err)
	_, _, err = p.core.accounts.AddSecondFactor(p.t.Context(), accounts.AddSecondFactor{
		By: commands.NewUserOrigin(account), AccountID: account, Sealed: prepared.Sealed, Code: code,
	})
	p.must(err)
}

// needsCode returns whether the password alone lets nobody in.
func (p *mailedProduct) needsCode(email, password string) bool {
	p.t.Helper()
	user, err := p.core.accounts.LogIn(p.t.Context(), accounts.LogIn{By: commands.NewOrigin(domain.ActorUser), Email: email, Password: password})
	p.must(err)
	return user.SecondFactor
}
