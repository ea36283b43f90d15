package projections_test

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// openVault keeps nothing secret, and has lost the keys in gone.
type openVault struct{ gone map[uuid.UUID]bool }

func (openVault) Encrypt(_ context.Context, _ uuid.UUID, plain []byte) (domain.Ciphertext, error) {
	return domain.Ciphertext(plain), nil
}

func (v openVault) Decrypt(_ context.Context, key uuid.UUID, sealed domain.Ciphertext) ([]byte, error) {
	if v.gone[key] {
		return nil, accounts.ErrErased
	}
	return []byte(sealed), nil
}

func (openVault) Destroy(context.Context, uuid.UUID) error { return nil }

// TestMembers follows two customers of one person and a colleague of the first.
func TestMembers(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, first, second := memorylog.New(), projectionstest.NewCustomer(t, 1), projectionstest.NewCustomer(t, 2)
	ada, grace, at := first.ID, uuid.UUID{15: 1}, memorylog.Epoch
	p := projections.MembersProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	vault := openVault{gone: map[uuid.UUID]bool{}}
	members := projections.NewMembers(pool, vault)
	applied := 0
	expect := func(when string, want map[uuid.UUID]map[uuid.UUID]domain.Role, invited ...string) {
		t.Helper()
		applyAll(t, pool, p, log.All()[applied:])
		applied = len(log.All())
		got, of := map[uuid.UUID]map[uuid.UUID]domain.Role{}, map[uuid.UUID]map[uuid.UUID]domain.Role{}
		put := func(in map[uuid.UUID]map[uuid.UUID]domain.Role, m projections.Member) {
			if in[m.CustomerID] == nil {
				in[m.CustomerID] = map[uuid.UUID]domain.Role{}
			}
			in[m.CustomerID][m.AccountID] = m.Role
		}
		for _, customer := range []uuid.UUID{first.ID, second.ID} {
			people, err := members.PeopleOf(t.Context(), customer)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range people {
				put(got, m)
			}
		}
		for _, account := range []uuid.UUID{ada, grace, second.ID} {
			customers, err := members.CustomersOf(t.Context(), account)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range customers {
				put(of, m)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s, people (-want +got):\n%s", when, diff)
		}
		if diff := cmp.Diff(want, of); diff != "" {
			t.Errorf("%s, customers (-want +got):\n%s", when, diff)
		}
		pending, err := members.InvitationsOf(t.Context(), first.ID)
		var emails []string
		for _, invitation := range pending {
			emails = append(emails, invitation.Email)
		}
		if diff := cmp.Diff(invited, emails); diff != "" || err != nil {
			t.Errorf("%s, invitations: %v %s", when, err, diff)
		}
	}
	type roles = map[uuid.UUID]domain.Role
	type customers = map[uuid.UUID]map[uuid.UUID]domain.Role
	invitation := func(id uuid.UUID, email string) domain.MemberInvited {
		return domain.MemberInvited{
			CustomerID: first.ID, InvitationID: id, Role: domain.RoleReader, Address: domain.Ciphertext(email), MailHash: "hash", ExpiresAt: at.AddDate(0, 0, 7), InvitedAt: at,
		}
	}
	alan, lost := uuid.UUID{15: 2}, uuid.UUID{15: 3}

	expect("before anything", customers{})
	log.Append(domain.AccountStream(first.ID), domain.AccountActivated{CustomerID: first.ID, SubscriptionID: first.Subscription, ActivatedAt: at})
	expect("a founder", customers{first.ID: roles{ada: domain.RoleOwner}})
	log.Append(domain.AccountStream(grace), domain.AccountActivated{CustomerID: grace, ActivatedAt: at})
	log.Append(domain.MembersStream(first.ID), invitation(grace, "grace@example.com"), invitation(alan, "alan@example.com"), invitation(lost, "lost@example.com"))
	vault.gone[lost] = true
	expect("invitations", customers{first.ID: roles{ada: domain.RoleOwner}}, "grace@example.com", "alan@example.com")
	sent, err := members.InvitationsTo(t.Context(), []string{"another", "hash"})
	if want := []projections.SentInvitation{{CustomerID: first.ID, InvitationID: grace}, {CustomerID: first.ID, InvitationID: alan}, {CustomerID: first.ID, InvitationID: lost}}; err != nil || !cmp.Equal(sent, want) {
		t.Errorf("invitations to an address: %v, %v", sent, err)
	}
	if sent, err = members.InvitationsTo(t.Context(), []string{"another"}); err != nil || len(sent) != 0 {
		t.Errorf("invitations to another address: %v, %v", sent, err)
	}
	log.Append(domain.MembersStream(first.ID),
		domain.InvitationWithdrawn{CustomerID: first.ID, InvitationID: alan, WithdrawnAt: at},
		domain.MemberJoined{CustomerID: first.ID, AccountID: grace, Role: domain.RoleReader, InvitationID: grace, JoinedAt: at})
	log.Append(domain.MembersStream(second.ID), domain.MemberJoined{CustomerID: second.ID, AccountID: ada, Role: domain.RoleOwner, JoinedAt: at})
	expect("a reader, and a second subscription", customers{first.ID: roles{ada: domain.RoleOwner, grace: domain.RoleReader}, second.ID: roles{ada: domain.RoleOwner}})
	log.Append(domain.MembersStream(first.ID), domain.OwnershipPassedOn{CustomerID: first.ID, From: ada, To: grace, PassedOnAt: at})
	expect("passed on", customers{first.ID: roles{ada: domain.RoleReader, grace: domain.RoleOwner}, second.ID: roles{ada: domain.RoleOwner}})
	log.Append(domain.MembersStream(first.ID), domain.MemberRoleChanged{CustomerID: first.ID, AccountID: ada, To: domain.RoleOwner, ChangedAt: at},
		domain.MemberRemoved{CustomerID: first.ID, AccountID: grace, RemovedAt: at})
	expect("removed", customers{first.ID: roles{ada: domain.RoleOwner}, second.ID: roles{ada: domain.RoleOwner}})
	log.Append(domain.MembersStream(first.ID), invitation(uuid.New(), "grace@example.com"), domain.CustomerErased{CustomerID: first.ID, ErasedAt: at})
	expect("erased", customers{second.ID: roles{ada: domain.RoleOwner}})
	for account, want := range map[uuid.UUID][]uuid.UUID{ada: {first.ID, second.ID}, grace: {first.ID}, alan: nil} {
		if ever, err := members.EverActedFor(t.Context(), account); err != nil || !cmp.Equal(ever, want, sorted) {
			t.Errorf("%s ever acted for %v, %v; want %v", account, ever, err, want)
		}
	}
}

// sorted compares ids whatever their order is, and none with nothing.
var sorted = cmp.Options{cmpopts.SortSlices(func(a, b uuid.UUID) bool { return a.String() < b.String() }), cmpopts.EquateEmpty()}

// TestRegistrationsAreFoundByTheirAddress: those that wait for their link, by the address that they have now.
func TestRegistrationsAreFoundByTheirAddress(t *testing.T) {
	t.Parallel()
	pool, log, p := pgtest.Pool(t), memorylog.New(), projections.AccountsProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	waiting, corrected, active, erased := uuid.New(), uuid.New(), uuid.New(), uuid.New()
	for account, hash := range map[uuid.UUID]string{waiting: "hash", corrected: "typing mistake", active: "hash", erased: "hash"} {
		log.Append(domain.AccountStream(account), domain.AccountRegistered{CustomerID: account, SubscriptionID: account, MailHash: hash, RegisteredAt: memorylog.Epoch})
	}
	log.Append(domain.AccountStream(corrected), domain.RegistrationCorrected{CustomerID: corrected, MailHash: "rehashed"})
	log.Append(domain.AccountStream(active), domain.AccountActivated{CustomerID: active, SubscriptionID: active, ActivatedAt: memorylog.Epoch})
	log.Append(domain.AccountStream(erased), domain.PersonalDataErased{CustomerID: erased, ErasedAt: memorylog.Epoch})
	applyAll(t, pool, p, log.All())
	queries := projections.NewAccounts(pool, openVault{})
	for hashes, want := range map[[2]string][]uuid.UUID{{"hash", "rehashed"}: {waiting, corrected}, {"typing mistake", ""}: nil} {
		if found, err := queries.WaitingFor(t.Context(), hashes[:]); err != nil || !cmp.Equal(found, want, sorted) {
			t.Errorf("found by %q: %v, %v; want %v", hashes, found, err, want)
		}
	}
}

// TestAccountsFollowAddressesAndAttachments: a login shows the address it has and the one it is to have, and what is attached.
func TestAccountsFollowAddressesAndAttachments(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, first, second, at := memorylog.New(), projectionstest.NewCustomer(t, 1), projectionstest.NewCustomer(t, 2), memorylog.Epoch
	person := func(email string) domain.Ciphertext { return domain.Ciphertext(`{"email":"` + email + `"}`) }
	p := projections.AccountsProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	queries, applied := projections.NewAccounts(pool, openVault{}), 0
	expect := func(when string, customer uuid.UUID, status projections.AccountStatus, email, newEmail string) {
		t.Helper()
		applyAll(t, pool, p, log.All()[applied:])
		applied = len(log.All())
		view, known, err := queries.Account(t.Context(), customer)
		if err != nil || !known || view.Status != status || view.Person.Email != email || view.NewEmail != newEmail {
			t.Errorf("%s: %+v, %v, %v", when, view, known, err)
		}
	}
	log.Append(domain.AccountStream(first.ID),
		domain.AccountRegistered{CustomerID: first.ID, SubscriptionID: first.Subscription, Person: person("old"), RegisteredAt: at},
		domain.AccountActivated{CustomerID: first.ID, SubscriptionID: first.Subscription, ActivatedAt: at})
	expect("active", first.ID, projections.AccountActive, "old", "")
	asked := domain.EmailChangeRequested{CustomerID: first.ID, Address: "new", ExpiresAt: at, RequestedAt: at}
	log.Append(domain.AccountStream(first.ID), asked)
	expect("asked", first.ID, projections.AccountActive, "old", "new")
	log.Append(domain.AccountStream(first.ID), domain.EmailChanged{CustomerID: first.ID, Person: person("new"), ChangedAt: at})
	expect("changed", first.ID, projections.AccountActive, "new", "")
	log.Append(domain.AccountStream(first.ID), asked, domain.PasswordSet{CustomerID: first.ID, Cause: domain.PasswordChange, SetAt: at})
	expect("void", first.ID, projections.AccountActive, "new", "")
	log.Append(domain.AccountStream(second.ID),
		domain.AccountRegistered{CustomerID: second.ID, SubscriptionID: second.Subscription, Person: person("new"), RegisteredAt: at},
		domain.RegistrationAttached{CustomerID: second.ID, AccountID: first.ID, AttachedAt: at})
	expect("attached", second.ID, projections.AccountAttached, "new", "")
	if attached, err := queries.AttachedTo(t.Context(), first.ID); err != nil || !cmp.Equal(attached, []uuid.UUID{second.ID}) {
		t.Errorf("attached: %v, %v", attached, err)
	}
	log.Append(domain.AccountStream(first.ID), asked, domain.PersonalDataErased{CustomerID: first.ID, ErasedAt: at})
	expect("erased", first.ID, projections.AccountErased, "", "")
}

// TestActivityIsOfTheCustomer: what happened to one customer is not another's, and logins are for the person alone.
func TestActivityIsOfTheCustomer(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	log, first, second := memorylog.New(), projectionstest.NewCustomer(t, 1), projectionstest.NewCustomer(t, 2)
	ada, grace := first.ID, uuid.New()
	log.Append(domain.APIKeysStream(first.ID), first.Issued(domain.SlotPrimary, "a"))
	log.Append(domain.APIKeysStream(second.ID), second.Issued(domain.SlotSecondary, "b"))
	log.Append(domain.LoginsStream(ada), domain.LoginSucceeded{CustomerID: ada, At: memorylog.Epoch})
	log.Append(domain.MembersStream(first.ID), domain.MemberJoined{CustomerID: first.ID, AccountID: grace, Role: domain.RoleReader, InvitationID: grace})
	log.Append(domain.LoginsStream(grace), domain.LoginFailed{CustomerID: grace, At: memorylog.Epoch})
	p := projections.ActivityProjection()
	if err := engine.Prepare(t.Context(), pool, p); err != nil {
		t.Fatal(err)
	}
	applyAll(t, pool, p, log.All())
	for name, c := range map[string]struct {
		customer, account uuid.UUID
		want              []string
	}{
		"her first customer":             {first.ID, ada, []string{"MemberJoined", "LoginSucceeded", "KeyIssued"}},
		"her second customer":            {second.ID, ada, []string{"LoginSucceeded", "KeyIssued"}},
		"her colleague, at the customer": {first.ID, grace, []string{"LoginFailed", "MemberJoined", "KeyIssued"}},
	} {
		entries, err := projections.NewActivity(pool).List(t.Context(), c.customer, c.account, projections.ActivityFilter{}, 0, 10)
		var kinds []string
		for _, e := range entries {
			kinds = append(kinds, e.Kind)
			if e.Summary() == e.Kind {
				t.Errorf("%s is not worded", e.Kind)
			}
		}
		if diff := cmp.Diff(c.want, kinds); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got)\n%s", name, err, diff)
		}
	}
}
