package projections_test

import (
	"context"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/commands/accounts"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections"
	"github.com/pas-ta/liveness/projections/engine/memorylog"
	"github.com/pas-ta/liveness/projections/projectionstest"
)

// plainVault hides nothing, and may have lost its keys.
type plainVault struct{ failure error }

func (v plainVault) Encrypt(_ context.Context, _ uuid.UUID, text []byte) (domain.Ciphertext, error) {
	return domain.Ciphertext(text), v.failure
}
func (v plainVault) Decrypt(_ context.Context, _ uuid.UUID, text domain.Ciphertext) ([]byte, error) {
	return []byte("open " + text), v.failure
}
func (v plainVault) Destroy(context.Context, uuid.UUID) error { return v.failure }

// oneKey is a vault all of whose keys but one are destroyed.
type oneKey struct {
	plainVault
	left uuid.UUID
}

func (v oneKey) Decrypt(ctx context.Context, key uuid.UUID, text domain.Ciphertext) ([]byte, error) {
	if key != v.left {
		return nil, accounts.ErrErased
	}
	return v.plainVault.Decrypt(ctx, key, text)
}

// Names that were given after the registrant was erased are read, those from before are gone.
func TestKeyNamesOfACustomersOwnKey(t *testing.T) {
	t.Parallel()
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	own := domain.CustomerKeyID(c.ID)
	log.Append(domain.APIKeysStream(c.ID),
		domain.KeyNamed{CustomerID: c.ID, Slot: domain.SlotPrimary, Name: "before", NamedAt: memorylog.Epoch},
		domain.KeyNamed{CustomerID: c.ID, Slot: domain.SlotSecondary, Name: "after", SealedUnder: own, NamedAt: memorylog.Epoch})
	pool := prepared(t, log, projections.KeyHistoryProjection())
	names, err := projections.NewKeyHistory(pool, oneKey{left: own}).NamesOf(t.Context(), c.ID)
	if diff := cmp.Diff(map[domain.KeySlot]string{domain.SlotSecondary: "open after"}, names); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestKeyHistory(t *testing.T) {
	t.Parallel()
	log, c := memorylog.New(), projectionstest.NewCustomer(t, 1)
	named := func(slot domain.KeySlot, name domain.Ciphertext) domain.Event {
		return domain.KeyNamed{CustomerID: c.ID, SubscriptionID: c.Subscription, Slot: slot, Name: name, NamedAt: memorylog.Epoch}
	}
	log.Append(domain.APIKeysStream(c.ID),
		c.Issued(domain.SlotPrimary, "a"), c.Issued(domain.SlotSecondary, "b"), named(domain.SlotPrimary, "first"), named(domain.SlotSecondary, "spare"),
		c.Regenerated(domain.SlotPrimary, "a", "c"), named(domain.SlotPrimary, "second"), named(domain.SlotSecondary, ""), c.Regenerated(domain.SlotPrimary, "c", "d"))
	pool := prepared(t, log, projections.KeyHistoryProjection(), projections.APIKeysProjection())
	known, err := projections.NewKeyHistory(pool, plainVault{}).KnownKeys(t.Context(), []string{"a", "b", "c", "d", "nobody's"})
	key := func(slot domain.KeySlot, hash string, replaced bool) projections.KnownKey {
		return projections.KnownKey{CustomerID: c.ID, Slot: slot, Prefix: "lc_" + hash, Replaced: replaced}
	}
	if diff := cmp.Diff(map[string]projections.KnownKey{
		"a": key(domain.SlotPrimary, "a", true), "c": key(domain.SlotPrimary, "c", true),
		"b": key(domain.SlotSecondary, "b", false), "d": key(domain.SlotPrimary, "d", false),
	}, known); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
	for name, test := range map[string]struct {
		vault    plainVault
		customer uuid.UUID
		want     map[domain.KeySlot]string
		fails    bool
	}{
		"the newest names":        {plainVault{}, c.ID, map[domain.KeySlot]string{domain.SlotPrimary: "open second"}, false},
		"of somebody without":     {plainVault{}, uuid.New(), map[domain.KeySlot]string{}, false},
		"of an erased customer":   {plainVault{accounts.ErrErased}, c.ID, map[domain.KeySlot]string{}, false},
		"that cannot be read now": {plainVault{errors.New("away")}, c.ID, nil, true},
	} {
		names, err := projections.NewKeyHistory(pool, test.vault).NamesOf(t.Context(), test.customer)
		if diff := cmp.Diff(test.want, names); diff != "" || (err != nil) != test.fails {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
}
