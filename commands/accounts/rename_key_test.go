package accounts_test

import (
	"errors"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

func TestRenameKey(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	rename := func(slot domain.KeySlot, name string) (domain.APIKeys, uint64, error) {
		done, err := f.RenameKey(t.Context(), accounts.RenameKey{
			By: byUser(), CustomerID: f.bought.CustomerID, SubscriptionID: f.bought.ID, Slot: slot, Name: name,
		})
		return done.State, done.Position, err
	}
	keys, position, err := rename(domain.SlotPrimary, "  Ada's laptop ")
	if err != nil || position == 0 {
		t.Fatalf("named at %d, %v", position, err)
	}
	sealed := keys.Names[domain.SlotPrimary]
	if plain, err := f.vault.Decrypt(t.Context(), f.bought.CustomerID, sealed.Sealed); string(plain) != "Ada's laptop" || err != nil {
		t.Errorf("the log holds %q, which says %q, %v", sealed, plain, err)
	}
	if keys, position, err = rename(domain.SlotPrimary, "Ada's laptop"); position != 0 || keys.Names[domain.SlotPrimary] != sealed || err != nil {
		t.Errorf("the same name is recorded again: %d, %v", position, err)
	}
	if keys, position, err = rename(domain.SlotPrimary, "production"); position == 0 || keys.Names[domain.SlotPrimary] == sealed || err != nil {
		t.Errorf("another name is not recorded: %d, %v", position, err)
	}
	if _, position, err = rename(domain.SlotSecondary, " "); position != 0 || err != nil {
		t.Errorf("no name is taken away: %d, %v", position, err)
	}
	if keys, position, err = rename(domain.SlotPrimary, ""); position == 0 || len(keys.Names) != 0 || err != nil {
		t.Errorf("the name is not taken away: %d, %v, %v", position, keys.Names, err)
	}
	if _, _, err := rename(domain.SlotPrimary, "two\nlines"); domain.KindOf(err) != domain.KindInvalid {
		t.Errorf("a name of two lines: %v", err)
	}
	stranger := accounts.RenameKey{By: byUser(), CustomerID: f.bought.CustomerID, Slot: domain.SlotPrimary, Name: "mine"}
	stranger.By.Account = uuid.New()
	if _, err := f.RenameKey(t.Context(), stranger); !errors.Is(err, domain.ErrNotAMember) {
		t.Errorf("a stranger names a key: %v", err)
	}
	if err := f.vault.Destroy(t.Context(), f.bought.CustomerID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := rename(domain.SlotPrimary, "again"); err == nil {
		t.Error("a key is named for a customer whose data is erased")
	}
}

// The customer outlives who registered it: its keys are named again, by names that are erased with the customer.
func TestRenameKeyWhenTheRegistrantIsErased(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer, grace := f.bought.CustomerID, f.grace(domain.RoleOwner)
	rename := func(by commands.Origin, name string) (domain.KeyName, uint64, error) {
		done, err := f.RenameKey(t.Context(), accounts.RenameKey{By: by, CustomerID: customer, SubscriptionID: f.bought.ID, Slot: domain.SlotPrimary, Name: name})
		return done.State.Names[domain.SlotPrimary], done.Position, err
	}
	_, _, err := rename(f.owner(), "Ada's laptop")
	wantError(t, "naming", err, nil)
	erase := accounts.ErasePerson{By: byOperator(), AccountID: customer, Customers: []uuid.UUID{customer}}
	wantError(t, "erasing ada", f.ErasePerson(t.Context(), erase), nil)
	for _, name := range []string{"Ada's laptop", "production"} {
		named, position, err := rename(commands.NewUserOrigin(grace), name)
		if err != nil || position == 0 {
			t.Fatalf("naming it %s: %d, %v", name, position, err)
		}
		if plain, err := f.vault.Decrypt(t.Context(), named.KeyID, named.Sealed); string(plain) != name || err != nil {
			t.Errorf("the log holds %+v, which says %q, %v", named, plain, err)
		}
	}
	named, position, err := rename(commands.NewUserOrigin(grace), "production")
	if position != 0 || err != nil {
		t.Errorf("the same name is recorded again: %d, %v", position, err)
	}
	wantError(t, "erasing the customer", f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byOperator(), CustomerID: customer}), nil)
	_, err = f.vault.Decrypt(t.Context(), named.KeyID, named.Sealed)
	wantError(t, "reading the name", err, accounts.ErrErased)
}
