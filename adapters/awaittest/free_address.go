package awaittest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"sync/atomic"
	"testing"
)

// The system gives no port below lastPort to whoever asks for any, or connects: one of those could be anybody's by the time that
// it is listened at, or listened at again.
const firstPort, lastPort = 10_000, 32_767

// given counts the ports that were given out, from one where other test processes hardly begin as well.
var given atomic.Uint32

var begin = rand.Uint32N(lastPort - firstPort)

// FreeAddress returns an address on loopback for something that is told where to listen. Nothing listens there, and no other test
// of the process is given it.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	for range lastPort - firstPort {
		port := firstPort + (begin+given.Add(1))%(lastPort-firstPort)
		listener, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
		if err != nil {
			continue
		}
		_ = listener.Close()
		return listener.Addr().String()
	}
	tb.Fatal("no port is free")
	return ""
}
