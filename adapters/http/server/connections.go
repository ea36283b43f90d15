package server

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/pas-ta/liveness/adapters/http/clientaddress"
	"github.com/pas-ta/liveness/adapters/http/fairshare"
)

// connections divides the connections of a server. One counts for the address it comes from, among the strangers, until a
// handler says whose it is. What a trusted proxy keeps open counts for nobody; a request that comes through it counts like
// a connection of the client.
type connections struct {
	pool    *fairshare.Pool
	proxies []netip.Prefix
	weight  float64  // of strangers
	open    sync.Map // of *connection by net.Conn
	seen    *oneAddress
}

// connection is one of them.
type connection struct {
	net.Conn
	claim   *fairshare.Claim
	address netip.Addr // that it comes from

	mu      sync.Mutex
	ended   bool
	request func() // ends the request under way; nil between requests
}

type connectionKey struct{}

// accept counts a new connection. One too many is closed: there is nobody yet to tell why.
func (c *connections) accept(ctx context.Context, conn net.Conn) context.Context {
	address, proxy := clientaddress.OfPeer(conn.RemoteAddr().String(), c.proxies)
	if proxy {
		return ctx
	}
	held := &connection{Conn: conn, address: address}
	held.claim = c.pool.Claim(c.stranger(address), held.giveWay)
	if held.claim.Take(1) != nil {
		held.claim.Release()
		_ = conn.Close()
		return ctx
	}
	c.open.Store(conn, held)
	return context.WithValue(ctx, connectionKey{}, held)
}

func (c *connections) stranger(address netip.Addr) fairshare.Holder {
	return fairshare.Holder{Group: fairshare.Strangers, Member: address.String(), Weight: c.weight}
}

// follow is told by net/http what becomes of a connection.
func (c *connections) follow(conn net.Conn, state http.ConnState) {
	if state != http.StateIdle && state != http.StateClosed && state != http.StateHijacked {
		return
	}
	value, ok := c.open.Load(conn)
	if !ok {
		return
	}
	held := value.(*connection)
	if state == http.StateIdle {
		held.idle()
		return
	}
	c.open.Delete(conn)
	held.claim.Release()
}

func (c *connection) begin(giveWay func()) {
	c.mu.Lock()
	c.request = giveWay
	c.mu.Unlock()
	c.claim.Touch()
}

// idle ends the connection now if it had to give way while its last request was answered.
func (c *connection) idle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.request = nil; c.ended {
		_ = c.Close()
	}
}

// giveWay ends the connection: at once between requests, else with the answer of the request under way.
func (c *connection) giveWay() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	if c.request == nil {
		_ = c.Close()
		return
	}
	c.request()
}

// begin has a request end when its connection gives way, or when a claim of the request does: its context is cancelled then,
// and interrupt called.
func (c *connections) begin(r *http.Request, interrupt func()) (ctx context.Context, end func(), err error) {
	ctx, cancel := context.WithCancelCause(r.Context())
	giveWay := func() {
		cancel(fairshare.ErrGaveWay)
		interrupt()
	}
	if held, ok := ctx.Value(connectionKey{}).(*connection); ok {
		c.seen.see(held.address, passedOn(r))
		held.begin(giveWay)
		return fairshare.With(ctx, held.claim, giveWay), func() { cancel(nil) }, nil
	}
	address := clientaddress.Of(r, c.proxies)
	c.seen.see(address, address.IsPrivate())
	claim := c.pool.Claim(c.stranger(address), giveWay)
	return fairshare.With(ctx, claim, giveWay), func() {
		cancel(nil)
		claim.Release()
	}, claim.Take(1)
}

// readDeadline is the deadline by which a connection reads.
type readDeadline struct {
	control *http.ResponseController
	mu      sync.Mutex
	over    bool
}

// move sets the deadline; the zero time means none.
func (d *readDeadline) move(to time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.over {
		// Where deadlines are not supported, as in a recorder of httptest, there is no connection to protect.
		_ = d.control.SetReadDeadline(to)
	}
}

// pass ends the read that is under way, and every later one of the request.
func (d *readDeadline) pass() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	_ = d.control.SetReadDeadline(time.Now())
}
