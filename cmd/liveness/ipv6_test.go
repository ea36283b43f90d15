package main

import (
	"bufio"
	"net"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
)

// The event store may be at an IPv6 address, wherever one is written or shown.
func TestEventStoreAtAnIPv6Address(t *testing.T) {
	t.Parallel()
	if listener, err := net.Listen("tcp", "[::1]:0"); err != nil {
		t.Skipf("no IPv6 here: %v", err)
	} else {
		_ = listener.Close()
	}
	data := t.TempDir()
	served := program(t, "node", "--addr=[::1]:0", "--data="+data)
	printed, err := served.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := served.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = served.Process.Kill(); _ = served.Wait() })
	line, err := bufio.NewReader(printed).ReadString('\n')
	found := regexp.MustCompile(`esdb://(\[::1\]:\d+)\?tls=false`).FindStringSubmatch(line)
	if err != nil || found == nil || !strings.Contains(line, filepath.Join(data, "events")) {
		t.Fatalf("the node says %q, %v", line, err)
	}
	for _, address := range []string{
		"esdb://" + found[1] + "?tls=false", "esdb+discover://" + found[1] + "?tls=false", "kurrentdb://" + found[1] + "," + found[1] + "?tls=false",
	} {
		for _, command := range [][]string{
			{"events", "--eventstore=" + address}, {"audit", "--eventstore=" + address}, {"store", "prepare", "--eventstore=" + address},
			{"projections", "list", "--eventstore=" + address, "--postgres=" + pgtest.Database(t)},
			{"store", "copy", "--from=" + address, "--to=" + filepath.Join(t.TempDir(), "copy")},
		} {
			if status, out, errOut := runLine(command...); status != 0 {
				t.Errorf("%q: %d, %s%s", command, status, out, errOut)
			}
		}
	}
	// Nobody listens there: it is named as it can be written again.
	status, _, errOut := runLine("events", "--eventstore=esdb://[::1]:1?tls=false")
	if status != exitFailure || !strings.Contains(errOut, "[::1]:1:") && !strings.Contains(errOut, "[::1]:1 ") {
		t.Errorf("%d, %s", status, errOut)
	}
}
