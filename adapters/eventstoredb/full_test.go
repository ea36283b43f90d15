package eventstoredb_test

import (
	"errors"
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
	store := eventstoredb.NewStore(connect(t, full.ConnectionString()), domain.NewRegistry())

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
}
