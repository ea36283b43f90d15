package docs_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/awaittest"
	"github.com/pas-ta/liveness/adapters/http/clientaddress"
	"github.com/pas-ta/liveness/adapters/http/server"
)

// asNode makes the test binary run as a node that is told its address and generation: what matters to a proxy is the server, not
// what it serves.
const asNode = "LIVENESS_TEST_AS_NODE"

// The addresses of the tests. Proxies reach the nodes from 127.0.0.1.
const (
	caller        = "127.0.0.5"
	frontBalancer = "127.0.0.7"
)

// runNode serves until it is stopped. It answers with the body it was sent, where the request comes from, and its generation.
func runNode(told string) int {
	address, generation, _ := strings.Cut(told, " ")
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix(frontBalancer + "/32")}
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v1/ready" {
			if server.Draining(r.Context()) {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
			return
		}
		body, err := io.ReadAll(r.Body)
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		<-time.After(5 * time.Millisecond) // as if it were judged, so that many are under way
		w.Header().Set("X-Generation", generation)
		w.Header().Set("X-Caller", clientaddress.Of(r, trusted).String())
		_, _ = w.Write(body)
	})
	limits := server.Limits{Drain: 3 * time.Second, TrustedProxies: trusted}
	if err := server.New(handler, limits, slog.New(slog.DiscardHandler)).Serve(ctx, listener); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// node is a server that is stopped and started again at one address.
type node struct {
	address    string
	generation int
	running    *exec.Cmd
}

func (n *node) start(t *testing.T) {
	t.Helper()
	n.generation++
	n.running = exec.Command(os.Args[0])
	n.running.Env = append(os.Environ(), fmt.Sprintf("%s=%s %s", asNode, n.address, n.name()))
	n.running.Stderr = t.Output()
	if err := n.running.Start(); err != nil {
		t.Fatal(err)
	}
	awaittest.Until(t, "the node "+n.name(), func() bool { return awaittest.Reachable(n.address) })
}

// name is what the node answers with.
func (n *node) name() string { return n.address + "#" + strconv.Itoa(n.generation) }

// stop has the node take leave, and waits for its end.
func (n *node) stop(t *testing.T) {
	t.Helper()
	if err := n.running.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := n.running.Wait(); err != nil {
		t.Errorf("%s: %v", n.name(), err)
	}
}

// proxy is one whose configuration ships.
type proxy struct {
	program string
	file    string
	listens [2]string // what the file says, and what the test says for an address
	ours    []string  // further replacements; DIR is a folder of the test's own
	args    []string  // FILE and DIR
}

var proxies = map[string]proxy{
	"nginx": {
		program: "nginx", file: "nginx.conf", listens: [2]string{"listen 8080;", "listen ADDRESS;"},
		ours: []string{"http {\n", "http {\nclient_body_temp_path DIR/1; proxy_temp_path DIR/2; fastcgi_temp_path DIR/3; uwsgi_temp_path DIR/4; scgi_temp_path DIR/5;\n"},
		args: []string{"-e", "stderr", "-c", "FILE", "-g", "daemon off; pid DIR/pid;"},
	},
	"haproxy": {program: "haproxy", file: "haproxy.cfg", listens: [2]string{"bind :8080", "bind ADDRESS"}, args: []string{"-db", "-f", "FILE"}},
	"caddy": {
		program: "caddy", file: "Caddyfile", listens: [2]string{"\n:8080 {", "\nhttp://ADDRESS {"},
		ours: []string{"trusted_proxies 10.0.0.0/16", "trusted_proxies " + frontBalancer + "/32"},
		args: []string{"run", "--adapter", "caddyfile", "--config", "FILE"},
	},
	"apache": {
		program: "apache2", file: "apache.conf", listens: [2]string{"Listen 8080", "Listen ADDRESS"},
		ours: []string{"/run/apache2", "DIR"},
		args: []string{"-D", "FOREGROUND", "-f", "FILE"},
	},
}

// start runs the proxy before two nodes and returns its address.
func (p proxy) start(t *testing.T, first, second string) string {
	t.Helper()
	program, err := exec.LookPath(p.program)
	if err != nil {
		if os.Getenv("LIVENESS_PROXIES") != "" { // .ci/run has installed it
			t.Fatal(err)
		}
		t.Skipf("%s is not installed", p.program)
	}
	dir, address := t.TempDir(), awaittest.FreeAddress(t)
	text := contents(t, "deploy/proxies", p.file) + "\n"
	for _, needed := range append([]string{p.listens[0], "api1.internal:8080", "api2.internal:8080"}, everySecond(p.ours)...) {
		if !strings.Contains(text, needed) {
			t.Fatalf("%s does not say %q", p.file, needed)
		}
	}
	text = strings.NewReplacer(append([]string{p.listens[0], p.listens[1], "api1.internal:8080", first, "api2.internal:8080", second}, p.ours...)...).Replace(text)
	place := strings.NewReplacer("ADDRESS", address, "DIR", dir, "FILE", filepath.Join(dir, p.file))
	if err := os.WriteFile(filepath.Join(dir, p.file), []byte(place.Replace(text)), 0o600); err != nil {
		t.Fatal(err)
	}
	var args []string
	for _, arg := range p.args {
		args = append(args, place.Replace(arg))
	}
	command := exec.CommandContext(t.Context(), program, args...)
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) } // some have shared memory to give back
	command.WaitDelay = 5 * time.Second
	command.Env = append(os.Environ(), "HOME="+dir, "XDG_CONFIG_HOME="+dir, "XDG_DATA_HOME="+dir)
	command.Stdout, command.Stderr = t.Output(), t.Output()
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // some leave workers behind
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = command.Wait()
		_ = syscall.Kill(-command.Process.Pid, syscall.SIGKILL)
	})
	awaittest.Until(t, p.program, func() bool { return awaittest.Reachable(address) })
	return address
}

func everySecond(pairs []string) (firsts []string) {
	for i := 0; i < len(pairs); i += 2 {
		firsts = append(firsts, pairs[i])
	}
	return firsts
}

// from returns a client that connects from an address.
func from(address string, connections int) *http.Client {
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	return &http.Client{Transport: &http.Transport{DialContext: dialer.DialContext, MaxIdleConnsPerHost: connections}, Timeout: 2 * time.Minute}
}

// send sends a body through the proxy and returns who has answered, and whom it took for the caller.
func send(client *http.Client, address, claimed string, body []byte) (node, callerSeen string, err error) {
	request, err := http.NewRequest(http.MethodPost, "http://"+address+"/v1/check/liveness", bytes.NewReader(body))
	if err != nil {
		return "", "", err
	}
	if claimed != "" {
		request.Header.Set("X-Forwarded-For", claimed)
	}
	response, err := client.Do(request)
	if err != nil {
		return "", "", err
	}
	defer func() { _ = response.Body.Close() }()
	got, err := io.ReadAll(response.Body)
	if err == nil && (response.StatusCode != http.StatusOK || !bytes.Equal(got, body)) {
		err = fmt.Errorf("%s: %.200s", response.Status, got)
	}
	return response.Header.Get("X-Generation"), response.Header.Get("X-Caller"), err
}

// Behind each proxy, as it is configured in deploy/proxies, all nodes are restarted under load, and no request fails. Callers cannot
// choose whom they are taken for; a balancer in front may tell. LIVENESS_RESTARTS says how often a node is restarted, LIVENESS_CLIENTS
// how many send at once.
func TestNodesAreReplacedBehindProxies(t *testing.T) {
	t.Parallel()
	for name, proxy := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			nodes := []*node{{address: awaittest.FreeAddress(t)}, {address: awaittest.FreeAddress(t)}}
			address := proxy.start(t, nodes[0].address, nodes[1].address)
			for _, n := range nodes {
				n.start(t)
				t.Cleanup(func() { _ = n.running.Process.Kill() })
			}
			awaittest.Until(t, "answers through "+name, func() bool {
				_, _, err := send(from(caller, 1), address, "", nil)
				return err == nil
			})
			for seenAs, sent := range map[string][2]string{caller: {caller, "6.6.6.6"}, "203.0.113.9": {frontBalancer, "203.0.113.9"}} {
				if _, got, err := send(from(sent[0], 1), address, sent[1], nil); err != nil || got != seenAs {
					t.Errorf("from %s, forwarded for %s: taken for %s, want %s (%v)", sent[0], sent[1], got, seenAs, err)
				}
			}
			load := startLoad(t, address)
			for restart := range number(t, "LIVENESS_RESTARTS", 2) {
				for _, n := range nodes { // only once both have answered may one of them go
					awaittest.Until(t, n.name()+" to be sent requests", func() bool { return load.answeredBy(n.name()) })
				}
				n := nodes[restart%2]
				n.stop(t)
				n.start(t)
			}
			load.stop()
			t.Logf("%s: %d requests, %d failed", name, load.sent.Load(), load.failed.Load())
		})
	}
}

func number(t *testing.T, variable string, otherwise int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	value, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

// load is clients that send one request after the other.
type load struct {
	sent, failed atomic.Int64
	nodes        sync.Map // that have answered
	end          context.CancelFunc
	clients      sync.WaitGroup
}

func (l *load) answeredBy(node string) bool {
	_, ok := l.nodes.Load(node)
	return ok
}

func (l *load) stop() {
	l.end()
	l.clients.Wait()
}

func startLoad(t *testing.T, address string) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{end: cancel}
	t.Cleanup(l.stop)
	clients := number(t, "LIVENESS_CLIENTS", 8)
	client := from(caller, clients)
	body := bytes.Repeat([]byte("photo"), 2000)
	for range clients {
		l.clients.Go(func() {
			for ctx.Err() == nil {
				node, _, err := send(client, address, "", body)
				l.sent.Add(1)
				if err != nil {
					l.failed.Add(1)
					t.Error(errors.Join(errors.New("a request failed while nodes were replaced"), err))
					continue
				}
				l.nodes.Store(node, true)
			}
		})
	}
	return l
}
