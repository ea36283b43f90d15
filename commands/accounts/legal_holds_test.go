package accounts_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/commandstest"
	"github.com/pas-ta/liveness/commands/memorystore"
	"github.com/pas-ta/liveness/domain"
)

func byOperator() commands.Origin { return commands.NewOrigin(domain.ActorOperator) }

func (f *fixture) place(account uuid.UUID) uuid.UUID {
	f.t.Helper()
	hold, err := f.PlaceHold(f.t.Context(), accounts.PlaceHold{By: byOperator(), AccountID: account, Why: " Ada against Charles "})
	wantError(f.t, "placing a hold", err, nil)
	return hold
}

func (f *fixture) release(account, hold uuid.UUID) domain.LegalHolds {
	f.t.Helper()
	left, err := f.ReleaseHold(f.t.Context(), accounts.ReleaseHold{By: byOperator(), AccountID: account, HoldID: hold, Why: "settled"})
	wantError(f.t, "releasing a hold", err, nil)
	return left
}

// While a hold stands nothing of what it concerns is erased, and the erasure is noted; afterwards it is done.
func TestLegalHoldDelaysErasure(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		held  func(customer, grace uuid.UUID) uuid.UUID
		erase func(f *fixture, grace uuid.UUID) error
	}{
		"of a customer": {
			held:  func(customer, _ uuid.UUID) uuid.UUID { return customer },
			erase: (*fixture).eraseCustomer,
		},
		"of a customer's person": {
			held:  func(_, grace uuid.UUID) uuid.UUID { return grace },
			erase: (*fixture).eraseCustomer,
		},
		"of a person": {
			held:  func(_, grace uuid.UUID) uuid.UUID { return grace },
			erase: (*fixture).erasePerson,
		},
		"of the customer of a person": {
			held:  func(customer, _ uuid.UUID) uuid.UUID { return customer },
			erase: (*fixture).erasePerson,
		},
		"of the former customer of a person": {
			held: func(customer, _ uuid.UUID) uuid.UUID { return customer },
			erase: func(f *fixture, grace uuid.UUID) error {
				return f.ErasePerson(f.t.Context(), accounts.ErasePerson{By: byOperator(), AccountID: grace, Formerly: []uuid.UUID{f.bought.CustomerID}})
			},
		},
		"of a registration of a person": {
			held: func(customer, _ uuid.UUID) uuid.UUID { return customer },
			erase: func(f *fixture, grace uuid.UUID) error {
				return f.ErasePerson(f.t.Context(), accounts.ErasePerson{By: byOperator(), AccountID: grace, Registrations: []uuid.UUID{f.bought.CustomerID}})
			},
		},
		"of one account": {
			held: func(_, grace uuid.UUID) uuid.UUID { return grace },
			erase: func(f *fixture, grace uuid.UUID) error {
				return f.ErasePersonalData(f.t.Context(), accounts.ErasePersonalData{By: byOperator(), CustomerID: grace})
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.activated()
			grace := f.grace(domain.RoleReader)
			held := c.held(f.bought.CustomerID, grace)
			hold := f.place(held)
			before := len(f.all())
			for range 2 {
				wantError(t, "erasing under a hold", c.erase(f, grace), domain.ErrLegalHold)
			}
			for _, event := range f.all()[before:] {
				if event.Event.EventType() != "ErasureDelayed" || event.Stream != domain.AccountStream(held) {
					t.Errorf("under a hold %s came to %s", event.Event.EventType(), event.Stream)
				}
			}
			if len(f.vault.gone) > 0 {
				t.Errorf("under a hold keys were destroyed: %v", f.vault.gone)
			}
			if left := f.release(held, hold); left.Any() || name != "of one account" && len(left.Waiting) != 1 {
				t.Errorf("after the release %+v", left)
			}
			wantError(t, "erasing afterwards", c.erase(f, grace), nil)
			if !f.vault.gone[grace] {
				t.Errorf("destroyed are %v", f.vault.gone)
			}
		})
	}
}

func (f *fixture) eraseCustomer(grace uuid.UUID) error {
	return f.EraseCustomer(f.t.Context(), accounts.EraseCustomer{
		By: byOperator(), CustomerID: f.bought.CustomerID, People: []uuid.UUID{f.bought.CustomerID, grace},
	})
}

func (f *fixture) erasePerson(grace uuid.UUID) error {
	return f.ErasePerson(f.t.Context(), accounts.ErasePerson{By: byOperator(), AccountID: grace, Customers: []uuid.UUID{f.bought.CustomerID}})
}

// all lists the log.
func (f *fixture) all() []domain.Recorded {
	f.t.Helper()
	all, err := f.store.All()
	wantError(f.t, "reading the log", err, nil)
	return all
}

// The reason of a hold may name people: it is read while the hold stands, and erased with the person.
func TestReasonsOfHoldsAreSealed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer := f.bought.CustomerID
	hold := f.place(customer)
	second := f.place(customer)
	holds, waiting, err := f.LegalHolds(t.Context(), customer)
	want := []accounts.LegalHold{{ID: hold, Why: "Ada against Charles", Since: f.clock.Now()}, {ID: second, Why: "Ada against Charles", Since: f.clock.Now()}}
	if diff := cmp.Diff(want, holds); diff != "" || err != nil || waiting != nil {
		t.Errorf("%v, %v (-want +got):\n%s", waiting, err, diff)
	}
	for _, event := range f.all() {
		if e, ok := event.Event.(domain.LegalHoldPlaced); ok && strings.Contains(string(e.Why), "Charles") {
			t.Errorf("the log holds the reason: %+v", e)
		}
	}
	if left := f.release(customer, hold); len(left.Standing) != 1 || left.Standing[0].ID != second {
		t.Errorf("left is %+v", left)
	}
	wantError(t, "erasing", f.eraseCustomer(customer), domain.ErrLegalHold)
	if _, waiting, err := f.LegalHolds(t.Context(), customer); err != nil || len(waiting) != 1 || waiting[0].SubjectID != customer {
		t.Errorf("%v wait, %v", waiting, err)
	}
	f.vault.gone[customer] = true
	_, _, err = f.LegalHolds(t.Context(), customer)
	wantError(t, "reading what is gone", err, domain.ErrUnavailable)
}

func TestHoldsThatCannotBe(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer, nobody := f.bought.CustomerID, uuid.New()
	place := func(account uuid.UUID, why string) error {
		_, err := f.PlaceHold(t.Context(), accounts.PlaceHold{By: byOperator(), AccountID: account, Why: why})
		return err
	}
	release := func(hold uuid.UUID, why string) error {
		_, err := f.ReleaseHold(t.Context(), accounts.ReleaseHold{By: byOperator(), AccountID: customer, HoldID: hold, Why: why})
		return err
	}
	keptBefore := len(f.vault.ciphertext)
	wantError(t, "on nobody", place(nobody, "why"), domain.ErrNotRegistered)
	if len(f.vault.ciphertext) != keptBefore {
		t.Error("the reason of a hold that is refused is kept")
	}
	_, _, err := f.LegalHolds(t.Context(), nobody)
	wantError(t, "of nobody", err, domain.ErrNotRegistered)
	wantError(t, "without a reason", place(customer, " "), domain.ErrInvalidRequest)
	wantError(t, "with too long a reason", place(customer, strings.Repeat("ü", 501)), domain.ErrInvalidRequest)
	wantError(t, "with the longest reason", place(customer, strings.Repeat("ü", 500)), nil)
	hold := f.place(customer)
	kept := len(f.vault.ciphertext)
	wantError(t, "releasing another", release(uuid.New(), "why"), domain.ErrNoSuchHold)
	if len(f.vault.ciphertext) != kept {
		t.Error("the reason of a release that is refused is kept")
	}
	wantError(t, "releasing without a reason", release(hold, ""), domain.ErrInvalidRequest)
	wantError(t, "releasing", release(hold, "why"), nil)
	wantError(t, "releasing again", release(hold, "why"), domain.ErrNoSuchHold)
	other := newFixture(t)
	other.activated()
	wantError(t, "erasing", other.ErasePersonalData(t.Context(), accounts.ErasePersonalData{By: byOperator(), CustomerID: customer}), nil)
	_, err = other.PlaceHold(t.Context(), accounts.PlaceHold{By: byOperator(), AccountID: customer, Why: "why"})
	wantError(t, "on who is erased", err, domain.ErrErasedAlready)
	f.vault.gone[customer] = true
	wantError(t, "while the erasure is under way", place(customer, "why"), domain.ErrErasedAlready)
	f.over(f.store, brokenVault{})
	if err := place(customer, "why"); !errors.Is(err, domain.ErrUnavailable) || !errors.Is(err, errVault) {
		t.Errorf("without a vault: %v", err)
	}
}

// A customer that outlives who registered it can be held for what its other people have.
func TestHoldWhenTheRegistrantIsErased(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer := f.bought.CustomerID
	f.grace(domain.RoleOwner)
	erase := accounts.ErasePerson{By: byOperator(), AccountID: customer, Customers: []uuid.UUID{customer}}
	wantError(t, "erasing ada", f.ErasePerson(t.Context(), erase), nil)
	hold := f.place(customer)
	if holds, _, err := f.LegalHolds(t.Context(), customer); err != nil || len(holds) != 1 || holds[0].Why != "Ada against Charles" {
		t.Errorf("%+v, %v", holds, err)
	}
	wantError(t, "erasing the customer", f.eraseCustomer(customer), domain.ErrLegalHold)
	f.release(customer, hold)
	wantError(t, "erasing the customer", f.eraseCustomer(customer), nil)
	_, err := f.PlaceHold(t.Context(), accounts.PlaceHold{By: byOperator(), AccountID: customer, Why: "why"})
	wantError(t, "holding nothing", err, domain.ErrErasedAlready)
}

// Of a hold and the erasure of a customer at once one wins, also when who registered it is erased already: the hold keeps all, or
// is refused.
func TestHoldAndErasureOfACustomerAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		registrantErased, holdWins bool
	}{
		"the hold is first":                              {false, true},
		"the erasure is first":                           {false, false},
		"the registrant is erased, the hold is first":    {true, true},
		"the registrant is erased, the erasure is first": {true, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			f.activated()
			customer, grace := f.bought.CustomerID, f.grace(domain.RoleOwner)
			if c.registrantErased {
				erase := accounts.ErasePerson{By: byOperator(), AccountID: customer, Customers: []uuid.UUID{customer}}
				wantError(t, "erasing ada", f.ErasePerson(t.Context(), erase), nil)
			}
			unhooked, hooked := f.Commands, &commandstest.HookedStore{EventStore: f.store}
			var placed error
			place := func(stream string) {
				if stream == domain.AccountStream(grace) {
					hooked.BeforeRead, hooked.BeforeAppend = nil, nil
					_, placed = unhooked.PlaceHold(t.Context(), accounts.PlaceHold{By: byOperator(), AccountID: customer, Why: "why"})
				}
			}
			want, wantPlaced := error(domain.ErrLegalHold), error(nil)
			if hooked.BeforeRead = place; !c.holdWins { // else when the holds on the customer are looked for already
				hooked.BeforeRead, hooked.BeforeAppend = nil, place
				want, wantPlaced = nil, domain.ErrErasedAlready
			}
			f.over(hooked, f.vault)
			err := f.EraseCustomer(t.Context(), accounts.EraseCustomer{By: byOperator(), CustomerID: customer, People: []uuid.UUID{customer, grace}})
			wantError(t, "erasing", err, want)
			wantError(t, "placing the hold", placed, wantPlaced)
			if f.vault.gone[grace] == c.holdWins {
				t.Errorf("destroyed are %v", f.vault.gone)
			}
		})
	}
}

// Whether a hold stands has to be known before anything is destroyed.
func TestHoldsThatCannotBeRead(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.activated()
	customer := f.bought.CustomerID
	hold := f.place(customer)
	for name, fails := range map[string]func(memorystore.Operation) memorystore.Fault{
		"reading": func(o memorystore.Operation) memorystore.Fault {
			if o.Kind == memorystore.Append {
				return memorystore.None
			}
			return memorystore.UnavailableBefore
		},
		"noting": func(o memorystore.Operation) memorystore.Fault {
			if o.Kind == memorystore.Append {
				return memorystore.Conflict
			}
			return memorystore.None
		},
	} {
		f.store.Inject(fails)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		wantError(t, name, f.RespectHolds(ctx, byOperator(), customer, []uuid.UUID{customer}), domain.ErrUnavailable)
		cancel()
		f.store.Inject(nil)
	}
	f.release(customer, hold)
	wantError(t, "of nobody held", f.RespectHolds(t.Context(), byOperator(), customer, []uuid.UUID{customer, uuid.New()}), nil)
	if types := f.types(domain.AccountStream(customer)); slices.Contains(types, "ErasureDelayed") {
		t.Errorf("noted: %v", types)
	}
}
