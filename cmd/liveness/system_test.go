package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pas-ta/liveness/adapters/http/apidocs"
	"github.com/pas-ta/liveness/adapters/http/requestid"
	"github.com/pas-ta/liveness/adapters/http/server"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/subscriptions"
	"github.com/pas-ta/liveness/projections/lease"
)

// docs serves as the documentation does, and answers in its own way.
type docs struct{ http.Handler }

func (docs) Serves(r *http.Request) bool {
	pages, err := apidocs.New(&url.URL{Scheme: "https", Host: "liveness.example.com"})
	return err == nil && pages.Serves(r)
}

func TestAddressesAreTakenAsTheyAre(t *testing.T) {
	t.Parallel()
	says := func(name string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, name) })
	}
	site := routes(says("api"), says("screens"), docs{says("docs")}, says("log"))
	for address, want := range map[string]string{
		"POST /v1/check/liveness": "api", "POST /v1//check/liveness": "api", "GET /v1": "api", "GET /v1/../v1/usage": "api",
		"GET /consoles": "api", "POST /": "api", "GET //example.com": "api", "GET /favicon.ico": "api",
		"GET /": "screens", "HEAD /": "screens", "GET /login": "screens", "GET /Console": "screens", "GET /Console/Keys": "screens", "POST /login": "api",
		"GET /console": "screens", "GET /console/": "screens", "POST /console/login": "screens", "GET /console//login": "screens",
		"GET /docs": "docs", "GET /docs/errors/quota_exceeded": "docs", "GET /openapi.json": "docs", "GET /docs//errors": "api", "POST /docs": "api",
		"POST /marketplace/register":   "screens",
		"GET /transparency/checkpoint": "log", "POST /transparency/": "log", "GET /transparency": "api", "GET /transparency//tile/0/000": "log",
	} {
		method, path, _ := strings.Cut(address, " ")
		r := httptest.NewRequest(method, "/", nil)
		r.URL.Path = path
		answer := httptest.NewRecorder()
		site.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK || answer.Body.String() != want {
			t.Errorf("%s: %d %q, want %q", address, answer.Code, answer.Body, want)
		}
	}
}

// Whatever is asked for, the answer names its request, each by an id of its own.
func TestEveryAnswerNamesItsRequest(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	part := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen[requestid.From(r.Context()).String()] = true })
	site := routes(http.NotFoundHandler(), part, docs{part}, part) // the API names its answers itself
	for _, address := range []string{"/", "/login", "/console/keys", "/docs", "/openapi.json", "/transparency/checkpoint", "/docs"} {
		r, answer := httptest.NewRequest(http.MethodGet, address, nil), httptest.NewRecorder()
		r.Header.Set("X-Request-Id", "0197f3a2-5d1e-7c3b-9f00-5a6b7c8d9e0f") // the caller's is not ours
		before := len(seen)
		site.ServeHTTP(answer, r)
		if id := answer.Header().Get("X-Request-Id"); !seen[id] || len(seen) != before+1 {
			t.Errorf("%s: %q, and its handler knows %v", address, id, seen)
		}
	}
}

// Every answer of a site that is reached by https says so to browsers, the API's and refusals too; that of no other does.
func TestStrictTransportIsSaidEverywhere(t *testing.T) {
	t.Parallel()
	answers := func(status int) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
	}
	for scheme, want := range map[string]string{"https": "max-age=31536000; includeSubDomains", "http": ""} {
		for _, status := range []int{http.StatusOK, http.StatusSeeOther, http.StatusNotFound, http.StatusServiceUnavailable} {
			site := serveSite(t, &url.URL{Scheme: scheme, Host: "liveness.example.com"}, routes(answers(status), answers(status), docs{answers(status)}, answers(status)))
			for _, address := range []string{"/v1/check/liveness", "/v1/usage", "/v1/health", "/v1/nothing", "/elsewhere", "/", "/console/login", "/marketplace/register", "/transparency/checkpoint", "/%zz"} {
				conn, err := net.Dial("tcp", site)
				if err != nil {
					t.Fatal(err)
				}
				_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", address)
				answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
				if err != nil {
					t.Fatal(err)
				}
				if got := answer.Header.Get("Strict-Transport-Security"); got != want {
					t.Errorf("%s over %s, answered %d: %q, want %q", address, scheme, answer.StatusCode, got, want)
				}
				_ = answer.Body.Close()
				_ = conn.Close()
			}
		}
	}
}

// serveSite serves until the test ends, and returns where.
func serveSite(t *testing.T, public *url.URL, site http.Handler) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() {
		ended <- newServer(public, site, server.Limits{}, slog.New(slog.DiscardHandler)).Serve(ctx, listener)
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Addr().String()
}

// A process that was killed holds its lock for a moment longer.
func TestLockIsWaitedFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	unlock, err := lockData(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	hurried, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := lockData(hurried, dir); err == nil || !strings.Contains(err.Error(), "--data") {
		t.Errorf("a second process: %v, want to be told what to do", err)
	}
	time.AfterFunc(100*time.Millisecond, unlock)
	again, err := lockData(t.Context(), dir)
	if err != nil {
		t.Fatalf("after the first has gone: %v", err)
	}
	again()
}

// TestWorkerTakesItsTurnsInOneSession: each session costs a server of Postgres, which the first check after a start waits for.
func TestWorkerTakesItsTurnsInOneSession(t *testing.T) {
	t.Parallel()
	w := newMeteredWorld(t, time.Now().UTC(), 10)
	core, err := openCore(t.Context(), w.log, w.address, w.pool.Config().ConnString(), commands.OneSecret(strings.Repeat("s", 32)))
	w.must(err)
	t.Cleanup(core.close)
	mails, err := core.accountMails(&mailService{}, &url.URL{Scheme: "https", Host: "liveness.example"}, "support@liveness.example")
	w.must(err)
	worker, err := core.openWorker(mails, reportingConfig{
		aws: w.settings, productCode: devProductCode, every: devMeterEvery, bound: subscriptions.DefaultEndingBound,
	}, TransparencyFlags{}, newRegistry())
	w.must(err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- worker.run(ctx) }()
	turns := []string{"usage notices", "usage reporting", "entitlement comparison"}
	eventually(t, "the turns", func() error {
		var taken, sessions int
		w.must(w.pool.QueryRow(t.Context(), "select count(*), count(distinct backend) from leases where name = any ($1)", turns).Scan(&taken, &sessions))
		if taken < len(turns) {
			return fmt.Errorf("%d of 3 are taken", taken)
		}
		if sessions != 1 {
			t.Errorf("3 turns are taken in %d sessions", sessions)
		}
		return nil
	})
	cancel()
	w.must(<-ended)
	eventually(t, "the end of the turns", func() error {
		holders, err := lease.Holders(t.Context(), w.pool)
		w.must(err)
		for _, name := range turns {
			if _, held := holders[name]; held {
				return errors.New(name + " is still held")
			}
		}
		return nil
	})
}
