package accounts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/alexedwards/argon2id"
	"github.com/google/uuid"
	"golang.org/x/text/unicode/norm"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

// The same letters, as macOS and as Windows send them.
const (
	composed   = "Crème-brûlée-1"
	decomposed = "Cre\u0300me-bru\u0302le\u0301e-1"
)

// The same password logs in however a keyboard composes its letters, whichever way it was set.
func TestPasswordsAreComparedNormalised(t *testing.T) {
	t.Parallel()
	if norm.NFC.String(decomposed) != composed || composed == decomposed {
		t.Fatal("the two spellings are not two of the same")
	}
	for set, password := range map[string]string{"set on Windows": composed, "set on a Mac": decomposed} {
		t.Run(set, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			_, err := f.register(f.bought, ada)
			wantError(t, "registering", err, nil)
			_, err = f.activate(f.link(f.bought.CustomerID), password)
			wantError(t, "activating", err, nil)
			wantError(t, "logging in on Windows", f.logIn(ada.Email, composed), nil)
			wantError(t, "logging in on a Mac", f.logIn(ada.Email, decomposed), nil)
			wantError(t, "another password", f.logIn(ada.Email, "Creme-brulee-1"), accounts.ErrLoginFailed)
			change := accounts.ChangePassword{By: byUser(), CustomerID: f.bought.CustomerID, Current: decomposed, New: goodPassword}
			wantError(t, "changing it on a Mac", f.ChangePassword(t.Context(), change), nil)
			wantError(t, "the new one", f.logIn(ada.Email, goodPassword), nil)
		})
	}
}

// Hashes from before passwords were normalised go on working, of whichever spelling they are.
func TestOlderHashesGoOnWorking(t *testing.T) {
	t.Parallel()
	for hashed, password := range map[string]string{"of Windows": composed, "of a Mac": decomposed, "of both": "Cre\u0300me-brûlée-1"} {
		t.Run(hashed, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.activated()
			customer := f.bought.CustomerID
			hash, err := argon2id.CreateHash(password, &argon2id.Params{Memory: 8, Iterations: 1, Parallelism: 1, SaltLength: 16, KeyLength: 32})
			wantError(t, "hashing", err, nil)
			ciphertext, err := f.vault.Encrypt(t.Context(), customer, []byte(hash))
			wantError(t, "encrypting", err, nil)
			last, _, err := f.store.ReadLast(t.Context(), domain.AccountStream(customer))
			wantError(t, "reading", err, nil)
			_, err = f.store.Append(t.Context(), domain.AccountStream(customer), int64(last.Revision), []commands.Proposed{
				{ID: uuid.New(), Event: domain.PasswordSet{CustomerID: customer, PasswordHash: ciphertext, Cause: domain.PasswordChange}},
			})
			wantError(t, "appending", err, nil)
			typed := []string{password}
			if hashed != "of both" { // what was typed in no normal form is known only as it was typed
				typed = []string{composed, decomposed}
			}
			for _, p := range typed {
				wantError(t, "logging in", f.logIn(ada.Email, p), nil)
			}
		})
	}
}

// A password's length is that of its composed form, and no form that is longer than any password may be costs a hash.
func TestLengthOfNormalisedPasswords(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	longest := goodPassword + strings.Repeat("é", (domain.MaxPasswordLength-len(goodPassword))/2)
	change := func(current, password string) error {
		return f.ChangePassword(t.Context(), accounts.ChangePassword{
			By: byUser(), CustomerID: f.bought.CustomerID, Current: current, New: password,
		})
	}
	wantError(t, "the longest, decomposed", change(goodPassword, norm.NFD.String(longest)), nil)
	wantError(t, "logging in with it", f.logIn(ada.Email, norm.NFD.String(longest)), nil)
	wantError(t, "too short once composed", change(longest, "Ae\u0301e\u0301-1xy"), domain.ErrInvalidRequest)
	if forms := accounts.PasswordForms(strings.Repeat("é", domain.MaxPasswordLength)); len(forms) != 0 {
		t.Errorf("%d forms of a password that is too long are hashed", len(forms))
	}
	for password, want := range map[string][]string{
		goodPassword: {goodPassword}, composed: {composed, decomposed}, decomposed: {composed, decomposed},
	} {
		if got := accounts.PasswordForms(password); !slices.Equal(got, want) {
			t.Errorf("forms of %q: %q", password, got)
		}
	}
}
