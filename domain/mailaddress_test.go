package domain_test

import (
	"testing"

	"github.com/pas-ta/liveness/domain"
)

func TestMailAddress(t *testing.T) {
	t.Parallel()
	type state = domain.MailAddress
	claimed := domain.MailAddressClaimed{CustomerID: id(2), ClaimedAt: noon, SecretID: "secret"}
	released := domain.MailAddressReleased{CustomerID: id(2), ReleasedAt: noon}
	claim := func(s state) ([]domain.Event, error) { return s.Claim(id(2), "secret", noon) }
	play(t, []scenario[state]{
		{name: "claims", when: claim, then: []domain.Event{claimed}},
		{name: "claims once", given: []domain.Event{claimed}, when: claim},
		{name: "refuses another's", given: []domain.Event{domain.MailAddressClaimed{CustomerID: id(9)}}, when: claim, refused: domain.ErrMailAddressTaken},
		{name: "claims what was released", given: []domain.Event{claimed, released}, when: claim, then: []domain.Event{claimed}},
		{name: "releases", given: []domain.Event{claimed}, when: recorded(func(s state) []domain.Event { return s.Release(id(2), noon) }), then: []domain.Event{released}},
		{name: "releases only its own", given: []domain.Event{claimed}, when: recorded(func(s state) []domain.Event { return s.Release(id(9), noon) })},
	})
}
