package accounts_test

import (
	"errors"
	"log/slog"
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

// A password is hashed as OWASP advises where no other cost is asked for.
func TestPasswordsAreHashedAsOWASPAdvises(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	var err error
	f.Commands, err = accounts.New(accounts.Config{Executor: f.Executor, Vault: f.vault, Barrier: f.barrier, Keyring: f.ring, Log: slog.New(slog.DiscardHandler)})
	wantError(t, "without a cost", err, nil)
	f.activated()
	var hashes []string
	for _, sealed := range f.vault.ciphertext {
		if text := string(sealed); strings.HasPrefix(text, "$argon2id$") {
			hashes = append(hashes, text)
		}
	}
	if len(hashes) != 1 || !strings.HasPrefix(hashes[0], "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Errorf("the hashes are %q", hashes)
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

// A password that fulfils the rule of the classes and is guessed nevertheless is refused wherever one is chosen.
func TestCommonPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.register(f.bought, ada)
	wantError(t, "registering", err, nil)
	token := f.link(f.bought.CustomerID)
	for _, password := range []string{
		"P@ssw0rd1!", "Password-123", "Passw0rd-2024", "Qwerty-123456", "Welcome-2026!", "Summer2026!", "Liverpool.1987", "Abcd-1234",
		"Aaaa-1111", "Admin@123", "Admin-12345", "!!!Monkey987", "Changeme-1!", "Test_1111", "Dragon-321", "!Summer?42_", "1999-Michael", // on every list
		"Ada-Lovelace1", "Engines-2026!", "Example.com1", "Ada@example.com1", "Liveness-1!", // of who chooses it
		"L1v3n3ss-!", "!1drowssaP",
	} {
		if err := domain.CheckPassword(password); err != nil {
			t.Errorf("%q does not fulfil the rule: %v", password, err)
		}
		_, err := f.activate(token, password)
		wantCommon(t, "activating with "+password, err)
	}
	activation, err := f.activate(token, goodPassword)
	if err != nil || len(activation.Keys) != 2 {
		t.Fatalf("a good one: %v", err)
	}
	const common = "P@ssw0rd1!"
	customer := f.bought.CustomerID
	wantCommon(t, "changing", f.ChangePassword(t.Context(), accounts.ChangePassword{By: byUser(), CustomerID: customer, Current: goodPassword, New: common}))
	wantError(t, "asking for a reset", f.RequestPasswordReset(t.Context(), accounts.RequestPasswordReset{By: byUser(), Email: ada.Email}), nil)
	_, err = f.ResetPassword(t.Context(), accounts.ResetPassword{By: byUser(), Token: f.resetLink(), Password: common})
	wantCommon(t, "resetting", err)
	for _, password := range []string{common, "Grace-Hopper1"} {
		_, err = f.RegisterInvitee(t.Context(), accounts.RegisterInvitee{
			By: byUser(), Token: f.invited(graceAddress, domain.RoleReader), FirstName: "Grace", LastName: "Hopper", Password: password,
		})
		wantCommon(t, "an invitation with "+password, err)
	}
	wantError(t, "the password of before", f.logIn(ada.Email, goodPassword), nil)
}

func wantCommon(t *testing.T, what string, err error) {
	t.Helper()
	var refusal *domain.Error
	if !errors.As(err, &refusal) || refusal.Field != "password" || !strings.Contains(refusal.Message, "first that attackers try") {
		t.Errorf("%s: %v", what, err)
	}
}

// What cannot be guessed is taken, however it looks, and long ones cost no time.
func TestUncommonPasswordsAreTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	current := goodPassword
	for _, password := range []string{
		"Difference-1822", "correct-Horse battery 9 staple", "xK7#pQ2v", "Größe-Äpfel-7", "Wq!8" + strings.Repeat("harp ", 50),
		"Summer-83914", "Summer####1", "Mackerel-123", "Ada-Lovelace-engine-1", "Lovelace-56021",
	} {
		wantError(t, "changing to "+password, f.ChangePassword(t.Context(), accounts.ChangePassword{
			By: byUser(), CustomerID: f.bought.CustomerID, Current: current, New: password,
		}), nil)
		current = password
	}
}
