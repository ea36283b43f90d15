package accounts_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/domain"
)

// memoryVault encrypts by remembering: a customer's texts are gone with its key.
type memoryVault struct {
	mu         sync.Mutex
	ciphertext map[domain.Ciphertext][]byte
	gone       map[uuid.UUID]bool
	keeps      error // what destroying a key fails with
}

func (v *memoryVault) Encrypt(_ context.Context, customer uuid.UUID, plaintext []byte) (domain.Ciphertext, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone[customer] {
		return "", accounts.ErrErased
	}
	name := domain.Ciphertext(fmt.Sprintf("ciphertext-%s-%d", customer, len(v.ciphertext)))
	v.ciphertext[name] = slices.Clone(plaintext)
	return name, nil
}

func (v *memoryVault) Decrypt(_ context.Context, customer uuid.UUID, ciphertext domain.Ciphertext) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone[customer] {
		return nil, accounts.ErrErased
	}
	return v.ciphertext[ciphertext], nil
}

func (v *memoryVault) Destroy(_ context.Context, customer uuid.UUID) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.gone[customer] = v.keeps == nil
	return v.keeps
}

// destroyedAt is when memoryVault says that keys were destroyed.
var destroyedAt = time.Date(2026, 11, 22, 13, 0, 0, 0, time.UTC)

func (v *memoryVault) Destroyed(_ context.Context, customers []uuid.UUID) (map[uuid.UUID]time.Time, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	destroyed := map[uuid.UUID]time.Time{}
	for _, customer := range customers {
		if v.gone[customer] {
			destroyed[customer] = destroyedAt
		}
	}
	return destroyed, nil
}

// fixture is the commands over a log in memory, with one subscription that is not registered yet.
type fixture struct {
	*accounts.Commands
	t       *testing.T
	store   *memorystore.Store
	clock   *commandstest.Clock
	vault   *memoryVault
	barrier *commandstest.Barrier
	ring    *commandstest.Keyring
	log     *strings.Builder
	bought  domain.Subscription
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{
		t: t, clock: commandstest.NewClock(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)), barrier: &commandstest.Barrier{},
		vault: &memoryVault{ciphertext: map[domain.Ciphertext][]byte{}, gone: map[uuid.UUID]bool{}},
		ring:  commandstest.NewKeyring(domain.EldestSecretID), log: &strings.Builder{},
	}
	f.store = memorystore.New(f.clock.Now)
	var err error
	f.Commands, err = accounts.New(accounts.Config{
		Executor: commands.Executor{Store: f.store, Now: f.clock.Now}, Vault: f.vault, Barrier: f.barrier,
		Keyring: f.ring, Log: slog.New(slog.NewTextHandler(f.log, nil)), PasswordCost: commandstest.CheapPasswords,
	})
	if err != nil {
		t.Fatal(err)
	}
	f.bought = f.buy("l-first")
	return f
}

func (f *fixture) buy(licence string) domain.Subscription {
	f.t.Helper()
	started, err := subscriptions.Commands{Executor: f.Executor}.StartSubscription(f.t.Context(), subscriptions.StartSubscription{
		By: commands.NewOrigin(domain.ActorBuyer), Identity: domain.MarketplaceIdentity{AWSAccountID: "123456789012", LicenseARN: licence},
		Entitled: domain.Entitlement{Plan: domain.PlanStarter, Limit: 1000},
	})
	if err != nil {
		f.t.Fatal(err)
	}
	return started.State
}

var ada = accounts.Person{FirstName: "Ada", LastName: "Lovelace", Email: "Ada@Example.com", Company: "Engines", Website: "https://example.com"}

const goodPassword = "Analytical-1843"

func (f *fixture) register(s domain.Subscription, p accounts.Person) (accounts.Registration, error) {
	return f.RegisterAccount(f.t.Context(), accounts.RegisterAccount{By: commands.NewOrigin(domain.ActorBuyer), SubscriptionID: s.ID, Person: p})
}

// link is the verification link that was mailed last.
func (f *fixture) link(customer uuid.UUID) string {
	f.t.Helper()
	account, err := f.Account(f.t.Context(), customer)
	if err != nil {
		f.t.Fatal(err)
	}
	return f.LinkToken(accounts.LinkVerification, accounts.Link{CustomerID: customer, RequestID: account.VerificationID})
}

func (f *fixture) activate(token, password string) (accounts.Activation, error) {
	return f.ActivateAccount(f.t.Context(), accounts.ActivateAccount{By: commands.NewOrigin(domain.ActorBuyer), Token: token, Password: password})
}

func (f *fixture) logIn(mail, password string) error {
	user, err := f.LogIn(f.t.Context(), accounts.LogIn{By: commands.NewOrigin(domain.ActorUser), Email: mail, Password: password})
	if err != nil {
		return err
	}
	return f.ConfirmLogin(f.t.Context(), accounts.ConfirmLogin{By: commands.NewOrigin(domain.ActorUser), User: user})
}

// activated registers and activates ada.
func (f *fixture) activated() accounts.Activation {
	f.t.Helper()
	if _, err := f.register(f.bought, ada); err != nil {
		f.t.Fatal(err)
	}
	activation, err := f.activate(f.link(f.bought.CustomerID), goodPassword)
	if err != nil {
		f.t.Fatal(err)
	}
	return activation
}

// types lists what stands in a stream.
func (f *fixture) types(stream string) []string { return commandstest.Types(f.t, f.store, stream) }

func wantError(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestActivationGivesTwoKeysOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	activation := f.activated()
	if len(activation.Keys) != 2 || activation.Keys[0].Reveal() == activation.Keys[1].Reveal() {
		t.Fatalf("keys: %v", activation.Keys)
	}
	for _, key := range activation.Keys {
		if !domain.WellFormedKey(key.Reveal()) || strings.Contains(fmt.Sprintf("%v %+v %s", key, key, key), key.Reveal()) {
			t.Errorf("a key is malformed or prints itself: %v", key)
		}
	}
	customer := f.bought.CustomerID
	if got, want := f.types(domain.AccountStream(customer)), []string{"AccountRegistered", "VerificationRequested", "EmailVerified", "PasswordSet", "AccountActivated"}; !slices.Equal(got, want) {
		t.Errorf("account: got %v, want %v", got, want)
	}
	if got := f.types(domain.APIKeysStream(customer)); !slices.Equal(got, []string{"KeyIssued", "KeyIssued"}) {
		t.Errorf("keys: got %v", got)
	}
	_, err := f.activate(f.link(customer), goodPassword)
	wantError(t, "the link a second time", err, domain.ErrLinkUsed)
	_, err = f.register(f.bought, ada)
	wantError(t, "registering again", err, domain.ErrAlreadyActive)
	wantError(t, "logging in", f.logIn("ADA@example.COM", goodPassword), nil)
	wantError(t, "a wrong password", f.logIn("ada@example.com", "wrong"), accounts.ErrLoginFailed)
	wantError(t, "an unknown address", f.logIn("nobody@example.com", goodPassword), accounts.ErrLoginFailed)
	if got := f.types(domain.LoginsStream(customer)); !slices.Equal(got, []string{"LoginSucceeded", "LoginFailed"}) {
		t.Errorf("logins: got %v", got)
	}
}

// TestLoginsAfterIdleMonths: when every login is forgotten, the next ones are noted behind them.
func TestLoginsAfterIdleMonths(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	for range 3 {
		wantError(t, "logging in", f.logIn(ada.Email, goodPassword), nil)
	}
	f.clock.Advance(domain.LoginsMaxAge + time.Hour)
	stream := domain.LoginsStream(f.bought.CustomerID)
	if got := f.types(stream); len(got) != 0 {
		t.Errorf("after 90 days %v can be read", got)
	}
	wantError(t, "logging in after idle months", f.logIn(ada.Email, goodPassword), nil)
	wantError(t, "a wrong password", f.logIn(ada.Email, "wrong"), accounts.ErrLoginFailed)
	page, err := f.store.Read(t.Context(), stream, 0, 10)
	if err != nil || len(page) != 2 || page[0].Revision != 3 || page[1].Revision != 4 {
		t.Errorf("noted %+v, %v; want revisions 3 and 4", page, err)
	}
}

func TestVerificationLinks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if _, err := f.register(f.bought, ada); err != nil {
		t.Fatal(err)
	}
	customer := f.bought.CustomerID
	first := f.link(customer)
	if _, err := f.ResendVerification(t.Context(), accounts.ResendVerification{By: commands.NewOrigin(domain.ActorBuyer), CustomerID: customer}); err != nil {
		t.Fatal(err)
	}
	second := f.link(customer)
	_, err := f.activate(first, goodPassword)
	wantError(t, "the replaced link", err, domain.ErrLinkInvalid)
	_, err = f.activate(second, "short")
	wantError(t, "a bad password", err, domain.ErrInvalidRequest)
	account, err := f.Account(t.Context(), customer)
	if err != nil {
		t.Fatal(err)
	}
	reset := f.LinkToken(accounts.LinkPasswordReset, accounts.Link{CustomerID: customer, RequestID: account.VerificationID})
	_, err = f.activate(reset, goodPassword)
	wantError(t, "a token of another purpose", err, domain.ErrLinkInvalid)
	raw, err := base64.RawURLEncoding.DecodeString(second)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		tampered := slices.Clone(raw)
		tampered[i] ^= 1
		_, err := f.CheckVerificationLink(t.Context(), base64.RawURLEncoding.EncodeToString(tampered))
		wantError(t, fmt.Sprintf("byte %d tampered with", i), err, domain.ErrLinkInvalid)
	}
	f.clock.Advance(24 * time.Hour)
	_, err = f.activate(second, goodPassword)
	wantError(t, "after 24 hours", err, domain.ErrLinkExpired)
	if _, err := f.ResendVerificationByLink(t.Context(), commands.NewOrigin(domain.ActorBuyer), second); err != nil {
		t.Fatal(err)
	}
	if _, err := f.activate(f.link(customer), goodPassword); err != nil {
		t.Errorf("the fresh link: %v", err)
	}
}

func TestOneMailAddressOneAccount(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	second := f.buy("l-second")
	if _, err := f.register(second, ada); err != nil {
		t.Fatal(err) // not verified by anybody yet
	}
	f.activated()
	_, err := f.activate(f.link(second.CustomerID), goodPassword)
	wantError(t, "activating with a taken address", err, domain.ErrMailAddressTaken)
	_, err = f.register(second, ada)
	wantError(t, "registering with a taken address, which is not told", err, nil)
	other := ada
	other.Email = "grace@example.com"
	if _, err := f.register(second, other); err != nil {
		t.Fatal(err)
	}
	if _, err := f.activate(f.link(second.CustomerID), goodPassword); err != nil {
		t.Errorf("with an address of its own: %v", err)
	}
}

func TestPasswords(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer := f.bought.CustomerID
	change := func(current, password string) error {
		return f.ChangePassword(t.Context(), accounts.ChangePassword{By: commands.NewOrigin(domain.ActorUser), CustomerID: customer, Current: current, New: password})
	}
	wantError(t, "a wrong current password", change("wrong", "Difference-1822"), accounts.ErrWrongPassword)
	wantError(t, "changing", change(goodPassword, "Difference-1822"), nil)
	wantError(t, "the old password", f.logIn(ada.Email, goodPassword), accounts.ErrLoginFailed)

	if err := f.RequestPasswordReset(t.Context(), accounts.RequestPasswordReset{By: commands.NewOrigin(domain.ActorUser), Email: "nobody@example.com"}); err != nil {
		t.Errorf("a reset for nobody tells: %v", err)
	}
	if err := f.RequestPasswordReset(t.Context(), accounts.RequestPasswordReset{By: commands.NewOrigin(domain.ActorUser), Email: ada.Email}); err != nil {
		t.Fatal(err)
	}
	account, err := f.Account(t.Context(), customer)
	if err != nil {
		t.Fatal(err)
	}
	token := f.LinkToken(accounts.LinkPasswordReset, accounts.Link{CustomerID: customer, RequestID: account.ResetID})
	reset := func() error {
		_, err := f.ResetPassword(t.Context(), accounts.ResetPassword{By: commands.NewOrigin(domain.ActorUser), Token: token, Password: "Bernoulli-1842"})
		return err
	}
	wantError(t, "resetting", reset(), nil)
	wantError(t, "resetting twice", reset(), domain.ErrLinkInvalid)
	wantError(t, "the new password", f.logIn(ada.Email, "Bernoulli-1842"), nil)
}

func TestErasureMakesUnreadableAndFreesTheAddress(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer := f.bought.CustomerID
	account, err := f.Account(t.Context(), customer)
	if err != nil {
		t.Fatal(err)
	}
	erase := func() error {
		return f.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: commands.NewOrigin(domain.ActorOperator), CustomerID: customer})
	}
	wantError(t, "erasing", erase(), nil)
	wantError(t, "erasing again", erase(), nil)
	_, err = accounts.DecryptPerson(t.Context(), f.vault, customer, account.Person)
	wantError(t, "reading the person", err, accounts.ErrErased)
	wantError(t, "logging in", f.logIn(ada.Email, goodPassword), accounts.ErrLoginFailed)
	second := f.buy("l-second")
	if _, err := f.register(second, ada); err != nil {
		t.Errorf("the freed address: %v", err)
	}
}

// What got through although no answer came is recognised: the command is repeated to the letter and nothing is doubled.
func TestLostAnswersDoubleNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	var once sync.Once
	f.store.Inject(func(o memorystore.Operation) (fault memorystore.Fault) {
		if o.Kind == memorystore.Append {
			once.Do(func() { fault = memorystore.UnavailableAfter })
		}
		return fault
	})
	key, err := f.RegenerateKey(t.Context(), accounts.RegenerateKey{
		By: commands.NewOrigin(domain.ActorUser), CustomerID: f.bought.CustomerID, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary,
	})
	if err != nil || !domain.WellFormedKey(key.Reveal()) {
		t.Fatalf("got %v, %v", key, err)
	}
	if got := f.types(domain.APIKeysStream(f.bought.CustomerID)); !slices.Equal(got, []string{"KeyIssued", "KeyIssued", "KeyRegenerated"}) {
		t.Errorf("keys: got %v", got)
	}
}

// A key is not given out while a node may still accept the old one.
func TestRegenerateWaitsForEveryNode(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	f.barrier.Err = errors.New("behind")
	key, err := f.RegenerateKey(t.Context(), accounts.RegenerateKey{
		By: commands.NewOrigin(domain.ActorUser), CustomerID: f.bought.CustomerID, SubscriptionID: f.bought.ID, Slot: domain.SlotSecondary,
	})
	wantError(t, "with a read model behind", err, domain.ErrUnavailable)
	if key.Reveal() != "" {
		t.Error("a key was given out")
	}
}

func TestPersonIsValidated(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*accounts.Person)
		fields []string
	}{
		"good": {func(*accounts.Person) {}, nil},
		"names of all kinds": {func(p *accounts.Person) {
			p.FirstName, p.LastName, p.Company = "Łukasz", "李", `O'Neil & "Söhne" <GmbH>`
		}, nil},
		"names that are joined": {func(p *accounts.Person) {
			p.FirstName, p.LastName, p.Company = "نیک\u200cنام", "葛\U000e0100城", "API\u200cها 👩\u200d💻"
		}, nil},
		"turned around":       {func(p *accounts.Person) { p.Company = "\u202emoc.elpmaxe" }, []string{"company"}},
		"isolated":            {func(p *accounts.Person) { p.Company = "Engines\u2069\u2067" }, []string{"company"}},
		"between letters":     {func(p *accounts.Person) { p.FirstName, p.LastName = "A\u200bda", "Love\u00adlace" }, []string{"firstName", "lastName"}},
		"nothing to see":      {func(p *accounts.Person) { p.Company = "\u3164" }, []string{"company"}},
		"a line of Unicode":   {func(p *accounts.Person) { p.Company = "a\u2028Bcc: b" }, []string{"company"}},
		"website between":     {func(p *accounts.Person) { p.Website = "https://exa\u200bmple.com" }, []string{"website"}},
		"idn mail":            {func(p *accounts.Person) { p.Email = "info@müller.example" }, nil},
		"idn website":         {func(p *accounts.Person) { p.Website = "https://müller.example" }, nil},
		"website with slash":  {func(p *accounts.Person) { p.Website = "https://example.com/" }, nil},
		"nothing":             {func(p *accounts.Person) { *p = accounts.Person{} }, []string{"firstName", "lastName", "company", "email", "website"}},
		"spaces only":         {func(p *accounts.Person) { p.FirstName = "   " }, []string{"firstName"}},
		"the longest":         {func(p *accounts.Person) { p.LastName = strings.Repeat("ü", 100) }, nil},
		"longer":              {func(p *accounts.Person) { p.LastName = strings.Repeat("ü", 101) }, []string{"lastName"}},
		"10 kB":               {func(p *accounts.Person) { p.LastName = strings.Repeat("x", 10_000) }, []string{"lastName"}},
		"a bell at first":     {func(p *accounts.Person) { p.Company = "\aEngines" }, []string{"company"}},
		"line break":          {func(p *accounts.Person) { p.Company = "a\nBcc: b" }, []string{"company"}},
		"broken text":         {func(p *accounts.Person) { p.Company = "a\xff" }, []string{"company"}},
		"mail without at":     {func(p *accounts.Person) { p.Email = "example.com" }, []string{"email"}},
		"mail with name":      {func(p *accounts.Person) { p.Email = "Ada <ada@example.com>" }, []string{"email"}},
		"two mails":           {func(p *accounts.Person) { p.Email = "a@example.com,b@example.com" }, []string{"email"}},
		"mail header":         {func(p *accounts.Person) { p.Email = "a@example.com\r\nBcc: b@example.com" }, []string{"email"}},
		"local part not ours": {func(p *accounts.Person) { p.Email = "jörg@example.com" }, []string{"email"}},
		"neither in Latin-1":  {func(p *accounts.Person) { p.Email = "a\u0080@example.com" }, []string{"email"}},
		"plain http":          {func(p *accounts.Person) { p.Website = "http://example.com" }, []string{"website"}},
		"with a path":         {func(p *accounts.Person) { p.Website = "https://example.com/about" }, []string{"website"}},
		"with a user":         {func(p *accounts.Person) { p.Website = "https://a:b@example.com" }, []string{"website"}},
		"script":              {func(p *accounts.Person) { p.Website = "javascript:alert(1)" }, []string{"website"}},
		"no domain":           {func(p *accounts.Person) { p.Website = "https://localhost" }, []string{"website"}},
		"100 characters":      {func(p *accounts.Person) { p.Company = strings.Repeat("ß", 100) }, nil},
		"101 characters":      {func(p *accounts.Person) { p.Company = strings.Repeat("ß", 101) }, []string{"company"}},
		"mail of 254":         {func(p *accounts.Person) { p.Email = mailOf(254) }, nil},
		"mail of 255":         {func(p *accounts.Person) { p.Email = mailOf(255) }, []string{"email"}},
		"website of 254":      {func(p *accounts.Person) { p.Website = "https://" + hostOf(246) }, nil},
		"website of 255":      {func(p *accounts.Person) { p.Website = "https://" + hostOf(247) }, []string{"website"}},
		"website with query":  {func(p *accounts.Person) { p.Website = "https://example.com/?a=b" }, []string{"website"}},
		"website with anchor": {func(p *accounts.Person) { p.Website = "https://example.com/#a" }, []string{"website"}},
		"website with port":   {func(p *accounts.Person) { p.Website = "https://example.com:8443" }, []string{"website"}},
		"no website":          {func(p *accounts.Person) { p.Website = "" }, []string{"website"}},
		"no host":             {func(p *accounts.Person) { p.Website = "https://" }, []string{"website"}},
		"dots of a host":      {func(p *accounts.Person) { p.Website = "https://example..com" }, []string{"website"}},
		"dot at the end":      {func(p *accounts.Person) { p.Email = "ada@example.com." }, []string{"email"}},
		"no dot in the host":  {func(p *accounts.Person) { p.Email = "ada@localhost" }, []string{"email"}},
	} {
		person := ada
		c.change(&person)
		var fields []string
		if refused := (domain.FieldErrors)(nil); errors.As(person.Normalise().Validate(), &refused) {
			for _, e := range refused {
				fields = append(fields, e.Field)
			}
		}
		if !slices.Equal(fields, c.fields) {
			t.Errorf("%s: got %v, want %v", name, fields, c.fields)
		}
	}
}

// hostOf is a host of so many characters.
func hostOf(length int) string {
	host := strings.Repeat(strings.Repeat("a", 61)+".", 10)[:length-len("b.com")]
	return strings.TrimSuffix(host, ".") + map[bool]string{true: "cb.com", false: "b.com"}[strings.HasSuffix(host, ".")]
}

func mailOf(length int) string { return "ada@" + hostOf(length-len("ada@")) }

// An address has one form, whole or not, under which it is looked for.
func TestMailAddressesAreNormalised(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"Ada@Example.com": "ada@example.com", "Ada@MÜLLER.example": "ada@xn--mller-kva.example", "Ada@b@MÜLLER.example": "ada@b@xn--mller-kva.example",
		"@MÜLLER.example": "@xn--mller-kva.example", "MÜLLER.example": "müller.example", "Ada@": "ada@",
		"  Ada.LOVELACE@Münich.Example ": "ada.lovelace@xn--mnich-kva.example", " Nobody ": "nobody",
	} {
		if got := accounts.NormaliseMail(typed); got != want {
			t.Errorf("%q is looked for as %q, want %q", typed, got, want)
		}
	}
}

// Anybody may send a domain of many different letters, and to write it in ASCII takes a time that grows with its square.
func TestDomainsOfNoAddressAreNotConverted(t *testing.T) {
	t.Parallel()
	for _, letters := range []int{254, 4000} {
		domain := make([]rune, letters)
		for i := range domain {
			domain[i] = '一' + rune(i)
		}
		if got, typed := accounts.NormaliseMail("A@"+string(domain)), "a@"+string(domain); got != typed {
			t.Errorf("a domain of %d letters became one of %d bytes in ASCII", letters, len(got))
		}
	}
	longest := strings.Repeat("ü", 240) // with what stands before it, as long as an address may be in characters
	if got := accounts.NormaliseMail("somebody.else@" + longest); !strings.HasPrefix(got, "somebody.else@xn--") {
		t.Errorf("the longest address is looked for as %q", got)
	}
}

// TestOldKeyIsOutWhenTheNewOneIsShown: by then no node acts any more on what it knew of the old one.
func TestOldKeyIsOutWhenTheNewOneIsShown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.activated()
		began := time.Now()
		if _, err := f.RegenerateKey(t.Context(), accounts.RegenerateKey{
			By: commands.NewOrigin(domain.ActorUser), CustomerID: f.bought.CustomerID, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary,
		}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < commands.MaxStaleness {
			t.Errorf("answered after %s, before nodes have stopped acting on what was", took)
		}
	})
}
