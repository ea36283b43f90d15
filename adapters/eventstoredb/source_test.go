package eventstoredb_test

import (
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/domain"
	"github.com/pas-ta/liveness/projections/engine/sourcetest"
)

// Like each version line, and on each log: new, shared with others, ending with an event of the store's own.
func TestSource(t *testing.T) {
	t.Parallel()
	logs := map[string]func(t *testing.T, uri string){
		"new log":               func(*testing.T, string) {},
		"events of others":      func(t *testing.T, uri string) { appendForeign(t, uri, 50) },
		"an event of the store": func(t *testing.T, uri string) { appendSystem(t, uri) },
	}
	for _, line := range lines(t) {
		for name, prepare := range logs {
			t.Run(line.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				sourcetest.Run(t, func(t *testing.T) sourcetest.Log {
					uri := nodetest.Start(t, node.Config{Like: line.Line}).ConnectionString()
					prepare(t, uri)
					return sourceLog(t, uri)
				})
			})
		}
	}
}

func sourceLog(t *testing.T, uri string) sourcetest.Log {
	client := connect(t, uri)
	store := eventstoredb.NewStore(client, domain.NewRegistry())
	source := newSource(client, 4096)
	eventstoredb.SetOlderLogTimeouts(source, 50*time.Millisecond, time.Minute)
	return sourcetest.Log{
		Source: source,
		Append: func(t *testing.T, stream string, events ...domain.Event) uint64 {
			proposed := make([]commands.Proposed, len(events))
			for i, event := range events {
				proposed[i] = login(uuid.New())
				proposed[i].Event = event
			}
			return appendAll(t, store, stream, proposed...).Position
		},
		AppendForeign: func(t *testing.T, n int) uint64 { return appendForeign(t, uri, n) },
	}
}
