package server

import (
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

const (
	// oneAddressRequests in a row from one address are looked at.
	oneAddressRequests = 100
	// oneAddressTime is how long a single caller is an ordinary thing.
	oneAddressTime = 10 * time.Minute
	// oneAddressTold is how often the log says it.
	oneAddressTold = time.Hour
)

// oneAddress notices when all callers are taken for one, because a proxy in front is not known, or one before it is not: they then
// share its limits, and the failed logins of one lock out the others.
type oneAddress struct {
	log *slog.Logger
	now func() time.Time

	mu       sync.Mutex
	address  netip.Addr
	since    time.Time
	requests int
	told     time.Time
}

// see is told of each request. Doubtful is one whose address is hardly that of its caller.
func (o *oneAddress) see(address netip.Addr, doubtful bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if address != o.address {
		o.address, o.since, o.requests = address, o.now(), 0
	}
	o.requests++
	if o.requests%oneAddressRequests != 0 {
		return
	}
	now := o.now()
	here := address.IsLoopback() || address.IsUnspecified() // the latter is the network of ::1, or a socket of this machine
	if !doubtful && (here || now.Sub(o.since) < oneAddressTime) || !o.told.IsZero() && now.Sub(o.told) < oneAddressTold {
		return
	}
	o.told = now
	o.log.Warn("all requests come from one address, which then shares limits and lock-outs; if it is a proxy's or a balancer's, "+
		"name it in --trusted-proxies, and have each proxy pass on X-Forwarded-For", "address", address, "requests", o.requests)
}

// passedOn returns whether somebody has forwarded the request.
func passedOn(r *http.Request) bool {
	return len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0
}
