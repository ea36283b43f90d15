package awaittest

import (
	"net"
	"strconv"
	"testing"
)

// What a test is given the system gives to nobody else, be it while nothing listens there yet.
func TestAFreeAddressIsNobodyElses(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	for range 100 {
		isNew(t, given, FreeAddress(t))
	}
}

// Two that begin at the same port are two test processes in the worst case: what one was given, the other is not.
func TestProcessesAreGivenTheirOwnAddresses(t *testing.T) {
	t.Parallel()
	one, other, given := &ports{block: blocks / 2}, &ports{block: blocks / 2}, map[string]bool{}
	for range 2 * blockPorts {
		isNew(t, given, one.next(t.Context()))
		isNew(t, given, other.next(t.Context()))
	}
	for _, held := range append(one.held, other.held...) {
		_ = held.Close()
	}
}

// isNew fails the test where an address was given before, the system could give it too, or something listens there.
func isNew(t *testing.T, given map[string]bool, address string) {
	t.Helper()
	_, text, err := net.SplitHostPort(address)
	port, _ := strconv.Atoi(text)
	if err != nil || given[address] || port < firstPort || port > lastPort || Reachable(address) {
		t.Errorf("%s is given: %v", address, err)
	}
	given[address] = true
}
