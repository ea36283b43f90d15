package domain

import (
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
)

// Rules of a customer's keys:
//  1. There are two slots, primary and secondary; both are issued when the account is activated, once.
//  2. Regenerating a slot replaces its key: the old one is dead from that event on. An empty slot gets its first key.
//  3. Who regenerates a key says which one: of two windows that replace the same key, the second must not kill the key that
//     the first has just shown.
//  4. The log holds a keyed hash and the visible prefix, never the key.
//  5. A digest is made again under a newer secret when the key is used. The key stays the same.
//  6. A slot may have a name that the customer chose. It stays when the key is replaced: it says what uses the slot.

// KeySlot is one of a customer's two keys.
type KeySlot string

// The two slots.
const (
	SlotPrimary   KeySlot = "primary"
	SlotSecondary KeySlot = "secondary"
)

// Title returns the slot's name as people are shown it.
func (s KeySlot) Title() string {
	if s == SlotSecondary {
		return "Secondary"
	}
	return "Primary"
}

// ParseKeySlot reads a slot's name.
func ParseKeySlot(name string) (KeySlot, error) {
	switch slot := KeySlot(strings.ToLower(name)); slot {
	case SlotPrimary, SlotSecondary:
		return slot, nil
	}
	return "", Invalid("slot", "There are two keys, \"primary\" and \"secondary\"; %q is none of them.", name)
}

// Shape of a key: lc_ and 29 letters or digits, 32 characters in all; lists show lc_ and the first 5.
const (
	KeyPrefix        = "lc_"
	KeyLength        = 32
	KeyVisibleLength = len(KeyPrefix) + 5
)

// KeyAlphabet holds the characters a key is drawn from.
const KeyAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

// WellFormedKey returns whether text has the shape of a key; what has not is refused without a look-up.
func WellFormedKey(text string) bool {
	if len(text) != KeyLength || !strings.HasPrefix(text, KeyPrefix) {
		return false
	}
	for _, c := range []byte(text[len(KeyPrefix):]) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z') {
			return false
		}
	}
	return true
}

// EldestSecretID is the id of the one secret that there was before secrets had ids: what was made with it then names none.
const EldestSecretID = "eldest"

// KeyDigest is what is stored of a key.
type KeyDigest struct {
	Hash   string `json:"hash"`   // HMAC-SHA-256 of the key under the server's secret, hexadecimal
	Prefix string `json:"prefix"` // the part that lists show

	SecretID string `json:"secretId,omitempty"` // of the secret; empty of the one that there was before secrets had ids
}

// NewKeyDigest returns what is stored of a key: its hash under a secret.
func NewKeyDigest(key, hash, secretID string) KeyDigest {
	return KeyDigest{Hash: hash, Prefix: key[:KeyVisibleLength], SecretID: secretID}
}

// KeyIssued says that a slot got its first key. Its digest names the secret that keys it; none is that of the time before
// secrets had ids.
type KeyIssued struct {
	CustomerID     uuid.UUID `json:"customerId"`
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Slot           KeySlot   `json:"slot"`
	Key            KeyDigest `json:"key"`
	IssuedAt       time.Time `json:"issuedAt"`
}

// KeyRegenerated says that a slot's key was replaced; the old one is invalid.
type KeyRegenerated struct {
	CustomerID     uuid.UUID `json:"customerId"`
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Slot           KeySlot   `json:"slot"`
	OldKey         KeyDigest `json:"oldKey"`
	NewKey         KeyDigest `json:"newKey"`
	RegeneratedAt  time.Time `json:"regeneratedAt"`
}

// KeyRehashed says that the digest of a slot's key was made again under a newer secret of the server; the key is the same.
type KeyRehashed struct {
	CustomerID     uuid.UUID `json:"customerId"`
	SubscriptionID uuid.UUID `json:"subscriptionId"`
	Slot           KeySlot   `json:"slot"`
	Former         KeyDigest `json:"former"`
	Key            KeyDigest `json:"key"`
	RehashedAt     time.Time `json:"rehashedAt"`
}

// KeyNamed says that a customer gave a slot a name, or took it away.
type KeyNamed struct {
	CustomerID     uuid.UUID  `json:"customerId"`
	SubscriptionID uuid.UUID  `json:"subscriptionId"`
	Slot           KeySlot    `json:"slot"`
	Name           Ciphertext `json:"name,omitempty"`       // sealed: people name keys after people. Empty for none
	SealedUnder    uuid.UUID  `json:"sealedUnder,omitzero"` // which key; Nil for that of who registered the customer
	NamedAt        time.Time  `json:"namedAt"`
}

// KeyName is the name of a slot.
type KeyName struct {
	Sealed Ciphertext
	KeyID  uuid.UUID // of the key of personal data that opens it
}

// KeyName returns the name that the event gives.
func (e KeyNamed) KeyName() KeyName {
	if e.SealedUnder != uuid.Nil {
		return KeyName{Sealed: e.Name, KeyID: e.SealedUnder}
	}
	return KeyName{Sealed: e.Name, KeyID: e.CustomerID}
}

// EventType names the event in the log.
func (KeyIssued) EventType() string { return "KeyIssued" }

// EventType names the event in the log.
func (KeyRegenerated) EventType() string { return "KeyRegenerated" }

// EventType names the event in the log.
func (KeyRehashed) EventType() string { return "KeyRehashed" }

// EventType names the event in the log.
func (KeyNamed) EventType() string { return "KeyNamed" }

func registerAPIKeyEvents(r *Registry) {
	register[KeyIssued](r, CategoryAPIKeys)
	register[KeyRegenerated](r, CategoryAPIKeys)
	register[KeyRehashed](r, CategoryAPIKeys)
	register[KeyNamed](r, CategoryAPIKeys)
}

// APIKeys is the state of a customer's two keys.
type APIKeys struct {
	CustomerID     uuid.UUID
	SubscriptionID uuid.UUID
	Keys           map[KeySlot]KeyDigest
	Names          map[KeySlot]KeyName // of the slots that have one
}

// Fold returns the state after one more event.
func (k APIKeys) Fold(event Event) APIKeys {
	switch e := event.(type) {
	case KeyIssued:
		k.CustomerID, k.SubscriptionID = e.CustomerID, e.SubscriptionID
		return k.with(e.Slot, e.Key)
	case KeyRegenerated:
		return k.with(e.Slot, e.NewKey)
	case KeyRehashed:
		return k.with(e.Slot, e.Key)
	case KeyNamed:
		names := maps.Clone(k.Names) // a state given out earlier stays what it was
		delete(names, e.Slot)
		if e.Name != "" {
			if names == nil {
				names = map[KeySlot]KeyName{}
			}
			names[e.Slot] = e.KeyName()
		}
		k.Names = names
	}
	return k
}

// with copies, so that a state given out earlier stays what it was.
func (k APIKeys) with(slot KeySlot, key KeyDigest) APIKeys {
	keys := map[KeySlot]KeyDigest{slot: key}
	for s, d := range k.Keys {
		if s != slot {
			keys[s] = d
		}
	}
	k.Keys = keys
	return k
}

// Issue gives both slots their first key. Issued already, it records nothing.
func (k APIKeys) Issue(customer, subscription uuid.UUID, primary, secondary KeyDigest, at time.Time) []Event {
	if len(k.Keys) > 0 {
		return nil
	}
	return []Event{
		KeyIssued{CustomerID: customer, SubscriptionID: subscription, Slot: SlotPrimary, Key: primary, IssuedAt: at.UTC()},
		KeyIssued{CustomerID: customer, SubscriptionID: subscription, Slot: SlotSecondary, Key: secondary, IssuedAt: at.UTC()},
	}
}

// ErrKeyReplaced refuses to replace a key that is not the one the customer looked at.
var ErrKeyReplaced = &Error{Kind: KindConflict, Code: "key_replaced",
	Message: "This key was replaced a moment ago, perhaps in another window. Look at the current one before you regenerate it again."}

// Regenerate replaces the key of a slot whose visible prefix is replaces, or whichever it holds when that is empty. A slot
// that never got one, because activation was cut short between its two streams, gets its first.
func (k APIKeys) Regenerate(customer, subscription uuid.UUID, slot KeySlot, replaces string, key KeyDigest, at time.Time) ([]Event, error) {
	old, issued := k.Keys[slot]
	if replaces != "" && replaces != old.Prefix {
		return nil, ErrKeyReplaced
	}
	if !issued {
		return []Event{KeyIssued{CustomerID: customer, SubscriptionID: subscription, Slot: slot, Key: key, IssuedAt: at.UTC()}}, nil
	}
	return []Event{KeyRegenerated{
		CustomerID: customer, SubscriptionID: subscription, Slot: slot, OldKey: old, NewKey: key, RegeneratedAt: at.UTC(),
	}}, nil
}

// Rehash makes the digest of a slot's key again. When the slot's key is not known by former any more, because it was replaced
// or this was done already, it records nothing.
func (k APIKeys) Rehash(slot KeySlot, former string, key KeyDigest, at time.Time) []Event {
	old := k.Keys[slot]
	if old.Hash == "" || old.Hash != former || key.Hash == former {
		return nil
	}
	return []Event{KeyRehashed{
		CustomerID: k.CustomerID, SubscriptionID: k.SubscriptionID, Slot: slot, Former: old, Key: key, RehashedAt: at.UTC(),
	}}
}

// maxKeyName is the longest name of a key, in characters.
const maxKeyName = 40

// ParseKeyName returns a name as it is kept: without white space around it, perhaps empty.
func ParseKeyName(text string) (string, error) {
	name := strings.TrimSpace(text)
	if utf8.RuneCountInString(name) > maxKeyName || Visible(name) != name {
		return "", Invalid("name", "A name has at most %d characters, all in one line and to be seen.", maxKeyName)
	}
	if WellFormedKey(name) {
		return "", Invalid("name", "This is an API key. Give the key a name that is no secret, like \"production\".")
	}
	return name, nil
}

// Rename gives a slot a name; an empty one takes the name away. Where none is to take away nothing is recorded.
func (k APIKeys) Rename(customer, subscription uuid.UUID, slot KeySlot, name KeyName, at time.Time) []Event {
	if name.Sealed == "" && k.Names[slot].Sealed == "" {
		return nil
	}
	named := KeyNamed{CustomerID: customer, SubscriptionID: subscription, Slot: slot, Name: name.Sealed, NamedAt: at.UTC()}
	if name.Sealed != "" && name.KeyID != customer {
		named.SealedUnder = name.KeyID
	}
	return []Event{named}
}
