package eventstoredb_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
)

// A right that is missing is named, by whoever needs it.
func TestMissingRightsAreNamed(t *testing.T) {
	t.Parallel()
	addr := nodetest.Start(t, node.Config{}).Addr()
	stream := domain.SubscriptionStream(uuid.New())
	many := make([]commands.Proposed, 300) // that the node refuses before they have all been sent
	for i := range many {
		many[i] = login(uuid.New())
	}
	for denied, need := range map[string]struct {
		try  func(*eventstoredb.Client) error
		says string
	}{
		"Streams/Read": {func(c *eventstoredb.Client) error { return c.Check(t.Context()) }, "may not read $all"},
		"Append": {func(c *eventstoredb.Client) error {
			_, err := commands.AppendUntilKnown(t.Context(), eventstoredb.NewStore(c, domain.NewRegistry()), stream, commands.NoStream, many)
			return err
		}, "may not append to stream " + stream},
		"Streams/Append": {func(c *eventstoredb.Client) error { return c.CheckRights(t.Context(), stream) }, "may not append to stream " + stream},
	} {
		f := newFront(t, addr, func(method string, _ metadata.MD) error {
			if strings.HasSuffix(method, denied) {
				return accessDenied
			}
			return nil
		})
		missing := (*eventstoredb.RightsError)(nil)
		err := need.try(connect(t, f.url()))
		if !errors.As(err, &missing) || !strings.Contains(err.Error(), need.says) || errors.Is(err, commands.ErrStoreUnavailable) {
			t.Errorf("without %s: %v", denied, err)
		}
	}
}
