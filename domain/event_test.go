package domain_test

import (
	"encoding/json"
	"testing"

	"github.com/pas-ta/liveness/domain"
)

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
