package eventstoredb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	nodestore "github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// What a full disk refuses did not happen: repeating it would only keep callers waiting for the same answer.
func TestFullStoreIsNoUnknownOutcome(t *testing.T) {
	t.Parallel()
	full, err := node.Start(t.Context(), node.Config{Addr: "127.0.0.1:0", Dir: t.TempDir(), Like: nodetest.Line(t), Store: nodestore.Options{MaxPages: 200}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = full.Close() }) // it may complain that it is full
	client := connect(t, full.ConnectionString())
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	if err := client.Ping(t.Context()); err != nil {
		t.Errorf("before it is full: %v", err)
	}

	customer := uuid.New()
	for range 200 {
		batch := make([]commands.Proposed, 50)
		for i := range batch {
			batch[i] = login(customer)
		}
		if _, err = store.Append(t.Context(), "logins-"+uuid.NewString(), commands.NoStream, batch); err != nil {
			break
		}
	}
	if err == nil || errors.Is(err, commands.ErrStoreUnavailable) || errors.Is(err, commands.ErrConflict) {
		t.Errorf("append to a full store: %v, want an error that says it did not happen", err)
	}
	if err := client.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "has refused an append") {
		t.Errorf("health of a full store: %v", err)
	}
}
