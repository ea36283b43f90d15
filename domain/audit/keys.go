package audit

import (
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// followKeys takes an event on a customer's keys: only a slot without one is issued its first, and whoever replaces a key names
// the one that was there.
func (a *Audit) followKeys(r domain.Recorded) {
	switch e := r.Event.(type) {
	case domain.KeyIssued:
		a.change(r, e.SubscriptionID, "%s key %s issued", e.Slot, e.Key.Prefix)
		if held, issued := a.keysOf(r, e.CustomerID, e.SubscriptionID).Keys[e.Slot]; issued {
			a.find(r, e.SubscriptionID, "it issues the %s key, which was issued before as %s", e.Slot, held.Prefix)
		}
	case domain.KeyRegenerated:
		a.change(r, e.SubscriptionID, "%s key %s replaced by %s", e.Slot, e.OldKey.Prefix, e.NewKey.Prefix)
		a.replaceKey(r, e.CustomerID, e.SubscriptionID, e.Slot, e.OldKey)
	case domain.KeyRehashed:
		a.replaceKey(r, e.CustomerID, e.SubscriptionID, e.Slot, e.Former)
	case domain.KeyNamed:
		a.change(r, e.SubscriptionID, "%s key named", e.Slot)
		a.keysOf(r, e.CustomerID, e.SubscriptionID)
		return
	}
	customer := customerOfKeys(r.Event)
	a.keys[customer] = a.keys[customer].Fold(r.Event)
}

// keysOf returns a customer's keys, and looks whether an event on them stands where it belongs.
func (a *Audit) keysOf(r domain.Recorded, customer, subscription uuid.UUID) domain.APIKeys {
	if want := domain.APIKeysStream(customer); r.Stream != want {
		a.find(r, subscription, "%s stands outside its stream %s", r.Event.EventType(), want)
	}
	return a.keys[customer]
}

func (a *Audit) replaceKey(r domain.Recorded, customer, subscription uuid.UUID, slot domain.KeySlot, replaced domain.KeyDigest) {
	if held := a.keysOf(r, customer, subscription).Keys[slot]; held != replaced {
		a.find(r, subscription, "%s of the %s key %q, and the slot held %q", r.Event.EventType(), slot, replaced.Prefix, held.Prefix)
	}
}

// customerOfKeys returns whose keys an event is on.
func customerOfKeys(event domain.Event) uuid.UUID {
	switch e := event.(type) {
	case domain.KeyIssued:
		return e.CustomerID
	case domain.KeyRegenerated:
		return e.CustomerID
	case domain.KeyRehashed:
		return e.CustomerID
	}
	return uuid.Nil
}
