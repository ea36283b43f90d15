package audit

import (
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// observeErasure returns whether an event is on the erasure of personal data, and follows it: nothing is erased while it has to
// be kept.
func (a *Audit) observeErasure(r domain.Recorded) bool {
	change := func(account uuid.UUID, format string, args ...any) {
		a.change(r, a.customers[account], format, args...)
	}
	switch e := r.Event.(type) {
	case domain.LegalHoldPlaced:
		a.holds[e.CustomerID]++
		change(e.CustomerID, "account %s put under legal hold %s", e.CustomerID, e.HoldID)
	case domain.LegalHoldReleased:
		if a.holds[e.CustomerID]--; a.holds[e.CustomerID] <= 0 {
			delete(a.holds, e.CustomerID)
		}
		change(e.CustomerID, "legal hold %s on account %s released", e.HoldID, e.CustomerID)
	case domain.ErasureDelayed:
		change(e.CustomerID, "erasure of %s waits for the legal hold on account %s", e.SubjectID, e.CustomerID)
	case domain.PersonalDataErased:
		if a.holds[e.CustomerID] > 0 {
			a.find(r, a.customers[e.CustomerID], "account %s was erased while a legal hold stood", e.CustomerID)
		}
		change(e.CustomerID, "personal data of account %s erased", e.CustomerID)
	case domain.ErasureCertified:
		change(e.SubjectID, "erasure of %s certified, with %d keys", e.SubjectID, len(e.Keys))
	default:
		return false
	}
	return true
}
