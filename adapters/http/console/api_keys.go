package console

import (
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
)

type keysAnswer struct {
	Keys []keyAnswer `json:"keys"`
}

type keyAnswer struct {
	Slot     domain.KeySlot `json:"slot"`
	Prefix   string         `json:"prefix"` // empty when the slot never got a key
	IssuedAt *time.Time     `json:"issuedAt"`
}

// readKeys lists both slots, also one that activation was cut off before filling: Regenerate issues its key.
func (c *console) readKeys(r *http.Request, user visitor) (any, error) {
	keys, err := c.Models.Keys.KeysOf(r.Context(), user.customer)
	if err != nil {
		return nil, err
	}
	answer := keysAnswer{Keys: []keyAnswer{{Slot: domain.SlotPrimary}, {Slot: domain.SlotSecondary}}}
	for _, key := range keys {
		for i := range answer.Keys {
			if answer.Keys[i].Slot == key.Slot {
				answer.Keys[i].Prefix, answer.Keys[i].IssuedAt = key.Prefix, &key.IssuedAt
			}
		}
	}
	return answer, nil
}

type regeneratedAnswer struct {
	done
	Slot   domain.KeySlot `json:"slot"`
	Key    string         `json:"key"` // in full, this one time
	Prefix string         `json:"prefix"`
}

// regenerateKey replaces the key that the user looks at; one that another window has replaced meanwhile is left alone.
func (c *console) regenerateKey(r *http.Request, user visitor) (any, error) {
	var body struct {
		Replaces string `json:"replaces"` // visible prefix of the key to go
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	slot, err := domain.ParseKeySlot(mux.Vars(r)["slot"])
	if err != nil {
		return nil, err
	}
	key, err := c.Accounts.RegenerateKey(r.Context(), accounts.RegenerateKey{
		By: user.by(), CustomerID: user.customer, SubscriptionID: user.subscription, Slot: slot, Replaces: body.Replaces,
	})
	if err != nil {
		return nil, err
	}
	return regeneratedAnswer{done{key.Position}, slot, key.Reveal(), key.Prefix}, nil
}
