package eventstoredb

import (
	"net"
	"net/netip"
	"strconv"
	"strings"

	"google.golang.org/grpc/resolver"
)

// The official client writes the address of a node that gossip or a follower names as host:port, also when the host is an
// IPv6 address, and gRPC would take all of it for one.
func init() { resolver.Register(ipv6Targets{resolver.Get("dns")}) }

// ipv6Targets resolves names as gRPC does, and puts the brackets back that an IPv6 address with a port lacks.
type ipv6Targets struct{ resolver.Builder }

// Build resolves a target.
func (b ipv6Targets) Build(target resolver.Target, conn resolver.ClientConn, options resolver.BuildOptions) (resolver.Resolver, error) {
	if address, ok := bracketed(target.Endpoint()); ok {
		target.URL.Path = "/" + address
	}
	return b.Builder.Build(target, conn, options)
}

// OverrideAuthority returns the name that a certificate must be for.
func (b ipv6Targets) OverrideAuthority(target resolver.Target) string {
	if address, ok := bracketed(target.Endpoint()); ok {
		return address
	}
	return target.Endpoint()
}

func bracketed(endpoint string) (string, bool) {
	colon := strings.LastIndex(endpoint, ":")
	if colon < 0 {
		return "", false
	}
	host, port := endpoint[:colon], endpoint[colon+1:]
	address, err := netip.ParseAddr(host)
	if _, portErr := strconv.ParseUint(port, 10, 16); err != nil || portErr != nil || !address.Is6() {
		return "", false
	}
	return net.JoinHostPort(host, port), true
}
