package domain_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

func TestEmailChange(t *testing.T) {
	t.Parallel()
	type state = domain.Account
	active := []domain.Event{
		domain.AccountRegistered{CustomerID: id(2), Person: "person", MailHash: "mail"}, domain.AccountActivated{CustomerID: id(2)},
	}
	with := func(more ...domain.Event) []domain.Event {
		return append(append([]domain.Event(nil), active...), more...)
	}
	requested := func(n byte, mailHash string) domain.EmailChangeRequested {
		return domain.EmailChangeRequested{
			CustomerID: id(2), ChangeID: id(n), Address: "address", MailHash: mailHash, ExpiresAt: noon.Add(24 * time.Hour), RequestedAt: noon,
		}
	}
	changedAt := func(at time.Time) domain.EmailChanged {
		return domain.EmailChanged{CustomerID: id(2), ChangeID: id(8), Person: "new person", Former: "person", MailHash: "new", ChangedAt: at}
	}
	request := func(mailHash string) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) {
			return s.RequestEmailChange(domain.EmailChange{ID: id(8), Address: "address", MailHash: mailHash}, noon)
		}
	}
	change := func(id uuid.UUID, at time.Time) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.ChangeEmail(id, "new person", at) }
	}
	asked := requested(8, "new")
	play(t, []scenario[state]{
		{name: "asks", given: active, when: request("new"), then: []domain.Event{asked}},
		{name: "asks for another address", given: active, when: request("mail"), refused: domain.ErrSameEmail},
		{name: "asks when active", given: active[:1], when: request("new"), refused: domain.ErrNotRegistered},
		{name: "asks as somebody", when: request("new"), refused: domain.ErrNotRegistered},
		{name: "asks again", given: with(requested(7, "other")), when: request("new"), then: []domain.Event{asked}},
		{name: "changes", given: with(asked), when: change(id(8), noon), then: []domain.Event{changedAt(noon)}},
		{name: "changes to the last moment", given: with(asked), when: change(id(8), noon.Add(24*time.Hour-1)), then: []domain.Event{changedAt(noon.Add(24*time.Hour - 1))}},
		{name: "the link expires", given: with(asked), when: change(id(8), noon.Add(24*time.Hour)), refused: domain.ErrLinkExpired},
		{name: "the link works once", given: with(asked, changedAt(noon)), when: change(id(8), noon), refused: domain.ErrLinkUsed},
		{name: "an older link is void", given: with(requested(7, "other"), asked), when: change(id(7), noon), refused: domain.ErrLinkInvalid},
		{name: "no change was asked for", given: active, when: change(uuid.Nil, noon), refused: domain.ErrLinkInvalid},
		{name: "a new password voids the link", given: with(asked, domain.PasswordSet{CustomerID: id(2)}), when: change(id(8), noon), refused: domain.ErrLinkInvalid},
		{name: "erasure voids the link", given: with(asked, domain.PersonalDataErased{CustomerID: id(2)}), when: change(id(8), noon), refused: domain.ErrLinkInvalid},
		{name: "the change voids a reset", given: with(asked, domain.PasswordResetRequested{ResetID: id(4), ExpiresAt: noon.Add(time.Hour)}, changedAt(noon)),
			when: func(s state) ([]domain.Event, error) { return s.ResetPassword(id(4), "other", noon) }, refused: domain.ErrLinkInvalid},
	})
}

// The account is who the change says, under the new address.
func TestAccountAfterItsEmailChanged(t *testing.T) {
	t.Parallel()
	before := domain.Account{}.Fold(domain.AccountRegistered{CustomerID: id(2), Person: "person", MailHash: "mail"}).
		Fold(domain.EmailChangeRequested{ChangeID: id(8), MailHash: "new"})
	after := before.Fold(domain.EmailChanged{ChangeID: id(8), Person: "new person", MailHash: "new"})
	if after.Person != "new person" || after.MailHash != "new" || before.MailHash != "mail" || after.Change.ID != uuid.Nil {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
}
