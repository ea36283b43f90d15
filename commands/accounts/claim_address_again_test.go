package accounts_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
)

// hashUnder is what an address is looked up by under one secret.
func (f *fixture) hashUnder(secret, address string) string {
	f.t.Helper()
	hashes := f.MailHashes(address)
	i := slices.IndexFunc(hashes, func(h domain.AddressHash) bool { return h.SecretID == secret })
	if i < 0 {
		f.t.Fatalf("no secret %s in %v", secret, hashes)
	}
	return hashes[i].Hash
}

func (f *fixture) ownerOf(hash string) uuid.UUID {
	f.t.Helper()
	address, err := commands.Read[domain.MailAddress](f.t.Context(), f.store, domain.MailAddressStream(hash))
	wantError(f.t, "reading an address", err, nil)
	return address.Owner
}

func (f *fixture) claimAgain(account uuid.UUID) error {
	return f.ClaimAddressAgain(f.t.Context(), accounts.ClaimAddressAgain{By: commands.NewOrigin(domain.ActorOperator), AccountID: account})
}

// A login that is claimed under a newer secret is found without the older one, belongs to nobody else meanwhile, and is freed
// by an erasure that knows the newer one alone.
func TestClaimAddressAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	account := f.bought.CustomerID
	f.ring.Hold("newer", domain.EldestSecretID)
	wantError(t, "logging in while both are known", f.logIn(ada.Email, goodPassword), nil)
	newer, eldest := f.hashUnder("newer", ada.Email), f.hashUnder(domain.EldestSecretID, ada.Email)
	if newer == eldest || f.ownerOf(newer) != uuid.Nil {
		t.Fatalf("before it is claimed again the address belongs to %s under %s", f.ownerOf(newer), newer)
	}
	for range 2 { // may be repeated
		wantError(t, "claiming again", f.claimAgain(account), nil)
		if got := f.types(domain.MailAddressStream(newer)); !slices.Equal(got, []string{"MailAddressClaimed"}) {
			t.Errorf("under the newer secret: %v", got)
		}
		if got := f.types(domain.AccountStream(account)); got[len(got)-1] != "MailAddressRehashed" || got[len(got)-2] == "MailAddressRehashed" {
			t.Errorf("the account: %v", got)
		}
	}
	if got := f.types(domain.MailAddressStream(eldest)); !slices.Equal(got, []string{"MailAddressClaimed"}) {
		t.Errorf("under the eldest secret: %v", got)
	}
	last, _, err := f.store.ReadLast(t.Context(), domain.MailAddressStream(newer))
	wantError(t, "reading the claim", err, nil)
	if claimed, ok := last.Event.(domain.MailAddressClaimed); !ok || claimed.SecretID != "newer" || claimed.CustomerID != account {
		t.Errorf("claimed: %+v", last.Event)
	}

	f.ring.Hold("newer")
	wantError(t, "logging in without the eldest secret", f.logIn(ada.Email, goodPassword), nil)
	wantError(t, "the address for another subscription", f.takeAddress("l-second"), domain.ErrMailAddressTaken)
	wantError(t, "erasing", f.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byUser(), CustomerID: account}), nil)
	if f.ownerOf(newer) != uuid.Nil || f.ownerOf(eldest) != uuid.Nil {
		t.Errorf("after the erasure the address belongs to %s and %s", f.ownerOf(newer), f.ownerOf(eldest))
	}
}

// Without the command a login is lost with its secret: that is what `secret status` counts.
func TestAddressesAreLostWithTheirSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	f.ring.Hold("newer")
	wantError(t, "logging in", f.logIn(ada.Email, goodPassword), accounts.ErrLoginFailed)
}

// Who has no login name claims none.
func TestNothingToClaimAgain(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(f *fixture){
		"nobody":             func(*fixture) {},
		"not verified yet":   func(f *fixture) { _, err := f.register(f.bought, ada); wantError(f.t, "registering", err, nil) },
		"an erased person":   func(f *fixture) { f.activated(); f.erase() },
		"an interrupted one": func(f *fixture) { f.activated(); f.vault.gone[f.bought.CustomerID] = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			prepare(f)
			f.ring.Hold("newer", domain.EldestSecretID)
			wantError(t, "claiming again", f.claimAgain(f.bought.CustomerID), nil)
			if owner := f.ownerOf(f.hashUnder("newer", ada.Email)); owner != uuid.Nil {
				t.Errorf("the address belongs to %s", owner)
			}
		})
	}
}

func (f *fixture) erase() {
	f.t.Helper()
	wantError(f.t, "erasing", f.ErasePersonalData(f.t.Context(), accounts.ErasePersonalData{By: byUser(), CustomerID: f.bought.CustomerID}), nil)
}

// What somebody else holds under one of the secrets is not taken, and what was claimed before that was found out is given back.
func TestClaimAgainOfWhatIsTaken(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	f.ring.Hold("b-newer", "a-newest", domain.EldestSecretID)
	grace := f.buy("l-second")
	other := ada
	other.Email = graceAddress
	_, err := f.register(grace, other)
	wantError(t, "registering", err, nil)
	_, err = f.activate(f.link(grace.CustomerID), goodPassword)
	wantError(t, "activating", err, nil)
	f.takeUnder("b-newer", grace.CustomerID)
	wantError(t, "claiming again", f.claimAgain(f.bought.CustomerID), domain.ErrMailAddressTaken)
	if owner := f.ownerOf(f.hashUnder("a-newest", ada.Email)); owner != uuid.Nil {
		t.Errorf("what was claimed first stays with %s", owner)
	}
	if owner := f.ownerOf(f.hashUnder("b-newer", ada.Email)); owner != grace.CustomerID {
		t.Errorf("what was taken belongs to %s", owner)
	}
	if owner := f.ownerOf(f.hashUnder(domain.EldestSecretID, ada.Email)); owner != f.bought.CustomerID {
		t.Errorf("the login that was there belongs to %s", owner)
	}
	if strings.Contains(f.log.String(), "stays claimed") {
		t.Errorf("what was given back is said to stay: %s", f.log)
	}
}

// What an account has had under one secret for long it keeps when somebody else holds its address under the next.
func TestClaimAgainKeepsWhatWasThere(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	f.ring.Hold("a-newer", domain.EldestSecretID)
	wantError(t, "claiming again", f.claimAgain(f.bought.CustomerID), nil)
	f.ring.Hold("b-newest", "a-newer", domain.EldestSecretID)
	f.takeUnder("b-newest", f.grace(domain.RoleReader))
	wantError(t, "claiming what is taken", f.claimAgain(f.bought.CustomerID), domain.ErrMailAddressTaken)
	for _, secret := range []string{"a-newer", domain.EldestSecretID} {
		if owner := f.ownerOf(f.hashUnder(secret, ada.Email)); owner != f.bought.CustomerID {
			t.Errorf("under %s the address belongs to %s", secret, owner)
		}
	}
}

// takeUnder gives ada's address, under one secret, to an account that knows it for its own.
func (f *fixture) takeUnder(secret string, account uuid.UUID) {
	f.t.Helper()
	hash := f.hashUnder(secret, ada.Email)
	for stream, event := range map[string]domain.Event{
		domain.AccountStream(account):  domain.EmailChanged{CustomerID: account, MailHash: hash},
		domain.MailAddressStream(hash): domain.MailAddressClaimed{CustomerID: account, SecretID: secret},
	} {
		expected := commands.NoStream
		if last, found, err := f.store.ReadLast(f.t.Context(), stream); err != nil {
			f.t.Fatal(err)
		} else if found {
			expected = int64(last.Revision)
		}
		_, err := f.store.Append(f.t.Context(), stream, expected, []commands.Proposed{{ID: uuid.New(), Event: event}})
		wantError(f.t, "appending", err, nil)
	}
}

// An account that is closed while its address is claimed again keeps nothing of it.
func TestErasedWhileTheAddressIsClaimedAgain(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	f.ring.Hold("newer", domain.EldestSecretID)
	newer := f.hashUnder("newer", ada.Email)
	alive := f.Commands
	hooked := &commandstest.HookedStore{EventStore: f.store}
	hooked.BeforeAppend = func(stream string) {
		if stream != domain.MailAddressStream(newer) {
			return
		}
		hooked.BeforeAppend = nil
		wantError(t, "erasing meanwhile", alive.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byUser(), CustomerID: f.bought.CustomerID}), nil)
	}
	f.over(hooked, f.vault)
	wantError(t, "claiming again", f.claimAgain(f.bought.CustomerID), nil)
	if hooked.BeforeAppend != nil {
		t.Fatal("nothing was claimed")
	}
	if owner := f.ownerOf(newer); owner != uuid.Nil {
		t.Errorf("the address belongs to %s", owner)
	}
}

// Links and devices of before a new secret go on working while the older one is known, and not longer.
func TestLinksAndDevicesOutliveANewSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	_, err := f.register(f.bought, ada)
	wantError(t, "registering", err, nil)
	link := f.link(f.bought.CustomerID)
	f.ring.Hold("newer", domain.EldestSecretID)
	_, err = f.CheckVerificationLink(t.Context(), link)
	wantError(t, "a link of before", err, nil)
	f.ring.Hold("newer")
	_, err = f.CheckVerificationLink(t.Context(), link)
	wantError(t, "without its secret", err, domain.ErrLinkInvalid)
	f.ring.Hold("newer", domain.EldestSecretID)
	_, err = f.activate(link, goodPassword)
	wantError(t, "activating with it", err, nil)

	f.ring.Hold(domain.EldestSecretID)
	device := func() {
		t.Helper()
		user, err := f.LogIn(t.Context(), accounts.LogIn{By: byUser(), Email: ada.Email, Password: goodPassword})
		wantError(t, "logging in", err, nil)
		wantError(t, "confirming", f.ConfirmLogin(t.Context(), accounts.ConfirmLogin{By: byUser(), User: user, Device: "cookie"}), nil)
	}
	device()
	f.ring.Hold("newer", domain.EldestSecretID)
	if known, err := f.KnowsDevice(t.Context(), ada.Email, "cookie"); err != nil || !known {
		t.Errorf("under a newer secret the device is known: %v, %v", known, err)
	}
	device()
	device()
	if got := f.types(domain.DevicesStream(f.bought.CustomerID)); !slices.Equal(got, []string{"DeviceFirstUsed", "DeviceRehashed"}) {
		t.Errorf("devices: %v", got)
	}
	wantError(t, "claiming again", f.claimAgain(f.bought.CustomerID), nil)
	f.ring.Hold("newer")
	if known, err := f.KnowsDevice(t.Context(), ada.Email, "cookie"); err != nil || !known {
		t.Errorf("without the eldest secret the device is known: %v, %v", known, err)
	}
	if known, err := f.KnowsDevice(t.Context(), ada.Email, "another"); err != nil || known {
		t.Errorf("another device is known: %v, %v", known, err)
	}
}
