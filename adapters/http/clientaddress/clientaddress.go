// Package clientaddress tells where a request comes from, for everything that limits callers by their network address.
// It limits nobody itself, and believes a header only from a proxy that the configuration names.
package clientaddress

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Of is where a request comes from: the peer, or what a proxy in one of the trusted networks says about it. Of an IPv6
// address the network counts, since a single customer has a whole one. It is the zero Addr for a unix socket.
func Of(r *http.Request, trusted []netip.Prefix) netip.Addr {
	address := parse(r.RemoteAddr)
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !isOneOf(trusted, address) {
			break
		}
		forwarded := parse(strings.TrimSpace(hop))
		if !forwarded.IsValid() {
			break
		}
		address = forwarded
	}
	return network(address)
}

// OfPeer is where a connection comes from, as Of says it of a request that no proxy has passed on, and whether that is a
// proxy in one of the trusted networks.
func OfPeer(peer string, trusted []netip.Prefix) (address netip.Addr, proxy bool) {
	address = parse(peer)
	return network(address), isOneOf(trusted, address)
}

// isOneOf takes the whole address: its network may be wider than a trusted one, which may be written as IPv4 within IPv6.
func isOneOf(trusted []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(trusted, func(p netip.Prefix) bool {
		return p.Contains(address) || p.Addr().Is4In6() && address.Is4() && p.Contains(netip.AddrFrom16(address.As16()))
	})
}

func network(address netip.Addr) netip.Addr {
	if address.Is6() {
		if network, err := address.Prefix(64); err == nil {
			return network.Addr()
		}
	}
	return address
}

func parse(text string) netip.Addr {
	if host, _, err := net.SplitHostPort(text); err == nil {
		text = host
	}
	address, err := netip.ParseAddr(text)
	if err != nil {
		return netip.Addr{}
	}
	return address.Unmap().WithZone("")
}
