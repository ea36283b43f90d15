package accounts_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

// lives lets ada activate her account, grace join her, mary be invited twice, and ada log in and take another address.
func (f *fixture) lives() {
	f.t.Helper()
	f.activated()
	f.grace(domain.RoleReader)
	for range 2 { // the second replaces the first
		f.invited("mary@example.com", domain.RoleReader)
	}
	by := f.owner()
	_, err := f.RequestEmailChange(f.t.Context(), accounts.RequestEmailChange{By: by, AccountID: f.bought.CustomerID, Email: "new@example.com", Password: goodPassword})
	wantError(f.t, "asking for another address", err, nil)
	account, err := f.Account(f.t.Context(), f.bought.CustomerID)
	wantError(f.t, "reading the account", err, nil)
	token := f.LinkToken(accounts.LinkEmailChange, accounts.Link{CustomerID: f.bought.CustomerID, RequestID: account.Change.ID})
	user, err := f.LogIn(f.t.Context(), accounts.LogIn{By: by, Email: ada.Email, Password: goodPassword})
	wantError(f.t, "logging in", err, nil)
	wantError(f.t, "confirming the login", f.ConfirmLogin(f.t.Context(), accounts.ConfirmLogin{By: by, User: user, Device: "device"}), nil)
	_, err = f.ChangeEmail(f.t.Context(), accounts.ChangeEmail{By: commands.NewUserOrigin(f.bought.CustomerID), Token: token})
	wantError(f.t, "taking another address", err, nil)
}

func TestWhatGoesWellIsNotLogged(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.lives()
	if f.log.Len() > 0 {
		t.Errorf("the log says:\n%s", f.log)
	}
}

// What is done although a read model is behind, or an address stays claimed, is in the log and fails nobody.
func TestWhatIsLeftBehindIsLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // what cannot be released is tried for seconds
		f := newFixture(t)
		f.barrier.Err = errors.New("behind")
		f.vault.keeps = errors.New("no key store")
		f.store.Inject(func(op memorystore.Operation) memorystore.Fault {
			released := strings.HasPrefix(op.Stream, "mailaddress-") && len(op.Events) > 0 && op.Events[0].Event.EventType() == "MailAddressReleased"
			if released || strings.HasPrefix(op.Stream, "logins-") || strings.HasPrefix(op.Stream, "devices-") {
				return memorystore.UnavailableBefore
			}
			return memorystore.None
		})
		f.lives()
		for _, want := range []string{
			"keys are shown before every node knows them", "a person is told before every screen knows", "address stays claimed until another account asks for it",
			"login is not noted", "the device of a login is not noted", "the address of an invitation stays readable",
		} {
			if !strings.Contains(f.log.String(), want) {
				t.Errorf("the log does not say %q:\n%s", want, f.log)
			}
		}
	})
}
