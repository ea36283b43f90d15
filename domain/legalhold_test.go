package domain_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

func TestLegalHold(t *testing.T) {
	t.Parallel()
	type state = domain.Account
	registered := domain.AccountRegistered{CustomerID: id(2), Person: "person", MailHash: "mail"}
	erased := domain.PersonalDataErased{CustomerID: id(2), ErasedAt: noon}
	placed := func(hold byte) domain.LegalHoldPlaced {
		return domain.LegalHoldPlaced{CustomerID: id(2), HoldID: id(hold), Why: "sealed", PlacedAt: noon}
	}
	released := func(hold byte) domain.LegalHoldReleased {
		return domain.LegalHoldReleased{CustomerID: id(2), HoldID: id(hold), Why: "sealed", ReleasedAt: noon}
	}
	delayed := func(subject byte) domain.ErasureDelayed {
		return domain.ErasureDelayed{CustomerID: id(2), SubjectID: id(subject), RequestedAt: noon}
	}
	local := noon.In(time.FixedZone("", 3600))
	place := func(hold byte) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.PlaceHold(id(hold), "sealed", false, local) }
	}
	release := func(hold byte) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.ReleaseHold(id(hold), "sealed", local) }
	}
	delay := func(subject byte) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.DelayErasure(id(subject), local) })
	}
	erase := func(s state) ([]domain.Event, error) { return s.ErasePersonalData(false, noon) }
	withCustomer := domain.PersonalDataErased{CustomerID: id(2), WithCustomer: true, ErasedAt: noon}
	eraseCustomer := func(s state) ([]domain.Event, error) { return s.ErasePersonalData(true, noon) }
	placeForOthers := func(s state) ([]domain.Event, error) { return s.PlaceHold(id(10), "sealed", true, local) }
	play(t, []scenario[state]{
		{name: "is placed", given: []domain.Event{registered}, when: place(10), then: []domain.Event{placed(10)}},
		{name: "is placed once", given: []domain.Event{registered, placed(10)}, when: place(10)},
		{name: "is placed beside another", given: []domain.Event{registered, placed(10)}, when: place(11), then: []domain.Event{placed(11)}},
		{name: "is placed on nobody", when: place(10), refused: domain.ErrNotRegistered},
		{name: "is placed too late", given: []domain.Event{registered, erased}, when: place(10), refused: domain.ErrErasedAlready},
		{name: "is placed on what others have", given: []domain.Event{registered, erased},
			when: placeForOthers, then: []domain.Event{placed(10)}},
		{name: "is placed when the customer is being erased", given: []domain.Event{registered, erased, withCustomer}, when: placeForOthers,
			refused: domain.ErrErasedAlready},
		{name: "keeps the customer of who is erased", given: []domain.Event{registered, erased, placed(10)}, when: eraseCustomer,
			refused: domain.ErrLegalHold},
		{name: "keeps no customer of who is erased once released", given: []domain.Event{registered, erased, placed(10), released(10)},
			when: eraseCustomer, then: []domain.Event{withCustomer}},
		{name: "is known when the customer is erased once", given: []domain.Event{registered, withCustomer}, when: eraseCustomer},
		{name: "is released", given: []domain.Event{registered, placed(10)}, when: release(10), then: []domain.Event{released(10)}},
		{name: "is released once", given: []domain.Event{registered, placed(10), released(10)}, when: release(10), refused: domain.ErrNoSuchHold},
		{name: "is released by its id", given: []domain.Event{registered, placed(10)}, when: release(11), refused: domain.ErrNoSuchHold},
		{name: "keeps what is to be erased", given: []domain.Event{registered, placed(10)}, when: erase, refused: domain.ErrLegalHold},
		{name: "keeps it until the last is released", given: []domain.Event{registered, placed(10), placed(11), released(10)},
			when: erase, refused: domain.ErrLegalHold},
		{name: "keeps nothing once released", given: []domain.Event{registered, placed(10), placed(11), released(10), released(11)},
			when: erase, then: []domain.Event{erased}},
		{name: "has an erasure wait", given: []domain.Event{registered, placed(10)}, when: delay(3), then: []domain.Event{delayed(3)}},
		{name: "has an erasure wait once", given: []domain.Event{registered, placed(10), delayed(3), placed(11)}, when: delay(3)},
		{name: "has several erasures wait", given: []domain.Event{registered, placed(10), delayed(3)}, when: delay(4),
			then: []domain.Event{delayed(4)}},
		{name: "has nothing wait once released", given: []domain.Event{registered, placed(10), released(10)}, when: delay(3)},
	})
}

// A state that was given out stays what it was, and what has waited is known after the release.
func TestStateOfLegalHolds(t *testing.T) {
	t.Parallel()
	fold := func(a domain.Account, events ...domain.Event) domain.Account {
		for _, event := range events {
			a = a.Fold(event)
		}
		return a
	}
	first := domain.LegalHold{ID: id(10), Why: "one", Since: noon}
	second := domain.LegalHold{ID: id(11), Why: "another", Since: noon.Add(time.Hour)}
	waiting := domain.ErasureDelayed{CustomerID: id(2), SubjectID: id(3), RequestedAt: noon}
	placed := fold(domain.Account{}, domain.AccountRegistered{CustomerID: id(2)},
		domain.LegalHoldPlaced{CustomerID: id(2), HoldID: first.ID, Why: first.Why, PlacedAt: first.Since},
		domain.LegalHoldPlaced{CustomerID: id(2), HoldID: second.ID, Why: second.Why, PlacedAt: second.Since}, waiting)
	want := domain.LegalHolds{Standing: []domain.LegalHold{first, second}, Waiting: []domain.ErasureDelayed{waiting}}
	for name, step := range map[string]struct {
		events []domain.Event
		want   domain.LegalHolds
		any    bool
	}{
		"nothing": {nil, want, true},
		"one released": {[]domain.Event{domain.LegalHoldReleased{CustomerID: id(2), HoldID: first.ID}},
			domain.LegalHolds{Standing: want.Standing[1:], Waiting: want.Waiting}, true},
		"all released": {[]domain.Event{domain.LegalHoldReleased{HoldID: second.ID}, domain.LegalHoldReleased{HoldID: first.ID}},
			domain.LegalHolds{Standing: []domain.LegalHold{}, Waiting: want.Waiting}, false},
		"another released": {[]domain.Event{domain.LegalHoldReleased{HoldID: uuid.Nil}}, want, true},
		"erased":           {[]domain.Event{domain.PersonalDataErased{CustomerID: id(2)}}, domain.LegalHolds{}, false},
	} {
		got := fold(placed, step.events...).Holds
		if diff := cmp.Diff(step.want, got); diff != "" || got.Any() != step.any {
			t.Errorf("%s, any %v (-want +got):\n%s", name, got.Any(), diff)
		}
		if diff := cmp.Diff(want, placed.Holds); diff != "" {
			t.Fatalf("%s changed the state before it (-want +got):\n%s", name, diff)
		}
	}
}
