package domain_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

func TestErasures(t *testing.T) {
	t.Parallel()
	type state = domain.Erasures
	local := noon.In(time.FixedZone("", 3600))
	certify := func(text string, keys ...uuid.UUID) func(state) ([]domain.Event, error) {
		return recorded(func(s state) []domain.Event { return s.Certify(id(2), keys, text, local) })
	}
	certified := func(text string, keys ...uuid.UUID) domain.ErasureCertified {
		return domain.ErasureCertified{SubjectID: id(2), Keys: keys, Certificate: text, CertifiedAt: noon}
	}
	one, other := certified("one", id(2), id(3)), certified("other", id(4))
	play(t, []scenario[state]{
		{name: "certifies", when: certify("one", id(2), id(3)), then: []domain.Event{one}},
		{name: "certifies that there was nothing", when: certify("none"), then: []domain.Event{certified("none")}},
		{name: "certifies once", given: []domain.Event{one}, when: certify("again", id(3), id(2))},
		{name: "certifies a part once", given: []domain.Event{one}, when: certify("again", id(3))},
		{name: "certifies more", given: []domain.Event{one}, when: certify("other", id(4)), then: []domain.Event{other}},
		{name: "certifies all that has more", given: []domain.Event{one}, when: certify("both", id(2), id(4)),
			then: []domain.Event{certified("both", id(2), id(4))}},
		{name: "knows all certificates", given: []domain.Event{one, other}, when: certify("again", id(4), id(2))},
	})
	before := state{}.Fold(one)
	after := before.Fold(other)
	if diff := cmp.Diff([]domain.ErasureCertified{one, other}, after.Certificates); diff != "" || len(before.Certificates) != 1 {
		t.Errorf("certificates (-want +got):\n%s", diff)
	}
}

// Who was removed and which invitation was withdrawn is known still.
func TestEverMembers(t *testing.T) {
	t.Parallel()
	var got domain.EverMembers
	for _, event := range []domain.Event{
		domain.MemberInvited{CustomerID: id(2), InvitationID: id(5)}, domain.MemberInvited{CustomerID: id(2), InvitationID: id(6)},
		domain.MemberJoined{CustomerID: id(2), AccountID: id(5), InvitationID: id(5)}, domain.InvitationWithdrawn{CustomerID: id(2), InvitationID: id(6)},
		domain.MemberRemoved{CustomerID: id(2), AccountID: id(5)}, domain.CustomerErased{CustomerID: id(2)},
	} {
		got = got.Fold(event)
	}
	want := domain.EverMembers{Accounts: []uuid.UUID{id(5)}, Invitations: []uuid.UUID{id(5), id(6)}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
