package domain_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

func TestAccount(t *testing.T) {
	t.Parallel()
	type state = domain.Account
	link := func(n byte, at time.Time) domain.VerificationRequested {
		return domain.VerificationRequested{CustomerID: id(2), VerificationID: id(n), ExpiresAt: at.Add(24 * time.Hour), RequestedAt: at}
	}
	registered := domain.AccountRegistered{CustomerID: id(2), SubscriptionID: id(1), Person: "person", MailHash: "mail", RegisteredAt: noon}
	verified := domain.EmailVerified{CustomerID: id(2), VerificationID: id(3), VerifiedAt: noon}
	firstPassword := domain.PasswordSet{CustomerID: id(2), PasswordHash: "secret", Cause: domain.PasswordActivation, SetAt: noon}
	activated := domain.AccountActivated{CustomerID: id(2), SubscriptionID: id(1), ActivatedAt: noon}
	reset := domain.PasswordResetRequested{CustomerID: id(2), ResetID: id(7), ExpiresAt: noon.Add(time.Hour), RequestedAt: noon}
	erased := domain.PersonalDataErased{CustomerID: id(2), ErasedAt: noon}
	pending := []domain.Event{registered, link(3, noon)}
	active := []domain.Event{registered, link(3, noon), verified, firstPassword, activated}
	with := func(events []domain.Event, more ...domain.Event) []domain.Event {
		return append(append([]domain.Event(nil), events...), more...)
	}

	attached := domain.RegistrationAttached{CustomerID: id(2), AccountID: id(20), VerificationID: id(3), AttachedAt: noon}
	attach := func(verification, account uuid.UUID, at time.Time) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.Attach(verification, account, at) }
	}
	accept := func(s state) ([]domain.Event, error) {
		return s.AcceptInvitation(id(9), "person", "mail", "secret", noon)
	}
	register := func(s state) ([]domain.Event, error) {
		return s.Register(id(2), id(1), "person", "mail", id(3), noon)
	}
	activate := func(verification uuid.UUID, at time.Time) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.Activate(verification, "secret", at) }
	}
	resetWith := func(request uuid.UUID, at time.Time) func(state) ([]domain.Event, error) {
		return func(s state) ([]domain.Event, error) { return s.ResetPassword(request, "other", at) }
	}
	resend := func(s state) ([]domain.Event, error) { return s.ResendVerification(id(4), noon) }
	requestReset := recorded(func(s state) []domain.Event { return s.RequestPasswordReset(id(7), noon) })
	change := func(s state) ([]domain.Event, error) { return s.ChangePassword("other", noon) }
	erase := func(s state) ([]domain.Event, error) { return s.ErasePersonalData(false, noon) }

	play(t, []scenario[state]{
		{name: "registers", when: register, then: pending},
		{name: "corrects until active", given: pending, when: register, then: []domain.Event{
			domain.RegistrationCorrected{CustomerID: id(2), Person: "person", MailHash: "mail", CorrectedAt: noon}, link(3, noon)}},
		{name: "registers no second time", given: active, when: register, refused: domain.ErrAlreadyActive},
		{name: "resends", given: pending, when: resend, then: []domain.Event{link(4, noon)}},
		{name: "resends nothing to nobody", when: resend, refused: domain.ErrNotRegistered},
		{name: "resends nothing when active", given: active, when: resend, refused: domain.ErrAlreadyActive},
		{name: "activates", given: pending, when: activate(id(3), noon), then: []domain.Event{verified, firstPassword, activated}},
		{name: "activates until the last moment", given: pending, when: activate(id(4), noon.Add(24*time.Hour-1)), refused: domain.ErrLinkInvalid},
		{name: "link expires", given: pending, when: activate(id(3), noon.Add(24*time.Hour)), refused: domain.ErrLinkExpired},
		{name: "link works once", given: active, when: activate(id(3), noon), refused: domain.ErrLinkUsed},
		{name: "older link is void", given: with(pending, link(4, noon)), when: activate(id(3), noon), refused: domain.ErrLinkInvalid},
		{name: "link of nobody", when: activate(id(3), noon), refused: domain.ErrLinkInvalid},
		{name: "asks for a reset", given: active, when: requestReset, then: []domain.Event{reset}},
		{name: "resets nothing before activation", given: pending, when: requestReset},
		{name: "resets", given: with(active, reset), when: resetWith(id(7), noon), then: []domain.Event{
			domain.PasswordSet{CustomerID: id(2), PasswordHash: "other", Cause: domain.PasswordReset, SetAt: noon}}},
		{name: "reset expires", given: with(active, reset), when: resetWith(id(7), noon.Add(time.Hour)), refused: domain.ErrLinkExpired},
		{name: "another password voids the reset", given: with(active, reset, domain.PasswordSet{CustomerID: id(2), Cause: domain.PasswordChange}), when: resetWith(id(7), noon), refused: domain.ErrLinkInvalid},
		{name: "no reset was asked for", given: active, when: resetWith(uuid.Nil, noon), refused: domain.ErrLinkInvalid},
		{name: "another link than the one that was used", given: active, when: activate(id(4), noon), refused: domain.ErrAlreadyActive},
		{name: "a link to an erased account", given: with(active, erased), when: activate(id(3), noon), refused: domain.ErrAccountErased},
		{name: "activates with the corrected details", given: with(pending, domain.RegistrationCorrected{CustomerID: id(2), Person: "new", MailHash: "new"}),
			when: activate(id(3), noon), then: []domain.Event{verified, firstPassword, activated}},
		{name: "link works to its last moment", given: []domain.Event{registered, link(3, noon)}, when: activate(id(3), noon.Add(24*time.Hour-1)), then: []domain.Event{
			domain.EmailVerified{CustomerID: id(2), VerificationID: id(3), VerifiedAt: noon.Add(24*time.Hour - 1)},
			domain.PasswordSet{CustomerID: id(2), PasswordHash: "secret", Cause: domain.PasswordActivation, SetAt: noon.Add(24*time.Hour - 1)},
			domain.AccountActivated{CustomerID: id(2), SubscriptionID: id(1), ActivatedAt: noon.Add(24*time.Hour - 1)}}},
		{name: "another reset than was asked for", given: with(active, reset), when: resetWith(id(8), noon), refused: domain.ErrLinkInvalid},
		{name: "changes its password", given: active, when: change, then: []domain.Event{
			domain.PasswordSet{CustomerID: id(2), PasswordHash: "other", Cause: domain.PasswordChange, SetAt: noon}}},
		{name: "changes no password before activation", given: pending, when: change, refused: domain.ErrNotRegistered},
		{name: "erases nothing of nobody", when: erase},
		{name: "erases", given: active, when: erase, then: []domain.Event{erased}},
		{name: "erases once", given: with(active, erased), when: erase},
		{name: "is attached to a login", given: pending, when: attach(id(3), id(20), noon), then: []domain.Event{attached}},
		{name: "is attached once", given: with(pending, attached), when: attach(id(3), id(20), noon)},
		{name: "is attached to one login", given: with(pending, attached), when: attach(id(3), id(21), noon), refused: domain.ErrLinkUsed},
		{name: "is attached by the link that was used", given: with(pending, attached), when: attach(id(4), id(20), noon), refused: domain.ErrAlreadyActive},
		{name: "is attached by the newest link", given: with(pending, link(4, noon)), when: attach(id(3), id(20), noon), refused: domain.ErrLinkInvalid},
		{name: "is attached while the link is valid", given: pending, when: attach(id(3), id(20), noon.Add(24*time.Hour)), refused: domain.ErrLinkExpired},
		{name: "is not attached when active", given: active, when: attach(id(3), id(20), noon), refused: domain.ErrLinkUsed},
		{name: "is not attached when erased", given: with(pending, attached, erased), when: attach(id(3), id(20), noon), refused: domain.ErrAccountErased},
		{name: "activates nothing that was attached", given: with(pending, attached), when: activate(id(3), noon), refused: domain.ErrLinkUsed},
		{name: "registers nothing that was attached", given: with(pending, attached), when: register, refused: domain.ErrAlreadyActive},
		{name: "resends nothing when attached", given: with(pending, attached), when: resend, refused: domain.ErrAlreadyActive},
		{name: "is erased though attached", given: with(pending, attached), when: erase, then: []domain.Event{erased}},
		{name: "accepts an invitation", when: accept, then: []domain.Event{
			domain.AccountRegistered{CustomerID: id(9), Person: "person", MailHash: "mail", RegisteredAt: noon},
			domain.EmailVerified{CustomerID: id(9), VerificationID: id(9), VerifiedAt: noon},
			domain.PasswordSet{CustomerID: id(9), PasswordHash: "secret", Cause: domain.PasswordActivation, SetAt: noon},
			domain.AccountActivated{CustomerID: id(9), ActivatedAt: noon}}},
		{name: "accepts an invitation once", given: active, when: accept, refused: domain.ErrLinkUsed},
		{name: "resends nothing when erased", given: with(pending, erased), when: resend, refused: domain.ErrAccountErased},
		{name: "stays closed", given: with(active, erased), when: register, refused: domain.ErrAccountErased},
	})
}

// The account is what its newest registration says, until it is erased.
func TestAccountKeepsWhatWasRegisteredLast(t *testing.T) {
	t.Parallel()
	account := domain.Account{}.Fold(domain.AccountRegistered{CustomerID: id(2), SubscriptionID: id(1), Person: "old", MailHash: "old"}).
		Fold(domain.RegistrationCorrected{CustomerID: id(2), Person: "new", MailHash: "new"})
	if account.Person != "new" || account.MailHash != "new" || account.SubscriptionID != id(1) || !account.Registered() {
		t.Errorf("%+v", account)
	}
	erased := account.Fold(domain.PasswordSet{PasswordHash: "hash"}).Fold(domain.PersonalDataErased{CustomerID: id(2)})
	if erased.Person != "" || erased.PasswordHash != "" || !erased.Erased || erased.Active {
		t.Errorf("erased: %+v", erased)
	}
}

// Which addresses an account may hold says whose claims are left behind.
func TestWhichAddressesAnAccountMayHold(t *testing.T) {
	t.Parallel()
	registered := domain.AccountRegistered{CustomerID: id(2), MailHash: "first"}
	requested := domain.VerificationRequested{CustomerID: id(2), VerificationID: id(3), ExpiresAt: noon.Add(time.Hour)}
	corrected := domain.RegistrationCorrected{CustomerID: id(2), MailHash: "second"}
	activated := domain.AccountActivated{CustomerID: id(2)}
	asked := domain.EmailChangeRequested{CustomerID: id(2), ChangeID: id(8), MailHash: "third", ExpiresAt: noon.Add(time.Hour)}
	changed := domain.EmailChanged{CustomerID: id(2), ChangeID: id(8), MailHash: "third"}
	erased := domain.PersonalDataErased{CustomerID: id(2)}
	for name, c := range map[string]struct {
		events     []domain.Event
		at         time.Time
		held, once []string // once: held, or had before
	}{
		"nobody's":                       {nil, noon, nil, nil},
		"registered":                     {[]domain.Event{registered, requested}, noon, []string{"first"}, []string{"first"}},
		"registered, at the last moment": {[]domain.Event{registered, requested}, noon.Add(time.Hour - 1), []string{"first"}, []string{"first"}},
		"registered, the link expired":   {[]domain.Event{registered, requested}, noon.Add(time.Hour), nil, []string{"first"}},
		"corrected":                      {[]domain.Event{registered, requested, corrected}, noon, []string{"second"}, []string{"first", "second"}},
		"attached to another account": {[]domain.Event{registered, requested, domain.RegistrationAttached{CustomerID: id(2), AccountID: id(20)}}, noon,
			nil, []string{"first"}},
		"active":                      {[]domain.Event{registered, requested, activated}, noon.Add(time.Hour), []string{"first"}, []string{"first"}},
		"about to change":             {[]domain.Event{registered, activated, asked}, noon.Add(time.Hour - 1), []string{"first", "third"}, []string{"first", "third"}},
		"too late to change":          {[]domain.Event{registered, activated, asked}, noon.Add(time.Hour), []string{"first"}, []string{"first", "third"}},
		"about to change, pending":    {[]domain.Event{registered, asked}, noon, nil, []string{"first", "third"}},
		"changed":                     {[]domain.Event{registered, activated, asked, changed}, noon, []string{"third"}, []string{"first", "third"}},
		"not to change any more":      {[]domain.Event{registered, activated, asked, domain.PasswordSet{}}, noon, []string{"first"}, []string{"first", "third"}},
		"erased":                      {[]domain.Event{registered, activated, asked, erased}, noon, nil, []string{"first", "third"}},
		"erased before it was active": {[]domain.Event{registered, requested, erased}, noon, nil, []string{"first"}},
	} {
		var a domain.Account
		for _, event := range c.events {
			a = a.Fold(event)
		}
		var held []string
		for _, hash := range []string{"", "first", "second", "third"} {
			if a.MayHold(hash, c.at) {
				held = append(held, hash)
			}
		}
		if !slices.Equal(held, c.held) || !slices.Equal(a.MailHashes, c.once) {
			t.Errorf("%s: it may hold %v and once had %v, want %v and %v", name, held, a.MailHashes, c.held, c.once)
		}
	}
}
