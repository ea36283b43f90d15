package accounts_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

func TestConfigIsComplete(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for name, change := range map[string]func(*accounts.Config){
		"nothing": func(*accounts.Config) {},
		"store":   func(c *accounts.Config) { c.Store = nil }, "clock": func(c *accounts.Config) { c.Now = nil },
		"vault": func(c *accounts.Config) { c.Vault = nil }, "barrier": func(c *accounts.Config) { c.Barrier = nil },
		"log": func(c *accounts.Config) { c.Log = nil }, "secret": func(c *accounts.Config) { c.Keyring = make(commands.OneSecret, 31) },
	} {
		config := accounts.Config{
			Executor: commands.Executor{Store: f.store, Now: f.clock.Now}, Vault: f.vault, Barrier: f.barrier,
			Keyring: commands.OneSecret(strings.Repeat("s", 32)), Log: slog.New(slog.DiscardHandler),
		}
		change(&config)
		if _, err := accounts.New(config); (err == nil) != (name == "nothing") {
			t.Errorf("without %s: %v", name, err)
		}
	}
}

// over gives the fixture's commands another log or vault.
func (f *fixture) over(store commands.EventStore, vault accounts.Vault) {
	f.t.Helper()
	var err error
	f.Commands, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: store, Now: f.clock.Now}, Vault: vault, Barrier: f.barrier,
		Keyring: f.ring, Log: slog.New(slog.DiscardHandler), PasswordCost: commandstest.CheapPasswords,
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

func byUser() commands.Origin { return commands.NewOrigin(domain.ActorUser) }

// resetLink is the reset link that was mailed last.
func (f *fixture) resetLink() string {
	f.t.Helper()
	account, err := f.Account(f.t.Context(), f.bought.CustomerID)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.LinkToken(accounts.LinkPasswordReset, accounts.Link{CustomerID: f.bought.CustomerID, RequestID: account.ResetID})
}

// everyCommand runs each command on an activated account as its owner would.
func everyCommand(f *fixture) map[string]func(context.Context) error {
	customer := f.bought.CustomerID
	verification, reset := f.link(customer), f.resetLink()
	return map[string]func(context.Context) error{
		"RegisterAccount": func(ctx context.Context) error {
			_, err := f.RegisterAccount(ctx, accounts.RegisterAccount{By: byUser(), SubscriptionID: f.bought.ID, Person: ada})
			return err
		},
		"ResendVerification": func(ctx context.Context) error {
			_, err := f.ResendVerification(ctx, accounts.ResendVerification{By: byUser(), CustomerID: customer})
			return err
		},
		"ResendVerificationByLink": func(ctx context.Context) error {
			_, err := f.ResendVerificationByLink(ctx, byUser(), verification)
			return err
		},
		"CheckVerificationLink": func(ctx context.Context) error {
			_, err := f.CheckVerificationLink(ctx, verification)
			return err
		},
		"ActivateAccount": func(ctx context.Context) error {
			_, err := f.ActivateAccount(ctx, accounts.ActivateAccount{By: byUser(), Token: verification, Password: goodPassword})
			return err
		},
		"LogIn": func(ctx context.Context) error {
			_, err := f.LogIn(ctx, accounts.LogIn{By: byUser(), Email: ada.Email, Password: goodPassword})
			return err
		},
		"ConfirmLogin": func(ctx context.Context) error {
			return f.ConfirmLogin(ctx, accounts.ConfirmLogin{By: byUser(), User: accounts.LoggedIn{AccountID: customer}})
		},
		"KnowsDevice": func(ctx context.Context) error {
			_, err := f.KnowsDevice(ctx, ada.Email, "device")
			return err
		},
		"ChangePassword": func(ctx context.Context) error {
			return f.ChangePassword(ctx, accounts.ChangePassword{By: byUser(), CustomerID: customer, Current: goodPassword, New: "Difference-1822"})
		},
		"RequestPasswordReset": func(ctx context.Context) error {
			return f.RequestPasswordReset(ctx, accounts.RequestPasswordReset{By: byUser(), Email: ada.Email})
		},
		"CheckResetLink": func(ctx context.Context) error {
			_, err := f.CheckResetLink(ctx, reset)
			return err
		},
		"ResetPassword": func(ctx context.Context) error {
			_, err := f.ResetPassword(ctx, accounts.ResetPassword{By: byUser(), Token: reset, Password: "Bernoulli-1842"})
			return err
		},
		"RegenerateKey": func(ctx context.Context) error {
			_, err := f.RegenerateKey(ctx, accounts.RegenerateKey{By: byUser(), CustomerID: customer, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary})
			return err
		},
		"RenameKey": func(ctx context.Context) error {
			_, err := f.RenameKey(ctx, accounts.RenameKey{
				By: byUser(), CustomerID: customer, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary, Name: uuid.NewString(),
			})
			return err
		},
		"ErasePersonalData": func(ctx context.Context) error {
			return f.ErasePersonalData(ctx, accounts.ErasePersonalData{By: byUser(), CustomerID: customer})
		},
	}
}

// Without a log, or when a stream on the way cannot be read or written, every command says that the service is at fault.
func TestCommandsWithoutALog(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	if err := f.RequestPasswordReset(t.Context(), accounts.RequestPasswordReset{By: byUser(), Email: ada.Email}); err != nil {
		t.Fatal(err)
	}
	for name, command := range everyCommand(f) {
		f.store.Inject(func(o memorystore.Operation) memorystore.Fault {
			if o.Kind == memorystore.Append {
				return memorystore.None
			}
			return memorystore.UnavailableBefore
		})
		if err := command(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
		f.store.Inject(nil)
	}
}

// A stream that loses every race ends the command, which says so.
func TestCommandsThatLoseEveryRace(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	if err := f.RequestPasswordReset(t.Context(), accounts.RequestPasswordReset{By: byUser(), Email: ada.Email}); err != nil {
		t.Fatal(err)
	}
	run := everyCommand(f)
	for command, stream := range map[string]string{
		"ChangePassword": "account-", "RequestPasswordReset": "account-", "ResetPassword": "account-", "RegenerateKey": "apikeys-", "ErasePersonalData": "account-",
	} {
		f.store.Inject(func(o memorystore.Operation) memorystore.Fault {
			if o.Kind == memorystore.Append && strings.HasPrefix(o.Stream, stream) {
				return memorystore.Conflict
			}
			return memorystore.None
		})
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := run[command](ctx); !errors.Is(err, domain.ErrUnavailable) {
			t.Errorf("%s: %v", command, err)
		}
		cancel()
		f.store.Inject(nil)
	}
	// A login is not lost with the note of it.
	f.store.Inject(func(o memorystore.Operation) memorystore.Fault {
		if strings.HasPrefix(o.Stream, "logins-") {
			return memorystore.UnavailableBefore
		}
		return memorystore.None
	})
	wantError(t, "a login that is not noted", f.logIn(ada.Email, goodPassword), nil)
}

var errVault = errors.New("no vault")

// brokenVault is one that cannot be asked.
type brokenVault struct{}

func (brokenVault) Encrypt(context.Context, uuid.UUID, []byte) (domain.Ciphertext, error) {
	return "", errVault
}
func (brokenVault) Decrypt(context.Context, uuid.UUID, domain.Ciphertext) ([]byte, error) {
	return nil, errVault
}
func (brokenVault) Destroy(context.Context, uuid.UUID) error { return errVault }

func TestCommandsWithoutAVault(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	if err := f.RequestPasswordReset(t.Context(), accounts.RequestPasswordReset{By: byUser(), Email: ada.Email}); err != nil {
		t.Fatal(err)
	}
	second := f.buy("l-second")
	other := ada
	other.Email = "grace@example.com"
	if _, err := f.register(second, other); err != nil {
		t.Fatal(err)
	}
	link := f.link(second.CustomerID)
	f.over(f.store, brokenVault{})
	run := everyCommand(f)
	run["RegisterAccount"] = func(context.Context) error {
		_, err := f.register(second, other)
		return err
	}
	run["ActivateAccount"] = func(context.Context) error {
		_, err := f.activate(link, goodPassword)
		return err
	}
	for _, command := range []string{"RegisterAccount", "ActivateAccount", "LogIn", "ChangePassword", "ResetPassword", "ErasePersonalData"} {
		if err := run[command](t.Context()); !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, errVault) {
			t.Errorf("%s: %v", command, err)
		}
	}
}

func TestWhoMayRegister(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.register(domain.Subscription{ID: uuid.New()}, ada)
	wantError(t, "without a subscription", err, domain.ErrSubscriptionInactive)
	_, err = f.register(f.bought, accounts.Person{})
	wantError(t, "without a name", err, domain.ErrInvalidRequest)
	registration, err := f.register(f.bought, ada)
	if err != nil || registration.CustomerID != f.bought.CustomerID || !registration.ExpiresAt.Equal(f.clock.Now().Add(domain.VerificationValidity)) || registration.Position == 0 {
		t.Errorf("%+v, %v", registration, err)
	}
	again, err := f.ResendVerification(t.Context(), accounts.ResendVerification{By: byUser(), CustomerID: f.bought.CustomerID})
	if err != nil || again.CustomerID != f.bought.CustomerID || !again.ExpiresAt.Equal(registration.ExpiresAt) || again.Position <= registration.Position {
		t.Errorf("%+v, %v", again, err)
	}
	_, err = f.ResendVerificationByLink(t.Context(), byUser(), "no link")
	wantError(t, "a link that is none", err, domain.ErrLinkInvalid)
	_, err = f.CheckResetLink(t.Context(), f.link(f.bought.CustomerID))
	wantError(t, "a link of another kind", err, domain.ErrLinkInvalid)
	err = f.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byUser(), CustomerID: uuid.New()})
	wantError(t, "erasing nobody", err, domain.ErrNotRegistered)
}

// Who corrects the address while the link is being used does not activate the account under the older one.
func TestAddressCorrectedDuringActivation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.register(f.bought, ada); err != nil {
		t.Fatal(err)
	}
	link := f.link(f.bought.CustomerID)
	plain, once := f.Commands, sync.Once{}
	f.over(&commandstest.HookedStore{EventStore: f.store, BeforeAppend: func(stream string) {
		if !strings.HasPrefix(stream, "mailaddress-") {
			return
		}
		once.Do(func() {
			other := ada
			other.Email = "ada.lovelace@example.com"
			_, err := plain.RegisterAccount(t.Context(), accounts.RegisterAccount{By: byUser(), SubscriptionID: f.bought.ID, Person: other})
			wantError(t, "correcting", err, nil)
		})
	}}, f.vault)
	_, err := f.activate(link, goodPassword)
	wantError(t, "activating", err, domain.ErrLinkInvalid)
	if keys := f.types(domain.APIKeysStream(f.bought.CustomerID)); len(keys) > 0 {
		t.Errorf("keys: %v", keys)
	}
	second := f.buy("l-second")
	_, err = f.register(second, ada)
	wantError(t, "registering the address that was corrected away", err, nil)
	_, err = f.activate(f.link(second.CustomerID), goodPassword)
	wantError(t, "activating with it", err, nil)
}

// A login stands until the password is replaced or the account closed.
func TestConfirmLogin(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	user, err := f.LogIn(t.Context(), accounts.LogIn{By: byUser(), Email: ada.Email, Password: goodPassword})
	if err != nil || user.AccountID != f.bought.CustomerID {
		t.Fatalf("%+v, %v", user, err)
	}
	wantError(t, "at once", f.ConfirmLogin(t.Context(), accounts.ConfirmLogin{By: byUser(), User: user}), nil)
	wantError(t, "changing", everyCommand(f)["ChangePassword"](t.Context()), nil)
	wantError(t, "after another password", f.ConfirmLogin(t.Context(), accounts.ConfirmLogin{By: byUser(), User: user}), accounts.ErrLoginFailed)
	if user, err = f.LogIn(t.Context(), accounts.LogIn{By: byUser(), Email: ada.Email, Password: "Difference-1822"}); err != nil {
		t.Fatal(err)
	}
	wantError(t, "erasing", everyCommand(f)["ErasePersonalData"](t.Context()), nil)
	wantError(t, "after the erasure", f.ConfirmLogin(t.Context(), accounts.ConfirmLogin{By: byUser(), User: user}), accounts.ErrLoginFailed)
}

// A password may ask for a bounded amount of work, and nobody can tell from the time whether an address is known.
func TestLongPasswordsAreNotHashed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	long := goodPassword + strings.Repeat("x", domain.MaxPasswordLength)
	for _, address := range []string{ada.Email, "nobody@example.com"} {
		wantError(t, address, f.logIn(address, long), accounts.ErrLoginFailed)
	}
	longest := goodPassword + strings.Repeat("x", domain.MaxPasswordLength-len(goodPassword))
	err := f.ChangePassword(t.Context(), accounts.ChangePassword{By: byUser(), CustomerID: f.bought.CustomerID, Current: goodPassword, New: longest})
	wantError(t, "the longest password", err, nil)
	wantError(t, "logging in with it", f.logIn(ada.Email, longest), nil)
	err = f.ChangePassword(t.Context(), accounts.ChangePassword{By: byUser(), CustomerID: f.bought.CustomerID, Current: longest, New: "short"})
	wantError(t, "a bad new password", err, domain.ErrInvalidRequest)
}

// Regenerate says the new key, and of two windows the second is refused.
func TestRegenerateKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	issued := f.activated()
	regenerate := func(slot domain.KeySlot, replaces string) (accounts.IssuedKey, error) {
		return f.RegenerateKey(t.Context(), accounts.RegenerateKey{
			By: byUser(), CustomerID: f.bought.CustomerID, SubscriptionID: f.bought.ID, Slot: slot, Replaces: replaces,
		})
	}
	if issued.Keys[0].Slot != domain.SlotPrimary || issued.Keys[1].Slot != domain.SlotSecondary || issued.Position < issued.Keys[1].Position || issued.CustomerID != f.bought.CustomerID {
		t.Errorf("issued %+v", issued)
	}
	key, err := regenerate(domain.SlotSecondary, issued.Keys[1].Prefix)
	if err != nil || key.Slot != domain.SlotSecondary || key.Prefix != key.Reveal()[:domain.KeyVisibleLength] || key.Reveal() == issued.Keys[1].Reveal() || key.Position <= issued.Position {
		t.Errorf("%+v, %v", key, err)
	}
	_, err = regenerate(domain.SlotSecondary, issued.Keys[1].Prefix)
	wantError(t, "the second window", err, domain.ErrKeyReplaced)
}

// Keys are shown although a read model is behind: not to show them would lose them.
func TestKeysAreShownOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.register(f.bought, ada); err != nil {
		t.Fatal(err)
	}
	f.barrier.Err = errors.New("behind")
	activation, err := f.activate(f.link(f.bought.CustomerID), goodPassword)
	if err != nil || len(activation.Keys) != 2 {
		t.Errorf("%+v, %v", activation, err)
	}
	letters := map[rune]bool{}
	for range 40 {
		key, err := f.RegenerateKey(t.Context(), accounts.RegenerateKey{By: byUser(), CustomerID: uuid.New(), SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary})
		if !errors.Is(err, domain.ErrUnavailable) || key.Reveal() != "" {
			t.Fatalf("%v, %v", key, err)
		}
	}
	for _, key := range activation.Keys {
		for _, letter := range key.Reveal() {
			letters[letter] = true
		}
	}
	if len(letters) < 15 {
		t.Errorf("two keys have %d different letters", len(letters))
	}
}

// A key that was replaced and not given out cannot be regenerated as if it had not been: that is what the refusal says.
func TestRotationThatIsNotConfirmed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.register(f.bought, ada); err != nil {
		t.Fatal(err)
	}
	activation, err := f.activate(f.link(f.bought.CustomerID), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	regenerate := func(replaces string) error {
		_, err := f.RegenerateKey(t.Context(), accounts.RegenerateKey{
			By: byUser(), CustomerID: f.bought.CustomerID, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary, Replaces: replaces,
		})
		return err
	}
	f.barrier.Err = errors.New("behind")
	refused, _ := errors.AsType[*domain.Error](regenerate(activation.Keys[0].Prefix))
	if refused == nil || !strings.Contains(refused.Message, "Look at the current key") {
		t.Errorf("%+v", refused)
	}
	f.barrier.Err = nil
	wantError(t, "the same again", regenerate(activation.Keys[0].Prefix), domain.ErrKeyReplaced)
	keys, err := commands.Read[domain.APIKeys](t.Context(), f.store, domain.APIKeysStream(f.bought.CustomerID))
	if err != nil {
		t.Fatal(err)
	}
	if err := regenerate(keys.Keys[domain.SlotPrimary].Prefix); err != nil {
		t.Errorf("the current one: %v", err)
	}
}
