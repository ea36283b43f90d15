package v1

import (
	"github.com/pas-ta/liveness/commands/counting"
)

// Failures takes what was not answered with a result, after the answer has left. Note must not wait. Key is what was sent of
// a call whose owner is not known.
type Failures interface {
	Note(call counting.FailedCall, key string)
}

// noFailures forgets them.
type noFailures struct{}

// Note does nothing.
func (noFailures) Note(counting.FailedCall, string) {}

// noteFailure lets the customer know of an answer that was no result. Who is known by no key has no screen to look at.
func (x *exchange) noteFailure() {
	if x.code == "" {
		return
	}
	call := counting.FailedCall{At: x.api.now(), RequestID: x.id, Status: x.status, Code: x.code, Message: x.message}
	if x.known {
		call.CustomerID, call.KeySlot, call.KeyPrefix = x.owner.CustomerID, x.owner.Slot, x.keyPrefix
		x.api.failures.Note(call, "")
		return
	}
	if keys := x.request.Header.Values("X-API-Key"); len(keys) == 1 && x.route != routeOther {
		x.api.failures.Note(call, keys[0])
	}
}
