package awaittest_test

import (
	"net"
	"strconv"
	"testing"

	"github.com/pas-ta/liveness/adapters/awaittest"
)

// What a test is given the system gives to nobody else, be it while nothing listens there yet.
func TestAFreeAddressIsNobodyElses(t *testing.T) {
	t.Parallel()
	given := map[string]bool{}
	for range 100 {
		address := awaittest.FreeAddress(t)
		_, text, err := net.SplitHostPort(address)
		port, _ := strconv.Atoi(text)
		if err != nil || given[address] || port < 10_000 || port > 32_767 || awaittest.Reachable(address) {
			t.Errorf("%s is given: %v", address, err)
		}
		given[address] = true
	}
}
