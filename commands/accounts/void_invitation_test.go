package accounts_test

import (
	"context"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/domain"
)

// hookedVault does something once, behind an encryption.
type hookedVault struct {
	accounts.Vault
	passing int // encryptions before
	then    func()
}

func (v *hookedVault) Encrypt(ctx context.Context, customer uuid.UUID, plaintext []byte) (domain.Ciphertext, error) {
	ciphertext, err := v.Vault.Encrypt(ctx, customer, plaintext)
	if v.passing--; v.passing < 0 && v.then != nil {
		then := v.then
		v.then = nil
		then()
	}
	return ciphertext, err
}

// An invitation that becomes void while it is accepted leaves no account, and its address free. The address's next invitation is
// accepted as any.
func TestInvitationVoidWhileItIsAccepted(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(f *fixture, c *accounts.Commands, open accounts.OpenInvitation) error{
		"withdrawn": func(f *fixture, c *accounts.Commands, open accounts.OpenInvitation) error {
			_, err := c.WithdrawInvitation(f.t.Context(), accounts.WithdrawInvitation{By: f.owner(), CustomerID: open.CustomerID, InvitationID: open.RequestID})
			return err
		},
		"replaced": func(f *fixture, c *accounts.Commands, open accounts.OpenInvitation) error {
			_, err := c.InviteMember(f.t.Context(), accounts.InviteMember{By: f.owner(), CustomerID: open.CustomerID, Email: graceAddress, Role: domain.RoleOwner})
			return err
		},
		"erased": func(f *fixture, c *accounts.Commands, open accounts.OpenInvitation) error {
			return c.EraseCustomer(f.t.Context(), accounts.EraseCustomer{By: byOperator(), CustomerID: open.CustomerID})
		},
	} {
		for moment, hook := range map[string]func(f *fixture, then func()){
			"with the password sealed": func(f *fixture, then func()) { f.over(f.store, &hookedVault{f.vault, 0, then}) },
			"with the person sealed":   func(f *fixture, then func()) { f.over(f.store, &hookedVault{f.vault, 1, then}) },
			"before they belong to it": func(f *fixture, then func()) {
				hooked := &commandstest.HookedStore{EventStore: f.store}
				hooked.BeforeAppend = func(stream string) {
					if stream == domain.MembersStream(f.bought.CustomerID) {
						hooked.BeforeAppend = nil
						then()
					}
				}
				f.over(hooked, f.vault)
			},
		} {
			t.Run(name+" "+moment, func(t *testing.T) {
				t.Parallel()
				f := newFixture(t)
				f.activated()
				token := f.invited(graceAddress, domain.RoleReader)
				open, err := f.CheckInvitationLink(t.Context(), token)
				wantError(t, "looking", err, nil)
				alive := f.Commands
				hook(f, func() { wantError(t, "ending it", end(f, alive, open), nil) })
				wantError(t, "accepting", f.registerInvitee(token), domain.ErrLinkInvalid)
				_, err = f.vault.Decrypt(t.Context(), open.RequestID, "")
				wantError(t, "reading the address", err, accounts.ErrErased)
				if holder, err := f.AccountOfMail(t.Context(), graceAddress); err != nil || holder.Active {
					t.Errorf("the address is held by %+v, %v", holder, err)
				}
				if name != "erased" {
					again := f.grace(domain.RoleReader)
					wantError(t, "logging in", f.logIn(graceAddress, goodPassword), nil)
					if f.roles()[again] != domain.RoleReader {
						t.Errorf("roles: %v", f.roles())
					}
				}
			})
		}
	}
}

// Who joins while the customer is erased has an account whose key is their own still: the erasure, repeated, erases it.
func TestInvitationAcceptedWhileTheCustomerIsErased(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	token := f.invited(graceAddress, domain.RoleReader)
	open, err := f.CheckInvitationLink(t.Context(), token)
	wantError(t, "looking", err, nil)
	store := &commandstest.HookedStore{EventStore: f.store}
	reached, joined, erased := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	store.BeforeAppend = func(stream string) {
		if stream == domain.MembersStream(open.CustomerID) {
			store.BeforeAppend = nil
			close(reached)
			<-joined
		}
	}
	f.over(store, f.vault)
	eraser := f.Commands
	f.over(f.store, &hookedVault{f.vault, 1, func() {
		go func() {
			erased <- eraser.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byOperator(), CustomerID: open.CustomerID})
		}()
		<-reached
	}})
	wantError(t, "accepting", f.registerInvitee(token), nil)
	close(joined)
	wantError(t, "erasing", <-erased, nil)
	wantError(t, "logging in", f.logIn(graceAddress, goodPassword), nil)
	ever, err := f.EverMembers(t.Context(), open.CustomerID)
	if err != nil || len(ever.Accounts) != 2 || ever.Accounts[1] != open.RequestID {
		t.Errorf("ever acted for it: %v, %v", ever, err)
	}
}
