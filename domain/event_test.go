package domain_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/domain"
)

// Metadata is ours when it has all that ours has.
func TestMetadataIsOurs(t *testing.T) {
	t.Parallel()
	whole := func() domain.Metadata {
		return domain.Metadata{CorrelationID: id(1), CausationID: id(2), Actor: domain.ActorUser, SchemaVersion: 1, OccurredAt: noon}
	}
	for _, actor := range []string{
		domain.ActorBuyer, domain.ActorUser, domain.ActorAPIClient, domain.ActorMarketplace, domain.ActorSystem, domain.ActorOperator,
	} {
		meta := whole()
		if meta.Actor = actor; !meta.Ours() {
			t.Errorf("that of %s is not", actor)
		}
	}
	for name, change := range map[string]func(*domain.Metadata){
		"another actor": func(m *domain.Metadata) { m.Actor = "sales" }, "no actor": func(m *domain.Metadata) { m.Actor = "" },
		"no version": func(m *domain.Metadata) { m.SchemaVersion = 0 }, "no cause": func(m *domain.Metadata) { m.CausationID = uuid.Nil },
		"no chain": func(m *domain.Metadata) { m.CorrelationID = uuid.Nil }, "no time": func(m *domain.Metadata) { m.OccurredAt = time.Time{} },
	} {
		meta := whole()
		if change(&meta); meta.Ours() {
			t.Errorf("with %s it is", name)
		}
	}
}

// The metadata of what no user did are the bytes that they always were.
func TestMetadataOfNoUser(t *testing.T) {
	t.Parallel()
	meta := domain.Metadata{CorrelationID: id(1), CausationID: id(2), Actor: domain.ActorSystem, SchemaVersion: 1, OccurredAt: noon}
	const before = `{"$correlationId":"00000000-0000-0000-0000-000000000001","$causationId":"00000000-0000-0000-0000-000000000002","actor":"system","schemaVersion":1,"time":"2026-11-22T12:00:00Z"}`
	if got, err := json.Marshal(meta); err != nil || string(got) != before {
		t.Errorf("%s, %v", got, err)
	}
	meta.Account = id(3)
	got, err := json.Marshal(meta)
	var read domain.Metadata
	if err == nil {
		err = json.Unmarshal(got, &read)
	}
	if err != nil || read != meta {
		t.Errorf("%s is read as %+v, %v", got, read, err)
	}
}
