package eventstoredb_test

import (
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands/auditing"
	"github.com/pas-ta/liveness/domain"
)

// An audit of a log that is served goes on behind checkpoints that cannot be decoded, and tells of each.
func TestAuditGoesOnBehindWhatCannotBeDecoded(t *testing.T) {
	t.Parallel()
	uri := nodetest.Start(t, node.Config{}).ConnectionString()
	for _, data := range []string{`{"size":`, `{}`, `"of theirs"`} {
		appendRaw(t, uri, domain.TransparencyStream, esdb.EventData{
			EventID: uuid.New(), EventType: domain.CheckpointSigned{}.EventType(), ContentType: esdb.ContentTypeJson,
			Data: []byte(data), Metadata: []byte(`{"schemaVersion":1,"actor":"system"}`),
		})
	}
	log := eventstoredb.NewAuditedLog(connect(t, uri))
	report, err := auditing.Verify(t.Context(), auditing.Verification{Log: log}, auditing.Scope{})
	if err != nil {
		t.Fatal(err)
	}
	var told []uint64
	for _, f := range report.Findings {
		if strings.HasPrefix(f.Problem, "it cannot be read") {
			told = append(told, f.Revision)
		}
	}
	if len(told) != 2 || told[0] != 0 || told[1] != 2 {
		t.Errorf("%+v", report.Findings)
	}
	if last, found, err := log.ReadLast(t.Context(), domain.TransparencyStream); err != nil || !found || last.Revision != 2 || last.Event != nil {
		t.Errorf("last: %+v, %t, %v", last, found, err)
	}
}
