package main

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	v1 "github.com/pas-ta/liveness/adapters/http/v1"
	"github.com/pas-ta/liveness/adapters/localpostgres/pgtest"
	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/server"
	"github.com/pas-ta/liveness/adapters/node/store"
	"github.com/pas-ta/liveness/adapters/postgres"
	"github.com/pas-ta/liveness/commands"
	"github.com/pas-ta/liveness/commands/counting"
	"github.com/pas-ta/liveness/domain"
)

// Every command that connects says what is wrong with the connection, within two seconds, and never the password.
func TestCommandsSayWhatIsWrongWithTheEventStore(t *testing.T) {
	t.Parallel()
	certified := httptest.NewUnstartedServer(nil)
	certified.StartTLS() // for its certificate
	certificate := certified.TLS.Certificates[0]
	certified.Close()
	secure := nodetest.Start(t, node.Config{
		TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, Credentials: server.Credentials{"admin": "changeit"},
	}).Addr()
	plain := nodetest.Start(t, node.Config{}).Addr()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("s", 32)), 0o600); err != nil {
		t.Fatal(err)
	}
	database := pgtest.Database(t)
	for _, command := range [][]string{
		{"events"}, {"audit"}, {"projections", "list"}, {"projections", "rebuild", "usage"}, {"projections", "compare", "usage"},
		{"metering", "reconcile"}, {"store", "prepare"},
		{"serve", "--secret-file", secret, "--product-code", "code", "--addr", "127.0.0.1:0"},
		{"work", "--secret-file", secret, "--public-url", "http://localhost", "--mail-from", "a@example.com"},
	} {
		for problem, address := range map[string]string{
			"wrong user or password": "esdb://admin:hunter2@" + secure + "?tlsVerifyCert=false",
			"authority":              "kurrentdb://admin:hunter2@" + secure,
			"tls=false":              "esdb://admin:hunter2@" + plain,
			"tls=true":               "esdb://admin:hunter2@" + secure + "?tls=false",
			"not valid":              "esdb://admin:hunter2@host:port",
		} {
			t.Run(strings.Join(command[:min(2, len(command))], " ")+": "+problem, func(t *testing.T) {
				args := append(append([]string{}, command...), "--eventstore", address)
				switch command[0] {
				case "projections", "metering", "serve", "work":
					args = append(args, "--postgres", database)
				}
				const soon = 4 * time.Second
				least := time.Hour // of three times: others use the machine too
				var status int
				var out, errOut string
				for try := 0; try < 3 && least > soon; try++ {
					begun := time.Now()
					status, out, errOut = runLine(args...)
					least = min(least, time.Since(begun))
				}
				if status != 1 || least > soon {
					t.Errorf("exit status %d after %v", status, least)
				}
				if !strings.Contains(errOut, problem) || strings.Contains(out+errOut, "hunter2") || strings.Contains(errOut, "Connect both") {
					t.Errorf("%s", errOut)
				}
			})
		}
	}
}

func TestStorePrepare(t *testing.T) {
	t.Parallel()
	uri := nodetest.Start(t, node.Config{}).ConnectionString()
	prepare := func(more ...string) (prepared preparedStore) {
		t.Helper()
		status, out, errOut := runLine(append([]string{"store", "prepare", "--eventstore", uri, "--json"}, more...)...)
		if err := json.Unmarshal([]byte(out), &prepared); status != 0 || err != nil {
			t.Fatalf("%d, %v, %s", status, err, errOut)
		}
		return prepared
	}
	first, second := prepare(), prepare()
	if !first.Groups[0].Created || first.Groups[0].Name != "account-mails" || second.Groups[0].Created || first.Granted || second.Granted || first.Version == "" {
		t.Errorf("first %+v\nsecond %+v", first, second)
	}
	if got := string(compact(t, first.Rights["$all"])); got != `{"$acl":{"$r":["$admins","liveness"]}}` {
		t.Errorf("rights on $all: %s", got)
	}
	for range 2 {
		if !prepare("--grant").Granted {
			t.Error("not granted")
		}
	}
	other := prepare("--user", "other", "--grant")
	if got := string(compact(t, other.Rights["$all"])); !other.Granted || got != `{"$acl":{"$r":["$admins","liveness","other"]}}` {
		t.Errorf("the one who was named before: %s", got)
	}
	if _, out, _ := runLine("store", "prepare", "--eventstore", uri); !strings.Contains(out, "is granted") || !strings.Contains(out, "is there already") {
		t.Errorf("%s", out)
	}
}

func compact(t *testing.T, raw json.RawMessage) []byte {
	t.Helper()
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// What serve and work try at the start leaves nothing in the log.
func TestRightsAreTriedWithoutATrace(t *testing.T) {
	t.Parallel()
	n := nodetest.Start(t, node.Config{})
	client, err := eventstoredb.Connect(n.ConnectionString(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	before, err := client.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := client.CheckRights(t.Context(), unusedStreams(domain.NewRegistry())...); err != nil {
		t.Errorf("a user who may do everything: %v", err)
	}
	page, err := n.Store().ReadAll(t.Context(), store.Forwards, before+1, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, event := range page.Events {
		if !strings.HasPrefix(event.Stream, "$") { // what the store writes by itself
			t.Errorf("left %s in %s", event.Type, event.Stream)
		}
	}
}

// Mails that do not go out on the nodes that work are a component that is down on the nodes that serve.
func TestHealthKnowsTheReactorOfOtherNodes(t *testing.T) {
	t.Parallel()
	pool := pgtest.Pool(t)
	serving := &core{pool: pool, client: &eventstoredb.Client{}}
	mails := func() (found error) {
		for _, component := range serving.components() {
			if component.Name == componentMails {
				found = component.Probe(t.Context())
			}
		}
		return found
	}
	if err := mails(); !errors.Is(err, v1.ErrUnknownState) {
		t.Errorf("before any node has worked: %v", err)
	}
	log := slog.New(slog.DiscardHandler)
	work := func(uri string) (stop func()) {
		client, err := eventstoredb.Connect(uri, log)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		reactor := mailReactors(client, domain.NewRegistry(), log)[0]
		ended := make(chan error, 1)
		go func() {
			ended <- runAll(ctx, reactor.Run, func(ctx context.Context) error {
				return reportComponent(ctx, postgres.NewComponentStates(pool), componentMails, reactor, log)
			})
		}()
		return func() {
			cancel()
			if err := errors.Join(<-ended, client.Close()); err != nil {
				t.Error(err)
			}
		}
	}
	stop := work("esdb://127.0.0.1:1?tls=false")
	eventually(t, "mails to be down", func() error {
		if err := mails(); err == nil || errors.Is(err, v1.ErrUnknownState) {
			return errors.Join(errors.New("health says"), err)
		}
		return nil
	})
	stop()
	stop = work(nodetest.Start(t, node.Config{}).ConnectionString())
	eventually(t, "mails to be up", mails)
	stop()
}

// However the store fails, a check is answered within ten seconds, and soon at once; afterwards checks are counted again.
func TestChecksWhileTheEventStoreIsDown(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(*node.Node) (mend func()){
		"it hangs":        func(n *node.Node) func() { return n.Faults().Hang() },
		"it cannot write": func(n *node.Node) func() { return n.Faults().HoldCommits() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n := nodetest.Start(t, node.Config{})
			client, err := eventstoredb.Connect(n.ConnectionString(), slog.New(slog.DiscardHandler))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = client.Close() })
			store := eventstoredb.NewStore(client, domain.NewRegistry())
			owner := counting.KeyOwner{CustomerID: uuid.New(), SubscriptionID: uuid.New(), Slot: domain.SlotPrimary}
			if _, err := store.Append(t.Context(), domain.SubscriptionStream(owner.SubscriptionID), commands.NoStream, []commands.Proposed{{
				ID: uuid.New(), Meta: domain.Metadata{OccurredAt: time.Now()},
				Event: domain.SubscriptionStarted{SubscriptionID: owner.SubscriptionID, CustomerID: owner.CustomerID, Plan: domain.PlanStarter, Limit: 1000, Overage: domain.OverageContinue},
			}}); err != nil {
				t.Fatal(err)
			}
			counter := counting.NewUsageCounter(store, nil, time.Now, slog.New(slog.DiscardHandler))
			t.Cleanup(counter.Close)
			check := func() (time.Duration, error) {
				begun := time.Now()
				ticket, err := counter.Begin(t.Context(), owner, "")
				if err == nil {
					_, err = ticket.Count(t.Context(), commands.NewOrigin(domain.ActorAPIClient), "", domain.Judgement{ValidFace: true})
					ticket.Release()
				}
				return time.Since(begun), err
			}
			if _, err := check(); err != nil {
				t.Fatal(err)
			}
			mend := fail(n)
			defer mend()
			for i := range 2 {
				if took, err := check(); !errors.Is(err, domain.ErrUnavailable) || took > 10*time.Second {
					t.Fatalf("check %d: after %v: %v", i, took, err)
				}
			}
			quick := 0
			for range 20 {
				if took, err := check(); !errors.Is(err, domain.ErrUnavailable) {
					t.Fatal(err)
				} else if took < 500*time.Millisecond {
					quick++
				}
			}
			if quick < 18 {
				t.Errorf("%d of 20 checks were refused at once", quick)
			}
			mend()
			eventually(t, "a check", func() error { _, err := check(); return err })
		})
	}
}
