package accounts_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

const graceAddress = "grace@example.com"

// owner is the origin of what ada does.
func (f *fixture) owner() commands.Origin { return commands.NewUserOrigin(f.bought.CustomerID) }

// invited lets ada invite somebody and returns the token of the link.
func (f *fixture) invited(email string, role domain.Role) string {
	f.t.Helper()
	by := f.owner()
	position, err := f.InviteMember(f.t.Context(), accounts.InviteMember{By: by, CustomerID: f.bought.CustomerID, Email: email, Role: role})
	if err != nil || position == 0 {
		f.t.Fatalf("inviting: %d, %v", position, err)
	}
	return f.LinkToken(accounts.LinkInvitation, accounts.Link{CustomerID: f.bought.CustomerID, RequestID: domain.DerivedID(by.CommandID, "invitation")})
}

func (f *fixture) registerInvitee(token string) error {
	_, err := f.RegisterInvitee(f.t.Context(), accounts.RegisterInvitee{
		By: commands.NewOrigin(domain.ActorBuyer), Token: token, FirstName: " Grace ", LastName: "Hopper", Password: goodPassword,
	})
	return err
}

// grace lets ada invite grace, who accepts with a new login; it returns her account.
func (f *fixture) grace(role domain.Role) uuid.UUID {
	f.t.Helper()
	token := f.invited(graceAddress, role)
	open, err := f.CheckInvitationLink(f.t.Context(), token)
	wantError(f.t, "looking at the invitation", err, nil)
	wantError(f.t, "accepting", f.registerInvitee(token), nil)
	return open.RequestID
}

func (f *fixture) roles() map[uuid.UUID]domain.Role {
	f.t.Helper()
	members, err := f.Members(f.t.Context(), f.bought.CustomerID)
	wantError(f.t, "reading the people", err, nil)
	return members.Roles
}

func TestInvitation(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	token := f.invited("Grace@Example.COM ", domain.RoleReader)
	open, err := f.CheckInvitationLink(t.Context(), token)
	if err != nil || open.Email != graceAddress || open.Role != domain.RoleReader || open.Company != ada.Company || open.AccountID != uuid.Nil || open.CustomerID != f.bought.CustomerID {
		t.Fatalf("%+v, %v", open, err)
	}
	_, err = f.AcceptInvitation(t.Context(), accounts.AcceptInvitation{By: byUser(), Token: token, AccountID: f.bought.CustomerID})
	wantError(t, "accepting as somebody else", err, accounts.ErrWrongLogin)
	for name, c := range map[string]accounts.RegisterInvitee{
		"no name":      {Token: token, LastName: "Hopper", Password: goodPassword},
		"no last name": {Token: token, FirstName: "Grace", Password: goodPassword},
		"no password":  {Token: token, FirstName: "Grace", LastName: "Hopper"},
	} {
		_, err := f.RegisterInvitee(t.Context(), c)
		wantError(t, name, err, domain.ErrInvalidRequest)
	}
	wantError(t, "accepting", f.registerInvitee(token), nil)
	if got := f.roles(); len(got) != 2 || got[open.RequestID] != domain.RoleReader {
		t.Errorf("roles: %v", got)
	}
	account, err := f.Account(t.Context(), open.RequestID)
	wantError(t, "reading", err, nil)
	person, err := accounts.DecryptPerson(t.Context(), f.vault, open.RequestID, account.Person)
	if want := (accounts.Person{FirstName: "Grace", LastName: "Hopper", Email: graceAddress}); err != nil || person != want {
		t.Errorf("%+v, %v", person, err)
	}
	wantError(t, "logging in", f.logIn(graceAddress, goodPassword), nil)
	wantError(t, "accepting again", f.registerInvitee(token), domain.ErrLinkUsed)
	_, err = f.CheckInvitationLink(t.Context(), "no link")
	wantError(t, "a link that is none", err, domain.ErrLinkInvalid)
}

// A name from before names were refused for it turns nothing around in the mail and on the page that a stranger gets.
func TestTheCompanyInAnInvitationHidesNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	former, err := f.vault.Encrypt(t.Context(), f.bought.CustomerID, []byte(`{"company": "\u202eredaer a sa"}`))
	wantError(t, "encrypting", err, nil)
	_, err = commands.Execute(t.Context(), f.Executor, f.owner(), domain.AccountStream(f.bought.CustomerID), func(a domain.Account) ([]domain.Event, error) {
		return []domain.Event{domain.EmailChanged{CustomerID: a.CustomerID, ChangeID: uuid.New(), Person: former, Former: former, MailHash: a.MailHash}}, nil
	})
	wantError(t, "writing", err, nil)
	open, err := f.CheckInvitationLink(t.Context(), f.invited(graceAddress, domain.RoleOwner))
	if err != nil || open.Company != `\u202eredaer a sa` {
		t.Errorf("the company is %q, %v", open.Company, err)
	}
}

// Only owners decide about people, whoever shows them a button.
func TestReadersDecideNothing(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	grace, customer := f.grace(domain.RoleReader), f.bought.CustomerID
	token := f.invited("alan@example.com", domain.RoleReader)
	open, err := f.CheckInvitationLink(t.Context(), token)
	wantError(t, "looking at the invitation", err, nil)
	decisions := func(by commands.Origin) map[string]error {
		ctx := t.Context()
		did := map[string]error{}
		_, did["inviting"] = f.InviteMember(ctx, accounts.InviteMember{By: by, CustomerID: customer, Email: "eve@example.com", Role: domain.RoleOwner})
		_, did["withdrawing"] = f.WithdrawInvitation(ctx, accounts.WithdrawInvitation{By: by, CustomerID: customer, InvitationID: open.RequestID})
		_, did["changing a role"] = f.ChangeMemberRole(ctx, accounts.ChangeMemberRole{By: by, CustomerID: customer, AccountID: grace, To: domain.RoleOwner})
		_, did["passing on"] = f.PassOwnershipOn(ctx, accounts.PassOwnershipOn{By: by, CustomerID: customer, To: grace})
		_, did["removing"] = f.RemoveMember(ctx, accounts.RemoveMember{By: by, CustomerID: customer, AccountID: grace})
		_, did["regenerating"] = f.RegenerateKey(ctx, accounts.RegenerateKey{By: by, CustomerID: customer, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary})
		return did
	}
	for what, err := range decisions(commands.NewUserOrigin(grace)) {
		wantError(t, what+" as a reader", err, domain.ErrReadOnly)
	}
	for what, err := range decisions(commands.NewUserOrigin(uuid.New())) {
		wantError(t, what+" as a stranger", err, domain.ErrNotAMember)
	}
	if got := f.roles(); len(got) != 2 || got[grace] != domain.RoleReader {
		t.Errorf("roles: %v", got)
	}
}

// What owners decide is shown, and whoever is removed is shown out, when the command returns.
func TestOwnersDecide(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	ada, customer := f.bought.CustomerID, f.bought.CustomerID
	grace := f.grace(domain.RoleReader)
	position, err := f.ChangeMemberRole(t.Context(), accounts.ChangeMemberRole{By: f.owner(), CustomerID: customer, AccountID: grace, To: domain.RoleOwner})
	if err != nil || position == 0 || f.barrier.Waited(accounts.MembersReadModel) != position || f.roles()[grace] != domain.RoleOwner {
		t.Errorf("%d, %v, %v", position, err, f.roles())
	}
	position, err = f.PassOwnershipOn(t.Context(), accounts.PassOwnershipOn{By: f.owner(), CustomerID: customer, To: grace})
	if err != nil || position == 0 || f.barrier.Waited(accounts.MembersReadModel) != position || f.roles()[ada] != domain.RoleReader || f.roles()[grace] != domain.RoleOwner {
		t.Errorf("%d, %v, %v", position, err, f.roles())
	}
	position, err = f.RemoveMember(t.Context(), accounts.RemoveMember{By: commands.NewUserOrigin(grace), CustomerID: customer, AccountID: ada})
	if err != nil || position == 0 || f.barrier.Waited(accounts.MembersReadModel) != position || len(f.roles()) != 1 {
		t.Errorf("%d, %v, %v", position, err, f.roles())
	}
	_, err = f.RemoveMember(t.Context(), accounts.RemoveMember{By: commands.NewUserOrigin(grace), CustomerID: customer, AccountID: grace})
	wantError(t, "leaving a customer without an owner", err, domain.ErrLastOwner)
	wantError(t, "who was removed logs in", f.logIn("ada@example.com", goodPassword), nil)
}

// Two owners who remove each other at once leave one of them.
func TestOwnersRemoveEachOther(t *testing.T) {
	t.Parallel()
	for range 10 {
		f := newFixture(t)
		f.activated()
		ada, grace := f.bought.CustomerID, f.grace(domain.RoleOwner)
		refusals := make(chan error, 2)
		for owner, other := range map[uuid.UUID]uuid.UUID{ada: grace, grace: ada} {
			go func() {
				_, err := f.RemoveMember(t.Context(), accounts.RemoveMember{By: commands.NewUserOrigin(owner), CustomerID: ada, AccountID: other})
				refusals <- err
			}()
		}
		first, second := <-refusals, <-refusals
		if (first == nil) == (second == nil) || !errors.Is(errors.Join(first, second), domain.ErrNotAMember) {
			t.Errorf("one is refused: %v, %v", first, second)
		}
		if got := f.roles(); len(got) != 1 {
			t.Errorf("roles: %v", got)
		}
	}
}

// The address of an invitation is readable as long as somebody can accept it.
func TestAddressesOfInvitationsAreForgotten(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *fixture, open accounts.OpenInvitation){
		"withdrawn": func(f *fixture, open accounts.OpenInvitation) {
			position, err := f.WithdrawInvitation(f.t.Context(), accounts.WithdrawInvitation{By: f.owner(), CustomerID: open.CustomerID, InvitationID: open.RequestID})
			if err != nil || position == 0 {
				f.t.Errorf("%d, %v", position, err)
			}
		},
		"replaced": func(f *fixture, _ accounts.OpenInvitation) { f.invited(graceAddress, domain.RoleOwner) },
		"erased": func(f *fixture, open accounts.OpenInvitation) {
			wantError(f.t, "erasing", f.EraseCustomer(f.t.Context(), accounts.EraseCustomer{By: byUser(), CustomerID: open.CustomerID}), nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.activated()
			token := f.invited(graceAddress, domain.RoleReader)
			open, err := f.CheckInvitationLink(t.Context(), token)
			wantError(t, "looking", err, nil)
			end(f, open)
			_, err = f.vault.Decrypt(t.Context(), open.RequestID, "")
			wantError(t, "reading the address", err, accounts.ErrErased)
			wantError(t, "accepting", f.registerInvitee(token), domain.ErrLinkInvalid)
		})
	}
	t.Run("refused", func(t *testing.T) {
		t.Parallel()
		f := newFixture(t)
		f.activated()
		by := f.owner()
		_, err := f.InviteMember(t.Context(), accounts.InviteMember{By: by, CustomerID: f.bought.CustomerID, Email: ada.Email, Role: domain.RoleReader})
		wantError(t, "inviting who belongs to it", err, domain.ErrAlreadyMember)
		_, err = f.vault.Decrypt(t.Context(), domain.DerivedID(by.CommandID, "invitation"), "")
		wantError(t, "reading the address", err, accounts.ErrErased)
		for _, email := range []string{"", "nobody", "a@b"} {
			_, err = f.InviteMember(t.Context(), accounts.InviteMember{By: by, CustomerID: f.bought.CustomerID, Email: email, Role: domain.RoleReader})
			wantError(t, "inviting "+email, err, domain.ErrInvalidRequest)
		}
	})
}

// secondCustomer registers another subscription with ada's address and returns its customer and the mailed token.
func (f *fixture) secondCustomer() (domain.Subscription, string) {
	f.t.Helper()
	s := f.buy("l-second")
	_, err := f.register(s, ada)
	wantError(f.t, "registering", err, nil)
	return s, f.link(s.CustomerID)
}

// An address is one and the same under whichever secret two accounts know it, and nobody's login is none.
func TestAttachRegistrationUnderANewerSecret(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	login := f.activated().CustomerID
	f.ring.Hold("newer", domain.EldestSecretID)
	second, token := f.secondCustomer()
	attach := func(account uuid.UUID) error {
		_, err := f.AttachRegistration(t.Context(), accounts.AttachRegistration{By: commands.NewUserOrigin(account), Token: token, AccountID: account})
		return err
	}
	wantError(t, "attaching to nobody", attach(uuid.New()), accounts.ErrWrongLogin)
	wantError(t, "attaching to another login", attach(f.grace(domain.RoleReader)), accounts.ErrWrongLogin)
	wantError(t, "attaching to the same address", attach(login), nil)
	members, err := f.Members(t.Context(), second.CustomerID)
	if err != nil || members.Roles[login] != domain.RoleOwner {
		t.Errorf("%+v, %v", members, err)
	}
}

func TestAttachRegistration(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	login := f.bought.CustomerID
	second, token := f.secondCustomer()
	link, err := f.CheckVerificationLink(t.Context(), token)
	if err != nil || link.AccountID != login || link.Email != "ada@example.com" || link.CustomerID != second.CustomerID {
		t.Fatalf("%+v, %v", link, err)
	}
	_, err = f.activate(token, goodPassword)
	wantError(t, "activating beside the login", err, domain.ErrMailAddressTaken)
	attach := func(account uuid.UUID) (accounts.Activation, error) {
		return f.AttachRegistration(t.Context(), accounts.AttachRegistration{By: commands.NewUserOrigin(account), Token: token, AccountID: account})
	}
	_, err = attach(f.grace(domain.RoleReader))
	wantError(t, "attaching to another login", err, accounts.ErrWrongLogin)
	done, err := attach(login)
	if err != nil || len(done.Keys) != 2 || done.CustomerID != second.CustomerID || done.Position == 0 {
		t.Fatalf("%+v, %v", done, err)
	}
	members, err := f.Members(t.Context(), second.CustomerID)
	if err != nil || len(members.Roles) != 1 || members.Roles[login] != domain.RoleOwner {
		t.Errorf("%+v, %v", members, err)
	}
	done, err = attach(login)
	if err != nil || len(done.Keys) != 0 {
		t.Errorf("attaching again: %+v, %v", done, err)
	}
	_, err = f.CheckVerificationLink(t.Context(), token)
	wantError(t, "the link afterwards", err, domain.ErrLinkUsed)
	_, err = f.register(second, ada)
	wantError(t, "registering afterwards", err, domain.ErrAlreadyActive)
	if got := f.types(domain.AccountStream(second.CustomerID)); !slices.Equal(got, []string{"AccountRegistered", "VerificationRequested", "RegistrationAttached"}) {
		t.Errorf("registration: %v", got)
	}
}

// An attachment that is cut off goes on with the same link, wherever it died.
func TestAttachmentThatIsCutOff(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"account-", "members-", "apikeys-"} {
		t.Run("before "+before, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.activated()
			login := f.bought.CustomerID
			second, token := f.secondCustomer()
			attach := func() (accounts.Activation, error) {
				return f.AttachRegistration(t.Context(), accounts.AttachRegistration{By: commands.NewUserOrigin(login), Token: token, AccountID: login})
			}
			f.dieBefore(before, func() {
				_, err := attach()
				wantError(t, "attaching", err, domain.ErrUnavailable)
			})
			link, err := f.CheckVerificationLink(t.Context(), token)
			if before != "apikeys-" && (err != nil || link.AccountID != login || link.Email != "ada@example.com") {
				t.Errorf("the link: %+v, %v", link, err)
			}
			done, err := attach()
			if err != nil || len(done.Keys) != 2 {
				t.Errorf("%+v, %v", done, err)
			}
			members, err := f.Members(t.Context(), second.CustomerID)
			if err != nil || members.Roles[login] != domain.RoleOwner {
				t.Errorf("%+v, %v", members, err)
			}
		})
	}
}

// An acceptance that is cut off goes on too: by then the address has a login.
func TestAcceptanceThatIsCutOff(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"mailaddress-", "account-", "members-"} {
		t.Run("before "+before, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.activated()
			token := f.invited(graceAddress, domain.RoleReader)
			f.dieBefore(before, func() { wantError(t, "accepting", f.registerInvitee(token), domain.ErrUnavailable) })
			open, err := f.CheckInvitationLink(t.Context(), token)
			wantError(t, "looking again", err, nil)
			if before == "members-" {
				var customer uuid.UUID
				customer, err = f.AcceptInvitation(t.Context(), accounts.AcceptInvitation{By: byUser(), Token: token, AccountID: open.AccountID})
				if customer != f.bought.CustomerID {
					t.Errorf("accepted for %s", customer)
				}
			} else {
				err = f.registerInvitee(token)
			}
			wantError(t, "accepting again", err, nil)
			if f.roles()[open.RequestID] != domain.RoleReader {
				t.Errorf("roles: %v", f.roles())
			}
			wantError(t, "logging in", f.logIn(graceAddress, goodPassword), nil)
		})
	}
}

func TestChangeEmail(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	account := f.bought.CustomerID
	request := func(email, password string) (commands.Origin, error) {
		by := f.owner()
		position, err := f.RequestEmailChange(t.Context(), accounts.RequestEmailChange{By: by, AccountID: account, Email: email, Password: password})
		if (position == 0) != (err != nil) {
			t.Errorf("position %d, %v", position, err)
		}
		return by, err
	}
	token := func(by commands.Origin) string {
		return f.LinkToken(accounts.LinkEmailChange, accounts.Link{CustomerID: account, RequestID: domain.DerivedID(by.CommandID, "email-change")})
	}
	change := func(token string) (uuid.UUID, error) {
		return f.ChangeEmail(t.Context(), accounts.ChangeEmail{By: byUser(), Token: token})
	}
	_, err := request("new@example.com", "wrong")
	wantError(t, "with a wrong password", err, accounts.ErrWrongPassword)
	_, err = request("new", goodPassword)
	wantError(t, "to no address", err, domain.ErrInvalidRequest)
	_, err = request("ADA@example.com", goodPassword)
	wantError(t, "to the same", err, domain.ErrSameEmail)

	older, err := request("older@example.com", goodPassword)
	wantError(t, "asking", err, nil)
	by, err := request("New@Example.com", goodPassword)
	wantError(t, "asking again", err, nil)
	_, err = change(token(older))
	wantError(t, "with the older link", err, domain.ErrLinkInvalid)
	shown, err := f.CheckEmailChangeLink(t.Context(), token(by))
	if err != nil || shown.Email != "new@example.com" || shown.CustomerID != account {
		t.Errorf("%+v, %v", shown, err)
	}
	// Dying between the claim and the change costs nothing: the link works on.
	f.dieBefore("account-", func() {
		_, err := change(token(by))
		wantError(t, "dying", err, domain.ErrUnavailable)
	})
	wantError(t, "the old address until then", f.logIn(ada.Email, goodPassword), nil)
	changed, err := change(token(by))
	if err != nil || changed != account {
		t.Fatalf("%s, %v", changed, err)
	}
	wantError(t, "the new address", f.logIn("new@example.com", goodPassword), nil)
	wantError(t, "the old address", f.logIn(ada.Email, goodPassword), accounts.ErrLoginFailed)
	_, err = change(token(by))
	wantError(t, "the link again", err, domain.ErrLinkUsed)
	wantError(t, "the old address for somebody else", f.takeAddress("l-third"), nil)

	by, err = request(ada.Email, goodPassword)
	wantError(t, "asking for an address that has a login, which is not told", err, nil)
	_, err = change(token(by))
	wantError(t, "changing to it", err, domain.ErrMailAddressTaken)
	wantError(t, "the address that stays", f.logIn("new@example.com", goodPassword), nil)
}

func TestErasePerson(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	login, customer := f.bought.CustomerID, f.bought.CustomerID
	second, token := f.secondCustomer()
	_, err := f.AttachRegistration(t.Context(), accounts.AttachRegistration{By: f.owner(), Token: token, AccountID: login})
	wantError(t, "attaching", err, nil)
	grace := f.grace(domain.RoleReader)
	erase := func() error {
		return f.ErasePerson(t.Context(), accounts.ErasePerson{
			By: commands.NewOrigin(domain.ActorOperator), AccountID: login, Customers: []uuid.UUID{customer, second.CustomerID}, Registrations: []uuid.UUID{second.CustomerID},
		})
	}
	err = erase()
	if !errors.Is(err, domain.ErrLastOwner) || !strings.Contains(err.Error(), customer.String()) {
		t.Errorf("erasing the only owner: %v", err)
	}
	wantError(t, "logging in afterwards", f.logIn(ada.Email, goodPassword), nil)
	if f.roles()[login] != domain.RoleOwner {
		t.Error("a refused erasure has removed her")
	}
	_, err = f.ChangeMemberRole(t.Context(), accounts.ChangeMemberRole{By: f.owner(), CustomerID: customer, AccountID: grace, To: domain.RoleOwner})
	wantError(t, "making another owner", err, nil)
	err = erase()
	if !errors.Is(err, domain.ErrLastOwner) || !strings.Contains(err.Error(), second.CustomerID.String()) {
		t.Errorf("erasing the only owner of the second: %v", err)
	}
	wantError(t, "erasing the second customer", f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byUser(), CustomerID: second.CustomerID}), nil)
	wantError(t, "logging in with one customer left", f.logIn(ada.Email, goodPassword), nil)
	for range 2 {
		wantError(t, "erasing", erase(), nil)
	}
	for _, key := range []uuid.UUID{login, second.CustomerID} {
		_, err := f.vault.Decrypt(t.Context(), key, "")
		wantError(t, "reading", err, accounts.ErrErased)
	}
	if got := f.roles(); len(got) != 1 || got[grace] != domain.RoleOwner {
		t.Errorf("roles: %v", got)
	}
	wantError(t, "logging in", f.logIn(ada.Email, goodPassword), accounts.ErrLoginFailed)
	wantError(t, "her colleague", f.logIn(graceAddress, goodPassword), nil)
	wantError(t, "registering again", f.takeAddress("l-third"), nil)
}

func TestEraseCustomer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer := f.bought.CustomerID
	grace := f.grace(domain.RoleReader)
	token := f.invited("alan@example.com", domain.RoleReader)
	erase := func(people ...uuid.UUID) error {
		return f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: commands.NewOrigin(domain.ActorOperator), CustomerID: customer, People: people})
	}
	for range 2 {
		wantError(t, "erasing", erase(customer), nil) // grace acts for another one, too
	}
	if got := f.roles(); len(got) != 0 {
		t.Errorf("roles: %v", got)
	}
	wantError(t, "logging in", f.logIn(ada.Email, goodPassword), accounts.ErrLoginFailed)
	wantError(t, "who acts for another, too", f.logIn(graceAddress, goodPassword), nil)
	wantError(t, "an invitation", f.registerInvitee(token), domain.ErrLinkInvalid)
	_, err := f.RegenerateKey(t.Context(), accounts.RegenerateKey{By: commands.NewUserOrigin(grace), CustomerID: customer, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary})
	wantError(t, "regenerating", err, domain.ErrNotAMember)
	wantError(t, "erasing nobody", f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byUser(), CustomerID: uuid.New()}), domain.ErrNotRegistered)

	// Who registered it and acts for others too keeps the login; who never activated has none to keep.
	pending := f.buy("l-pending")
	_, err = f.register(pending, accounts.Person{FirstName: "Eve", LastName: "E", Email: "eve@example.com", Company: "E", Website: "https://example.com"})
	wantError(t, "registering", err, nil)
	wantError(t, "erasing what is pending", f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byUser(), CustomerID: pending.CustomerID}), nil)
	_, err = f.vault.Decrypt(t.Context(), pending.CustomerID, "")
	wantError(t, "reading", err, accounts.ErrErased)
}

func TestErasedCustomersKeepTheLoginsOfOthers(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	_, token := f.secondCustomer()
	_, err := f.AttachRegistration(t.Context(), accounts.AttachRegistration{By: f.owner(), Token: token, AccountID: f.bought.CustomerID})
	wantError(t, "attaching", err, nil)
	wantError(t, "erasing the first", f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byUser(), CustomerID: f.bought.CustomerID}), nil)
	wantError(t, "logging in for the second", f.logIn(ada.Email, goodPassword), nil)
}

// Without a log every command about people says that the service is at fault; without a vault too, where it needs one.
func TestCommandsAboutPeopleWithoutALogOrAVault(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	invitation := f.invited(graceAddress, domain.RoleReader)
	customer, login := f.bought.CustomerID, f.bought.CustomerID
	_, verification := f.secondCustomer()
	by := f.owner()
	_, err := f.RequestEmailChange(t.Context(), accounts.RequestEmailChange{By: by, AccountID: login, Email: "new@example.com", Password: goodPassword})
	wantError(t, "asking", err, nil)
	change := f.LinkToken(accounts.LinkEmailChange, accounts.Link{CustomerID: login, RequestID: domain.DerivedID(by.CommandID, "email-change")})
	run := func() map[string]func(context.Context) error {
		return map[string]func(context.Context) error{
			"InviteMember": func(ctx context.Context) error {
				_, err := f.InviteMember(ctx, accounts.InviteMember{By: f.owner(), CustomerID: customer, Email: "eve@example.com", Role: domain.RoleReader})
				return err
			},
			"CheckInvitationLink": func(ctx context.Context) error { _, err := f.CheckInvitationLink(ctx, invitation); return err },
			"RegisterInvitee":     func(context.Context) error { return f.registerInvitee(invitation) },
			"RequestEmailChange": func(ctx context.Context) error {
				_, err := f.RequestEmailChange(ctx, accounts.RequestEmailChange{By: f.owner(), AccountID: login, Email: "other@example.com", Password: goodPassword})
				return err
			},
			"ChangeEmail": func(ctx context.Context) error {
				_, err := f.ChangeEmail(ctx, accounts.ChangeEmail{By: byUser(), Token: change})
				return err
			},
			"CheckVerificationLink": func(ctx context.Context) error { _, err := f.CheckVerificationLink(ctx, verification); return err },
		}
	}
	erasures := func() map[string]func(context.Context) error {
		return map[string]func(context.Context) error{
			"EraseCustomer": func(ctx context.Context) error {
				return f.EraseCustomer(ctx, accounts.EraseCustomer{By: byUser(), CustomerID: customer, People: []uuid.UUID{customer}})
			},
			"ErasePerson": func(ctx context.Context) error {
				return f.ErasePerson(ctx, accounts.ErasePerson{By: byUser(), AccountID: login, Registrations: []uuid.UUID{login}})
			},
		}
	}
	f.dieBefore("", func() {
		for name, command := range merged(run(), erasures()) {
			if strings.HasPrefix(name, "Check") {
				continue
			}
			if err := command(t.Context()); !errors.Is(err, domain.ErrUnavailable) {
				t.Errorf("%s without a log: %v", name, err)
			}
		}
	})
	f.over(f.store, brokenVault{})
	for _, some := range []map[string]func(context.Context) error{run(), erasures()} {
		for name, command := range some {
			if err := command(t.Context()); !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, errVault) {
				t.Errorf("%s without a vault: %v", name, err)
			}
		}
	}
}

func merged[V any](some, others map[string]V) map[string]V {
	all := maps.Clone(some)
	maps.Copy(all, others)
	return all
}
