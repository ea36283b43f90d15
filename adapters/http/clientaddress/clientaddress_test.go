package clientaddress_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/pas-ta/liveness/adapters/http/clientaddress"
)

func TestOf(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for _, test := range []struct {
		peer, want string
		forwarded  []string
	}{
		{"192.0.2.1:80", "192.0.2.1", nil},
		{"192.0.2.1:80", "192.0.2.1", []string{"198.51.100.7"}}, // not a proxy of ours: its word counts for nothing
		{"10.0.0.1:80", "10.0.0.1", nil},
		{"10.0.0.1:80", "198.51.100.7", []string{"198.51.100.7"}},
		{"10.0.0.1:80", "198.51.100.7", []string{"6.6.6.6, 198.51.100.7"}}, // what the client itself claims comes first
		{"10.0.0.1:80", "198.51.100.7", []string{"6.6.6.6", "198.51.100.7, 10.2.3.4"}},
		{"10.0.0.1:80", "10.0.0.1", []string{"unknown"}},
		{"10.0.0.1:80", "198.51.100.7", []string{"198.51.100.7:4711"}},
		{"[fd00::1]:80", "2001:db8:1:2::", []string{"2001:db8:1:2:3:4:5:6"}},
		{"[::ffff:192.0.2.1]:80", "192.0.2.1", nil},
		{"[fe80::1%eth0]:80", "fe80::", nil},
		{"@", "invalid IP", nil}, // a unix socket
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = test.peer
		for _, line := range test.forwarded {
			r.Header.Add("X-Forwarded-For", line)
		}
		if got := clientaddress.Of(r, proxies).String(); got != test.want {
			t.Errorf("peer %s, forwarded for %q: %s, want %s", test.peer, test.forwarded, got, test.want)
		}
	}
}

// A trusted network may be narrower than what counts as one address.
func TestOfPeer(t *testing.T) {
	t.Parallel()
	proxies := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("2001:db8::5/128"), netip.MustParsePrefix("2001:db8:0:1::/128"),
		netip.MustParsePrefix("::ffff:192.0.2.0/120"),
	}
	for _, test := range []struct {
		peer, want string
		proxy      bool
	}{
		{"10.0.0.1:80", "10.0.0.1", true},
		{"[::ffff:10.0.0.1]:80", "10.0.0.1", true},
		{"10.0.0.2:80", "10.0.0.2", false},
		{"192.0.2.7:80", "192.0.2.7", true},
		{"192.0.3.7:80", "192.0.3.7", false},
		{"[2001:db8::5]:80", "2001:db8::", true},
		{"[2001:db8::6]:80", "2001:db8::", false},
		{"[2001:db8:0:1::6]:80", "2001:db8:0:1::", false}, // its network begins with a proxy's address
		{"@", "invalid IP", false},
	} {
		address, proxy := clientaddress.OfPeer(test.peer, proxies)
		if address.String() != test.want || proxy != test.proxy {
			t.Errorf("peer %s: %s, a proxy: %t, want %s, %t", test.peer, address, proxy, test.want, test.proxy)
		}
	}
}
