package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pas-ta/liveness/adapters/http/fairshare"
	"github.com/pas-ta/liveness/adapters/http/server"
	"github.com/pas-ta/liveness/commands/commandstest"
)

// A body that is never slow enough to be cut off for that has an end all the same.
func TestNoUploadTakesLongerThanItMay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		limits := quick
		limits.Grace, limits.MinRate, limits.Upload = time.Hour, 1, 400*time.Millisecond
		seen := make(chan error, 1)
		conn := serve(t, limits, readAll(seen))
		_, _ = fmt.Fprint(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n")
		began := time.Now()
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for {
			select {
			case err := <-seen:
				if took := time.Since(began); !errors.Is(err, os.ErrDeadlineExceeded) || took < 300*time.Millisecond {
					t.Errorf("after %v the handler sees %v, want a deadline after 400 ms", took, err)
				}
				wantClosed(t, conn)
				return
			case <-ticker.C:
				_, _ = conn.Write(make([]byte, 1000))
			}
		}
	})
}

// from connects from an address of this machine.
func from(t *testing.T, ip, address string) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}
	conn, err := dialer.Dial("tcp", address)
	if err != nil {
		t.Skipf("this machine has no address %s: %v", ip, err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		t.Fatal(err)
	}
	return conn
}

// ask sends a request and returns the status of its answer.
func ask(conn net.Conn, as string) (int, error) {
	if _, err := fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-As: %s\r\n\r\n", as); err != nil {
		return 0, err
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}

// asHeaderSays lets a request belong to whom its header names.
func asHeaderSays(_ http.ResponseWriter, r *http.Request) {
	if as := r.Header.Get("X-As"); as != "" {
		fairshare.From(r.Context()).BelongsTo(fairshare.Holder{Group: as})
	}
}

// Whoever opens all connections, idle, silent or again and again, keeps nobody else out.
func TestConnectionsOfOneAddressGiveWay(t *testing.T) {
	t.Parallel()
	limits := quick
	limits.Connections, limits.ReadHeader, limits.Idle = 8, time.Hour, time.Hour
	address, _ := start(t, limits, asHeaderSays)
	customer := from(t, "127.0.0.3", address)
	if status, err := ask(customer, "customer"); status != http.StatusOK {
		t.Fatalf("the customer: %d, %v", status, err)
	}
	var flood []net.Conn
	for range 20 {
		flood = append(flood, from(t, "127.0.0.2", address))
	}
	for i := range 3 {
		if status, err := ask(from(t, "127.0.0.4", address), ""); status != http.StatusOK {
			t.Errorf("newcomer %d: %d, %v", i, status, err)
		}
	}
	if status, err := ask(customer, "customer"); status != http.StatusOK {
		t.Errorf("the customer's connection: %d, %v", status, err)
	}
	wantClosed(t, flood[0])
	wantClosed(t, flood[19]) // one too many of those that have most already
}

// One customer's connections are its share, however many addresses it has.
func TestConnectionsOfOneCustomerGiveWay(t *testing.T) {
	t.Parallel()
	limits := quick
	limits.Connections, limits.Idle = 6, time.Hour
	address, _ := start(t, limits, asHeaderSays)
	var conns []net.Conn
	for i := range 6 {
		conn := from(t, fmt.Sprintf("127.0.1.%d", i+1), address)
		if status, err := ask(conn, "greedy"); status != http.StatusOK {
			t.Fatalf("connection %d: %d, %v", i, status, err)
		}
		conns = append(conns, conn)
	}
	if status, err := ask(conns[0], "greedy"); status != http.StatusOK { // used last
		t.Fatal(status, err)
	}
	for _, as := range []string{"modest", ""} {
		if status, err := ask(from(t, "127.0.2.1", address), as); status != http.StatusOK {
			t.Errorf("%q: %d, %v", as, status, err)
		}
	}
	wantClosed(t, conns[1])
	wantClosed(t, conns[2])
	if status, err := ask(conns[0], "greedy"); status != http.StatusOK {
		t.Errorf("the connection that was used last: %d, %v", status, err)
	}
}

// A connection that gives way while it is answered is answered, and closed then. What is left of its body is not waited for.
func TestARequestUnderWayGivesWay(t *testing.T) {
	t.Parallel()
	limits := quick
	limits.Connections, limits.Stall, limits.Grace, limits.Idle = 2, time.Hour, time.Hour, time.Hour
	reading := make(chan struct{})
	address, _ := start(t, limits, func(w http.ResponseWriter, r *http.Request) {
		asHeaderSays(w, r)
		if r.Method == http.MethodPost {
			close(reading)
			_, err := io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
			if !errors.Is(err, os.ErrDeadlineExceeded) || !fairshare.GaveWay(r.Context()) {
				t.Errorf("the handler sees %v and %v", err, r.Context().Err())
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	slow := from(t, "127.0.0.2", address)
	_, _ = fmt.Fprint(slow, "POST / HTTP/1.1\r\nHost: x\r\nX-As: slow\r\nContent-Length: 1000\r\n\r\nthe beginning")
	<-reading
	if status, err := ask(from(t, "127.0.0.2", address), "slow"); status != http.StatusOK {
		t.Fatal(status, err)
	}
	if status, err := ask(from(t, "127.0.0.3", address), "other"); status != http.StatusOK {
		t.Errorf("the other: %d, %v", status, err)
	}
	if answer := wantClosed(t, slow); !strings.HasPrefix(answer, "HTTP/1.1 503") {
		t.Errorf("who gave way is told %q", answer)
	}
}

// What comes through a proxy counts for the clients that it names, and only while it is answered.
func TestConnectionsOfProxiesAreNotCounted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ listen, proxy, trusted, one, other string }{
		{"127.0.0.1", "127.0.0.9", "127.0.0.9/32", "192.0.2.1", "192.0.2.2"},
		{"::1", "::1", "::1/128", "2001:db8:0:1::1", "2001:db8:0:2::1"},
	} {
		t.Run(test.trusted, func(t *testing.T) {
			t.Parallel()
			if listener, err := net.Listen("tcp", net.JoinHostPort(test.listen, "0")); err != nil {
				t.Skipf("this machine has no address %s: %v", test.listen, err)
			} else {
				_ = listener.Close()
			}
			limits := quick
			limits.Connections, limits.Idle = 2, time.Hour
			limits.TrustedProxies = []netip.Prefix{netip.MustParsePrefix(test.trusted)}
			entered, leave := make(chan string, 3), make(chan struct{})
			address, _ := startOn(t, test.listen, limits, func(_ http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/hold" {
					entered <- r.Header.Get("X-Forwarded-For")
					select {
					case <-leave:
					case <-r.Context().Done():
					}
				}
			})
			for range 5 {
				if status, err := ask(from(t, test.proxy, address), ""); status != http.StatusOK {
					t.Fatalf("an idle proxy connection is counted: %d, %v", status, err)
				}
			}
			hold := func(client string) net.Conn {
				conn := from(t, test.proxy, address)
				_, _ = fmt.Fprintf(conn, "GET /hold HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: %s\r\n\r\n", client)
				return conn
			}
			first, second := hold(test.one), hold(test.one)
			<-entered
			<-entered
			third := hold(test.one)
			if line, err := bufio.NewReader(third).ReadString('\n'); err != nil || !strings.Contains(line, "503") {
				t.Errorf("one too many of a client: %q, %v", line, err)
			}
			other := hold(test.other)
			if who := <-entered; who != test.other {
				t.Errorf("%s entered", who)
			}
			close(leave)
			for _, conn := range []net.Conn{first, second, other} {
				if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
					t.Errorf("%q, %v", line, err)
				}
			}
		})
	}
}

// A proxy that nobody has named is told of, and one that is named is not.
func TestAProxyThatIsNotTrustedIsTold(t *testing.T) {
	t.Parallel()
	for name, trusted := range map[string][]netip.Prefix{"not trusted": nil, "trusted": {netip.MustParsePrefix("127.0.0.1/32")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			log := &commandstest.Lines{}
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := server.New(http.NotFoundHandler(), server.Limits{TrustedProxies: trusted}, slog.New(slog.NewTextHandler(log, nil)))
			go func() { _ = served.Serve(t.Context(), listener) }()
			conn := dial(t, listener.Addr().String())
			answers := bufio.NewReader(conn)
			for n := range 150 {
				_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 192.0.2.%d\r\n\r\n", n%100+1)
				answer, err := http.ReadResponse(answers, nil)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, answer.Body)
				_ = answer.Body.Close()
			}
			if warned := strings.Contains(log.String(), "--trusted-proxies"); warned != (trusted == nil) {
				t.Errorf("the log says %q", log)
			}
		})
	}
}
