package domain

import (
	"slices"
	"time"

	"github.com/google/uuid"
)

// Rules of certificates of erasure:
//  1. An erasure that is done is certified: which keys of personal data were destroyed, and when. The certificate names nobody.
//  2. An erasure that is repeated is certified again only when it has destroyed more than is certified.

// ErasureCertified says that the personal data of a customer or a person is erased, and keeps the signed certificate.
type ErasureCertified struct {
	SubjectID   uuid.UUID   `json:"subjectId"`   // customer or account
	Keys        []uuid.UUID `json:"keys"`        // accounts and invitations whose keys were destroyed
	Certificate string      `json:"certificate"` // a signed note
	CertifiedAt time.Time   `json:"certifiedAt"`
}

// EventType names the event in the log.
func (ErasureCertified) EventType() string { return "ErasureCertified" }

func registerErasureEvents(r *Registry) { register[ErasureCertified](r, CategoryErasure) }

// Erasures is the state of what was certified of a customer or a person.
type Erasures struct {
	Certificates []ErasureCertified // the oldest first
}

// Fold returns the state after one more event.
func (e Erasures) Fold(event Event) Erasures {
	if certified, ok := event.(ErasureCertified); ok {
		e.Certificates = append(slices.Clone(e.Certificates), certified)
	}
	return e
}

// Covers returns whether it is certified of every key that it was destroyed.
func (e Erasures) Covers(keys []uuid.UUID) bool {
	for _, key := range keys {
		if !slices.ContainsFunc(e.Certificates, func(c ErasureCertified) bool { return slices.Contains(c.Keys, key) }) {
			return false
		}
	}
	return len(e.Certificates) > 0
}

// Certify keeps a certificate. What is certified already it does not record again.
func (e Erasures) Certify(subject uuid.UUID, keys []uuid.UUID, certificate string, at time.Time) []Event {
	if e.Covers(keys) {
		return nil
	}
	return []Event{ErasureCertified{SubjectID: subject, Keys: keys, Certificate: certificate, CertifiedAt: at.UTC()}}
}

// EverMembers are the accounts that ever acted for a customer, and its invitations, whatever became of them.
type EverMembers struct {
	Accounts    []uuid.UUID
	Invitations []uuid.UUID
}

// Fold returns the state after one more event of the customer's people.
func (m EverMembers) Fold(event Event) EverMembers {
	switch e := event.(type) {
	case MemberInvited:
		m.Invitations = append(slices.Clip(m.Invitations), e.InvitationID)
	case MemberJoined:
		m.Accounts = append(slices.Clip(m.Accounts), e.AccountID)
	}
	return m
}
