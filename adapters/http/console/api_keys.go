package console

import (
	"net/http"
	"time"

	"github.com/gorilla/mux"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
)

type keysAnswer struct {
	Keys     []keyAnswer      `json:"keys"`
	Replaced []replacedAnswer `json:"replaced"` // keys that no longer work and are still sent
}

type keyAnswer struct {
	Slot     domain.KeySlot `json:"slot"`
	Prefix   string         `json:"prefix"` // empty when the slot never got a key
	IssuedAt *time.Time     `json:"issuedAt"`
	Name     string         `json:"name"`   // that the customer chose; may be empty
	UsedAt   *time.Time     `json:"usedAt"` // the newest call with the key, null when there is none
	UseKnown bool           `json:"useKnown"`
}

// replacedAnswer is a key that was replaced and is still sent.
type replacedAnswer struct {
	Slot   domain.KeySlot `json:"slot"`
	Prefix string         `json:"prefix"`
	Calls  int64          `json:"calls"`
	LastAt time.Time      `json:"lastAt"`
}

// stillSent is how long ago a replaced key must have been sent to be told of.
const stillSent = 48 * time.Hour

// readKeys lists both slots, also one that activation was cut off before filling: Regenerate issues its key.
func (c *console) readKeys(r *http.Request, user visitor) (any, error) {
	keys, err := c.Models.Keys.KeysOf(r.Context(), user.customer)
	if err != nil {
		return nil, err
	}
	names, err := c.Models.KeyNames.NamesOf(r.Context(), user.customer)
	if err != nil {
		return nil, err
	}
	use, err := c.Models.Traffic.KeyUse(r.Context(), user.subscription)
	if err != nil {
		return nil, err
	}
	now := c.Now()
	failed, err := c.Models.Failures.Kinds(r.Context(), user.customer, now.Add(-counting.FailedCallsKept), now.Add(time.Hour))
	if err != nil {
		return nil, err
	}
	answer := keysAnswer{Keys: []keyAnswer{{Slot: domain.SlotPrimary}, {Slot: domain.SlotSecondary}}, Replaced: []replacedAnswer{}}
	for i := range answer.Keys {
		k := &answer.Keys[i]
		k.Name, k.UseKnown = names[k.Slot], use.Known
		for _, key := range keys {
			if key.Slot == k.Slot {
				k.Prefix, k.IssuedAt = key.Prefix, &key.IssuedAt
				k.UsedAt = lastUse(key, use.LastAt[k.Slot], failed)
			}
		}
	}
	for _, f := range failed {
		if f.Code == domain.ErrInvalidAPIKey.Code && f.LastAt.After(now.Add(-stillSent)) {
			answer.Replaced = append(answer.Replaced, replacedAnswer{f.KeySlot, f.KeyPrefix, f.Calls, f.LastAt.UTC()})
		}
	}
	return answer, nil
}

// lastUse returns when a key was last sent with a call, whether that was counted or failed; nil when it never was. What was
// counted before the key was issued was with the one that it replaced.
func lastUse(key projections.APIKey, counted time.Time, failed []counting.FailureKind) *time.Time {
	var last time.Time
	if counted.After(key.IssuedAt) {
		last = counted
	}
	for _, f := range failed {
		if f.KeyPrefix == key.Prefix && f.KeySlot == key.Slot && f.LastAt.After(last) {
			last = f.LastAt
		}
	}
	return unlessZero(last.UTC())
}

// renameKey gives a key a name, or takes it away.
func (c *console) renameKey(r *http.Request, user visitor) (any, error) {
	var body struct {
		Name string `json:"name"`
	}
	if err := readJSON(r, &body); err != nil {
		return nil, err
	}
	slot, err := domain.ParseKeySlot(mux.Vars(r)["slot"])
	if err != nil {
		return nil, err
	}
	renamed, err := c.Accounts.RenameKey(r.Context(), accounts.RenameKey{
		By: user.by(r.Context()), CustomerID: user.customer, SubscriptionID: user.subscription, Slot: slot, Name: body.Name,
	})
	if err != nil {
		return nil, err
	}
	return done{renamed.Position}, nil
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
	if err := c.countAttempt(r.Context(), regenerationOfCustomer, user.customer.String()); err != nil {
		return nil, err
	}
	key, err := c.Accounts.RegenerateKey(r.Context(), accounts.RegenerateKey{
		By: user.by(r.Context()), CustomerID: user.customer, SubscriptionID: user.subscription, Slot: slot, Replaces: body.Replaces,
	})
	if err != nil {
		if domain.KindOf(err) != domain.KindUnavailable { // refused: nothing was replaced
			c.refundAttempt(r.Context(), regenerationOfCustomer, user.customer.String())
		}
		return nil, err
	}
	return regeneratedAnswer{done{key.Position}, slot, key.Reveal(), key.Prefix}, nil
}
