//go:build race

package eventstoredb

import "github.com/EventStore/EventStore-Client-Go/v4/esdb"

// closeClient leaves an official client open. The race detector takes it for a race that the client closes a channel that
// callers send on, which is its way of freeing them: every test in which a call outlasts its client would fail for that
// alone. What is left open ends with the process.
func closeClient(*esdb.Client) error { return nil }
