package domain_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pas-ta/liveness/domain"
)

func TestSecondFactor(t *testing.T) {
	t.Parallel()
	type state = domain.Account
	active := []domain.Event{
		domain.AccountRegistered{CustomerID: id(2), Person: "person", MailHash: "mail"}, domain.AccountActivated{CustomerID: id(2)},
	}
	with := func(more ...domain.Event) []domain.Event {
		return append(append([]domain.Event(nil), active...), more...)
	}
	added := domain.SecondFactorAdded{CustomerID: id(2), Factor: "factor", Codes: 10, AddedAt: noon}
	replaced := domain.RecoveryCodesReplaced{CustomerID: id(2), Factor: "other codes", Codes: 10, ReplacedAt: noon}
	used := func(code int) domain.RecoveryCodeUsed {
		return domain.RecoveryCodeUsed{CustomerID: id(2), Code: code, UsedAt: noon}
	}
	removed := domain.SecondFactorRemoved{CustomerID: id(2), RemovedAt: noon}
	local := noon.In(time.FixedZone("", 3600))
	add := func(s state) ([]domain.Event, error) { return s.AddSecondFactor("factor", 10, local) }
	replace := func(s state) ([]domain.Event, error) { return s.ReplaceRecoveryCodes("other codes", 10, local) }
	remove := func(s state) ([]domain.Event, error) { return s.RemoveSecondFactor(local) }
	use := func(factor domain.Ciphertext, code int) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.UseRecoveryCode(factor, code, local) }
	}
	play(t, []scenario[state]{
		{name: "adds", given: active, when: add, then: []domain.Event{added}},
		{name: "adds when active", given: active[:1], when: add, refused: domain.ErrNotRegistered},
		{name: "adds one", given: with(added), when: add, refused: domain.ErrSecondFactorOn},
		{name: "adds another after the first", given: with(added, removed), when: add, then: []domain.Event{added}},
		{name: "replaces codes", given: with(added), when: replace, then: []domain.Event{replaced}},
		{name: "replaces no codes of nothing", given: active, when: replace, refused: domain.ErrSecondFactorOff},
		{name: "uses a code", given: with(added), when: use("factor", 0), then: []domain.Event{used(0)}},
		{name: "uses another code", given: with(added, used(0)), when: use("factor", 1), then: []domain.Event{used(1)}},
		{name: "uses a code once", given: with(added, used(0), used(1)), when: use("factor", 0), refused: domain.ErrWrongCode},
		{name: "uses a fresh code", given: with(added, used(0), replaced), when: use("other codes", 0), then: []domain.Event{used(0)}},
		{name: "uses no code from before", given: with(added, replaced), when: use("factor", 0), refused: domain.ErrWrongCode},
		{name: "uses no code of nothing", given: with(added, removed), when: use("factor", 0), refused: domain.ErrWrongCode},
		{name: "removes", given: with(added), when: remove, then: []domain.Event{removed}},
		{name: "removes nothing", given: active, when: remove, refused: domain.ErrSecondFactorOff},
		{name: "a new password leaves it on", given: with(added, domain.PasswordSet{CustomerID: id(2), PasswordHash: "other"}), when: remove, then: []domain.Event{removed}},
		{name: "erasure destroys it", given: with(added, domain.PersonalDataErased{CustomerID: id(2)}), when: remove, refused: domain.ErrSecondFactorOff},
	})
}

func TestStateOfASecondFactor(t *testing.T) {
	t.Parallel()
	fold := func(events ...domain.Event) domain.SecondFactor {
		var account domain.Account
		for _, event := range events {
			account = account.Fold(event)
		}
		return account.SecondFactor
	}
	added := domain.SecondFactorAdded{Factor: "factor", Codes: 10, AddedAt: noon}
	one := fold(added, domain.RecoveryCodeUsed{Code: 4})
	if diff := cmp.Diff(domain.SecondFactor{Sealed: "factor", Codes: 10, Used: []int{4}, Since: noon}, one); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !one.On() || one.CodesLeft() != 9 || fold().On() || fold().CodesLeft() != 0 {
		t.Errorf("on %v with %d codes; without one on %v with %d", one.On(), one.CodesLeft(), fold().On(), fold().CodesLeft())
	}
	replaced := fold(added, domain.RecoveryCodeUsed{Code: 4}, domain.RecoveryCodesReplaced{Factor: "other", Codes: 8, ReplacedAt: noon.Add(time.Hour)})
	if diff := cmp.Diff(domain.SecondFactor{Sealed: "other", Codes: 8, Since: noon}, replaced); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	// A state given out earlier stays what it was.
	account := domain.Account{SecondFactor: one}
	first, second := account.Fold(domain.RecoveryCodeUsed{Code: 5}), account.Fold(domain.RecoveryCodeUsed{Code: 6})
	if first.SecondFactor.Used[1] != 5 || second.SecondFactor.Used[1] != 6 {
		t.Errorf("one state is written over by another: %v, %v", first.SecondFactor.Used, second.SecondFactor.Used)
	}
}
