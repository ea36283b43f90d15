package awaittest

import (
	"context"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"testing"
)

// The system gives no port below lastPort to whoever asks for any, or connects: one of those could be anybody's by the time that
// it is listened at, or listened at again. Test processes run side by side: each takes whole blocks of ports.
const firstPort, lastPort, blockPorts = 10_000, 32_767, 128

// free are the ports of this process.
var free = &ports{block: rand.IntN(blocks)}

const blocks = (lastPort + 1 - firstPort) / blockPorts

// ports gives each port out once, and again only when there are no more.
type ports struct {
	mu    sync.Mutex
	block int // to be tried next
	// held listens at the first port of each block that was taken, for as long as the process runs: nobody else can take it.
	held []net.Listener
	left []int // that were not given out
}

// FreeAddress returns an address on loopback for something that is told where to listen. Nothing listens there, and no other test
// is given it, of this process or of one beside.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	address := free.next(tb.Context())
	if address == "" {
		tb.Fatal("no port is free")
	}
	return address
}

// next returns an address that nobody was given, empty where none is left.
func (p *ports) next(ctx context.Context) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for tries := 0; tries < lastPort-firstPort && p.take(ctx); tries++ {
		port := p.left[0]
		p.left = p.left[1:]
		if listener, err := listen(ctx, port); err == nil {
			_ = listener.Close()
			return listener.Addr().String()
		}
	}
	return ""
}

// take sees to it that a port is left, of the next block that nobody has. Where there is none it begins again with its own.
func (p *ports) take(ctx context.Context) bool {
	for tries := 0; tries < blocks && len(p.left) == 0; tries++ {
		first := firstPort + p.block*blockPorts
		p.block = (p.block + 1) % blocks
		if listener, err := listen(ctx, first); err == nil {
			p.held = append(p.held, listener)
			p.refill(listener)
		}
	}
	if len(p.left) == 0 {
		p.refill(p.held...)
	}
	return len(p.left) > 0
}

func (p *ports) refill(held ...net.Listener) {
	for _, listener := range held {
		first := listener.Addr().(*net.TCPAddr).Port
		for port := first + 1; port < first+blockPorts; port++ {
			p.left = append(p.left, port)
		}
	}
}

func listen(ctx context.Context, port int) (net.Listener, error) {
	return new(net.ListenConfig).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
}
