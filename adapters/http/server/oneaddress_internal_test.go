package server

import (
	"bytes"
	"log/slog"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestAllCallersAtOneAddressAreTold(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		addresses []string // in turn
		doubtful  bool
		requests  int
		passes    time.Duration // between two requests
		warnings  int
	}{
		"a proxy that is not known":    {[]string{"127.0.0.1"}, true, 100, 0, 1},
		"not yet":                      {[]string{"127.0.0.1"}, true, 99, 0, 0},
		"once an hour":                 {[]string{"10.0.0.7"}, true, 7200, time.Second, 2},
		"one caller for ten minutes":   {[]string{"192.0.2.1"}, false, 200, 6*time.Second + 31*time.Millisecond, 1},
		"one caller for a moment":      {[]string{"192.0.2.1"}, false, 10_000, time.Millisecond, 0},
		"a tool on this machine":       {[]string{"127.0.0.1"}, false, 10_000, time.Second, 0},
		"a tool on this machine, IPv6": {[]string{"::"}, false, 10_000, time.Second, 0},
		"several callers":              {[]string{"10.0.0.7", "10.0.0.8"}, true, 10_000, time.Second, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			at := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
			seen := oneAddress{log: slog.New(slog.NewTextHandler(&log, nil)), now: func() time.Time { return at }}
			for n := range test.requests {
				seen.see(netip.MustParseAddr(test.addresses[n%len(test.addresses)]), test.doubtful)
				at = at.Add(test.passes)
			}
			if got := strings.Count(log.String(), "--trusted-proxies"); got != test.warnings {
				t.Errorf("%d warnings, want %d: %s", got, test.warnings, &log)
			}
		})
	}
}
