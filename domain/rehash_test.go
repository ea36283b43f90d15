package domain_test

import (
	"slices"
	"testing"
	"time"

	"github.com/pas-ta/liveness/domain"
)

// An address that is looked up by hashes under several secrets is one address.
func TestRehashedAddresses(t *testing.T) {
	t.Parallel()
	type state = domain.Account
	registered := domain.AccountRegistered{CustomerID: id(2), Person: "person", MailHash: "a1"}
	active := domain.AccountActivated{CustomerID: id(2)}
	rehashed := func(former, hash, secret string) domain.MailAddressRehashed {
		return domain.MailAddressRehashed{CustomerID: id(2), Former: former, MailHash: hash, SecretID: secret, RehashedAt: noon}
	}
	hashes := []domain.AddressHash{{SecretID: "1", Hash: "a1"}, {SecretID: "2", Hash: "a2"}, {SecretID: "3", Hash: "a3"}}
	rehash := func(known string) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.RehashAddress(known, hashes, noon) })
	}
	given := []domain.Event{registered, active}
	play(t, []scenario[state]{
		{name: "notes the others", given: given, when: rehash("a1"), then: []domain.Event{rehashed("a1", "a2", "2"), rehashed("a1", "a3", "3")}},
		{name: "notes each once", given: append(given[:2:2], rehashed("a1", "a2", "2")), when: rehash("a2"), then: []domain.Event{rehashed("a2", "a3", "3")}},
		{name: "not of another's address", given: given, when: rehash("b1")},
		{name: "not without an account", when: rehash("a1")},
		{name: "asks for no change to the same address", given: append(given[:2:2], rehashed("a1", "a2", "2")),
			when: func(s state) ([]domain.Event, error) {
				return s.RequestEmailChange(domain.EmailChange{ID: id(8), MailHash: "a2"}, noon)
			}, refused: domain.ErrSameEmail},
		{name: "nor to one that is known by an older hash", given: given, when: func(s state) ([]domain.Event, error) {
			return s.RequestEmailChange(domain.EmailChange{ID: id(8), MailHash: "a9", OtherHashes: []string{"a1"}}, noon)
		}, refused: domain.ErrSameEmail},
	})

	a := domain.Account{}.Fold(registered).Fold(active).Fold(rehashed("a1", "a2", "2"))
	before := a
	a = a.Fold(rehashed("a2", "a3", "3"))
	if before.MayHold("a3", noon) || len(before.Rehashed) != 1 {
		t.Error("a state given out earlier has changed")
	}
	change := domain.EmailChangeRequested{CustomerID: id(2), ChangeID: id(8), MailHash: "b1", ExpiresAt: noon.Add(time.Hour)}
	a = a.Fold(change).Fold(rehashed("b1", "b2", "2"))
	holds := func(a domain.Account) (held []string) {
		for _, hash := range []string{"a1", "a2", "a3", "b1", "b2", "c1"} {
			if a.MayHold(hash, noon) {
				held = append(held, hash)
			}
		}
		return held
	}
	if held := holds(a); !slices.Equal(held, []string{"a1", "a2", "a3", "b1", "b2"}) {
		t.Errorf("while a change is open the account may hold %v", held)
	}
	a = a.Fold(domain.EmailChanged{CustomerID: id(2), ChangeID: id(8), MailHash: "b1"})
	if held := holds(a); !slices.Equal(held, []string{"b1", "b2"}) {
		t.Errorf("after the change the account may hold %v", held)
	}
	if !slices.Equal(a.MailHashes, []string{"a1", "a2", "a3", "b1", "b2"}) {
		t.Errorf("the account has forgotten hashes: %v", a.MailHashes)
	}
}

func TestRehashedDevices(t *testing.T) {
	t.Parallel()
	type state = domain.Devices
	first := domain.DeviceFirstUsed{AccountID: id(2), Device: "d1", First: true, At: noon}
	rehashed := domain.DeviceRehashed{AccountID: id(2), Former: "d1", Device: "d2", RehashedAt: noon}
	rehash := func(device string, former ...string) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.Rehash(id(2), device, former, noon) })
	}
	use := recorded(func(s state) []domain.Event { return s.Use(id(2), "d2", noon) })
	play(t, []scenario[state]{
		{name: "is known by another hash", given: []domain.Event{first}, when: rehash("d2", "d0", "d1"), then: []domain.Event{rehashed}},
		{name: "once", given: []domain.Event{first, rehashed}, when: rehash("d2", "d0", "d1")},
		{name: "not when it was never used", given: []domain.Event{first}, when: rehash("d2", "d0")},
		{name: "and is not told of as new", given: []domain.Event{first, rehashed}, when: use},
	})
}

// Another invitation to the same address replaces the one before, also when that is known by the hash of an older secret.
func TestInvitationsOfOneAddressReplaceEachOther(t *testing.T) {
	t.Parallel()
	given := domain.Members{}.Fold(domain.MemberInvited{CustomerID: id(2), InvitationID: id(7), Role: domain.RoleReader, MailHash: "a1"})
	given = given.Fold(domain.MemberInvited{CustomerID: id(2), InvitationID: id(6), Role: domain.RoleReader, MailHash: "b1"})
	events, err := given.Invite(domain.Invitation{ID: id(9), Role: domain.RoleReader, MailHash: "a2", OtherHashes: []string{"a1"}}, id(0), noon)
	if err != nil || len(events) != 2 || events[0].(domain.InvitationWithdrawn).InvitationID != id(7) || events[1].(domain.MemberInvited).MailHash != "a2" {
		t.Errorf("%+v, %v", events, err)
	}
}
