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

func TestRehashedKeys(t *testing.T) {
	t.Parallel()
	type state = domain.APIKeys
	key := func(hash, secret string) domain.KeyDigest {
		return domain.KeyDigest{Hash: hash, Prefix: "lc_abc12", SecretID: secret}
	}
	issued := domain.KeyIssued{CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, Key: key("old", ""), IssuedAt: noon}
	rehashed := domain.KeyRehashed{
		CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, Former: key("old", ""), Key: key("new", "s"), RehashedAt: noon,
	}
	replaced := domain.KeyRegenerated{Slot: domain.SlotPrimary, OldKey: key("old", ""), NewKey: key("other", "")}
	rehash := func(slot domain.KeySlot, former string) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.Rehash(slot, former, key("new", "s"), noon) })
	}
	play(t, []scenario[state]{
		{name: "makes the digest again", given: []domain.Event{issued}, when: rehash(domain.SlotPrimary, "old"), then: []domain.Event{rehashed}},
		{name: "once", given: []domain.Event{issued, rehashed}, when: rehash(domain.SlotPrimary, "old")},
		{name: "not of what it is already", given: []domain.Event{issued, rehashed}, when: rehash(domain.SlotPrimary, "new")},
		{name: "not of a key that was replaced", given: []domain.Event{issued, replaced}, when: rehash(domain.SlotPrimary, "old")},
		{name: "not of an empty slot", given: []domain.Event{issued}, when: rehash(domain.SlotSecondary, "old")},
		{name: "not of an empty slot without a hash", given: []domain.Event{issued}, when: rehash(domain.SlotSecondary, "")},
		{name: "and the new digest is replaced with the key", given: []domain.Event{issued, rehashed},
			when: func(s state) ([]domain.Event, error) {
				return s.Regenerate(id(2), id(1), domain.SlotPrimary, "lc_abc12", key("next", "s"), noon)
			},
			then: []domain.Event{domain.KeyRegenerated{
				CustomerID: id(2), SubscriptionID: id(1), Slot: domain.SlotPrimary, OldKey: key("new", "s"), NewKey: key("next", "s"), RegeneratedAt: noon}}},
	})
	if digest := domain.NewKeyDigest("lc_abc12ABCDEFGHIJKLMNOPQRSTUVWX", "hash", "s"); digest != key("hash", "s") {
		t.Errorf("the digest of a key is %+v", digest)
	}
}

func TestKeyNames(t *testing.T) {
	t.Parallel()
	type state = domain.APIKeys
	named := func(slot domain.KeySlot, name domain.Ciphertext) domain.Event {
		return domain.KeyNamed{CustomerID: id(2), SubscriptionID: id(1), Slot: slot, Name: name, NamedAt: noon}
	}
	rename := func(slot domain.KeySlot, name domain.Ciphertext) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event {
			return s.Rename(id(2), id(1), slot, domain.KeyName{Sealed: name, KeyID: id(2)}, noon)
		})
	}
	replaced := domain.KeyRegenerated{Slot: domain.SlotPrimary, NewKey: domain.KeyDigest{Hash: "n"}}
	given := []domain.Event{named(domain.SlotPrimary, "a"), named(domain.SlotSecondary, "b")}
	remove := rename(domain.SlotPrimary, "")
	removed := named(domain.SlotPrimary, "")
	play(t, []scenario[state]{
		{name: "names a slot", when: rename(domain.SlotPrimary, "a"), then: given[:1]},
		{name: "names it anew", given: given, when: rename(domain.SlotPrimary, "c"), then: []domain.Event{named(domain.SlotPrimary, "c")}},
		{name: "takes a name away", given: given, when: remove, then: []domain.Event{removed}},
		{name: "takes none away where there is none", when: remove},
		{name: "takes none away where the other slot has one", given: given[1:], when: remove},
		{name: "takes it away once", given: append(given[:2:2], removed), when: remove},
		{name: "leaves the other's", given: append(given[:2:2], removed), when: rename(domain.SlotSecondary, ""), then: []domain.Event{named(domain.SlotSecondary, "")}},
		{name: "keeps the name of a replaced key", given: []domain.Event{given[0], replaced}, when: remove, then: []domain.Event{removed}},
	})
	own := domain.KeyName{Sealed: "d", KeyID: domain.CustomerKeyID(id(2))}
	events := domain.APIKeys{}.Rename(id(2), id(1), domain.SlotPrimary, own, noon)
	if len(events) != 1 || (domain.APIKeys{}).Fold(events[0]).Names[domain.SlotPrimary] != own {
		t.Errorf("a name under the customer's own key: %+v", events)
	}
	before := domain.APIKeys{}.Fold(given[0])
	before.Fold(given[1])
	before.Fold(removed)
	if diff := cmp.Diff(map[domain.KeySlot]domain.KeyName{domain.SlotPrimary: {Sealed: "a", KeyID: id(2)}}, before.Names); diff != "" {
		t.Errorf("a state given out earlier has changed: %s", diff)
	}
}

func TestParseKeyName(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		" production \n": "production", "": "", "  ": "", strings.Repeat("é", 40): strings.Repeat("é", 40), "lc_abc12": "lc_abc12", "東京 1": "東京 1",
		"تلفن\u200cهمراه 👩\u200d💻": "تلفن\u200cهمراه 👩\u200d💻",
		"1\ufe0f\u20e3 prod":       "1\ufe0f\u20e3 prod",
	} {
		if got, err := domain.ParseKeyName(text); got != want || err != nil {
			t.Errorf("%q: got %q, %v; want %q", text, got, err, want)
		}
	}
	for _, text := range []string{strings.Repeat("é", 41), "two\nlines", "a\x00b", "a\xffb", "lc_abc12ABCDEFGHIJKLMNOPQRSTUVWX", "a\u202eb", "\u3164", "a\u200cb", "1\ufe0f"} {
		var refusal *domain.Error
		if name, err := domain.ParseKeyName(text); name != "" || !errors.As(err, &refusal) || refusal.Field != "name" || refusal.Kind != domain.KindInvalid {
			t.Errorf("%q: got %q, %v; want a refusal of the field", text, name, err)
		}
	}
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
