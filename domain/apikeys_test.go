package domain_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestAPIKeys(t *testing.T) {
	t.Parallel()
	type state = domain.APIKeys
	key := func(name string) domain.KeyDigest { return domain.KeyDigest{Hash: name, Prefix: "lc_" + name} }
	issued := func(slot domain.KeySlot, k domain.KeyDigest) domain.KeyIssued {
		return domain.KeyIssued{CustomerID: id(2), SubscriptionID: id(1), Slot: slot, Key: k, IssuedAt: noon}
	}
	both := []domain.Event{issued(domain.SlotPrimary, key("p")), issued(domain.SlotSecondary, key("s"))}
	issue := recorded(func(s state) []domain.Event { return s.Issue(id(2), id(1), key("p"), key("s"), noon) })
	replace := func(prefix string) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) {
			return s.Regenerate(id(2), id(1), domain.SlotPrimary, prefix, key("n"), noon)
		}
	}
	regenerate := replace("")
	regenerated := domain.KeyRegenerated{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, OldKey: key("p"), NewKey: key("n"), RegeneratedAt: noon}
	play(t, []scenario[state]{
		{name: "issues both", when: issue, then: both},
		{name: "issues once", given: both, when: issue},
		{name: "regenerates one", given: both, when: regenerate, then: []domain.Event{regenerated}},
		{name: "regenerates the one that was looked at", given: both, when: replace("lc_p"), then: []domain.Event{regenerated}},
		{name: "kills no key that was not looked at", given: append(both[:2:2], regenerated), when: replace("lc_p"), refused: domain.ErrKeyReplaced},
		{name: "replaces none in an empty slot", when: replace("lc_p"), refused: domain.ErrKeyReplaced},
		{name: "fills an empty slot", when: regenerate, then: []domain.Event{issued(domain.SlotPrimary, key("n"))}},
		{name: "replaces the newest", given: append(append([]domain.Event(nil), both...), regenerated), when: regenerate, then: []domain.Event{
			domain.KeyRegenerated{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, OldKey: key("n"), NewKey: key("n"), RegeneratedAt: noon}}},
	})
}

func TestWellFormedKey(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"lc_abc12ABCDEFGHIJKLMNOPQRSTUVWX": true, "lc_abc12ABCDEFGHIJKLMNOPQRSTUVW": false, "xx_abc12ABCDEFGHIJKLMNOPQRSTUVWX": false,
		"lc_abc12ABCDEFGHIJKLMNOPQRSTUV'X": false, "": false,
		"lc_09azAZ09azAZ09azAZ09azAZ09azA": true,
		"lc_/9azAZ09azAZ09azAZ09azAZ09azA": false, "lc_:9azAZ09azAZ09azAZ09azAZ09azA": false, "lc_@9azAZ09azAZ09azAZ09azAZ09azA": false,
		"lc_[9azAZ09azAZ09azAZ09azAZ09azA": false, "lc_`9azAZ09azAZ09azAZ09azAZ09azA": false, "lc_{9azAZ09azAZ09azAZ09azAZ09azA": false,
	} {
		if got := domain.WellFormedKey(text); got != want {
			t.Errorf("%q: got %v, want %v", text, got, want)
		}
	}
}

func TestParseKeySlot(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]domain.KeySlot{"primary": domain.SlotPrimary, "Secondary": domain.SlotSecondary} {
		if got, err := domain.ParseKeySlot(name); got != want || err != nil {
			t.Errorf("%q: %q, %v", name, got, err)
		}
		if title := want.Title(); !strings.EqualFold(title, name) || title == string(want) {
			t.Errorf("%q is shown as %q", name, title)
		}
	}
	if got, err := domain.ParseKeySlot("third"); got != "" || !errors.Is(err, domain.Invalid("slot", "")) {
		t.Errorf("a slot that is none: %q, %v", got, err)
	}
}

// What stands in the stream and is none of its events changes nothing.
func TestKeysFoldTheirOwnEvents(t *testing.T) {
	t.Parallel()
	before := domain.APIKeys{}.Fold(domain.KeyIssued{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, Key: domain.KeyDigest{Hash: "h"}})
	if diff := cmp.Diff(before, before.Fold(domain.LoginSucceeded{})); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}
