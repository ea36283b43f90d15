package server_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/server"
	"github.com/pas-ta/liveness/adapters/node/store"
)

func get(t *testing.T, client *http.Client, url string) int {
	t.Helper()
	request, err := http.NewRequestWithContext(patient(t), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestHealthIsOnTheSamePort(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	for path, want := range map[string]int{"/health/live": http.StatusNoContent, "/": http.StatusNotFound} {
		if got := get(t, http.DefaultClient, "http://"+n.Addr()+path); got != want {
			t.Errorf("GET %s = %d, want %d", path, got, want)
		}
	}
}

func TestTLSAndCredentials(t *testing.T) {
	t.Parallel()
	cert, pool := nodetest.Certificate(t)
	n := start(t, func(c *node.Config) {
		c.Addr = "0.0.0.0:0" // beyond loopback, as both are set
		c.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
		c.Credentials = server.Credentials{"admin": "changeit"}
	})
	_, port, err := net.SplitHostPort(n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, both := range []bool{false, true} { // what else a client can speak, HTTP/1.1 answers it
		web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: both}}
		if got := get(t, web, "https://127.0.0.1:"+port+"/health/live"); got != http.StatusNoContent {
			t.Errorf("health over TLS = %d, HTTP/2 offered: %t", got, both)
		}
		web.CloseIdleConnections()
	}
	for user, want := range map[string]esdb.ErrorCode{
		"admin:changeit@": esdb.ErrorCodeResourceNotFound, "admin:wrong@": esdb.ErrorCodeUnauthenticated, "nobody:changeit@": esdb.ErrorCodeUnauthenticated, "": esdb.ErrorCodeUnauthenticated,
	} {
		config, err := esdb.ParseConnectionString("esdb://" + user + "127.0.0.1:" + port + "?tls=true")
		if err != nil {
			t.Fatal(err)
		}
		config.RootCAs, config.Logger = pool, esdb.NoopLogging()
		client, err := esdb.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		defer client.Close()
		read, err := client.ReadStream(patient(t), "missing", esdb.ReadStreamOptions{}, 1)
		if err == nil {
			_, err = read.Recv()
			read.Close()
		}
		var got *esdb.Error
		if !errors.As(err, &got) || got.Code() != want {
			t.Errorf("read as %q = %v, want code %d", user, err, want)
		}
	}
}

func TestOtherMachinesNeedTLSAndCredentials(t *testing.T) {
	t.Parallel()
	cert, _ := nodetest.Certificate(t)
	secured := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	for name, config := range map[string]node.Config{
		"plain text":     {Addr: "0.0.0.0:0"},
		"all interfaces": {Addr: ":0"},
		"TLS alone":      {Addr: "0.0.0.0:0", TLS: secured},
		"password alone": {Addr: "[::]:0", Credentials: server.Credentials{"a": "b"}},
		"no port":        {Addr: "127.0.0.1"},
	} {
		config.Dir = t.TempDir()
		n, err := node.Start(t.Context(), config)
		if err == nil {
			t.Errorf("%s: node listens on %s", name, n.Addr())
			_ = n.Close()
		}
	}
}

func TestWithoutTLSCredentialsAreIgnored(t *testing.T) {
	t.Parallel()
	client := streams.NewStreamsClient(dial(t, start(t, nil)))
	ctx := metadata.AppendToOutgoingContext(patient(t), "authorization", "Basic !nonsense", "requires-leader", "true", "connection-name", "x")
	if _, err := client.Delete(ctx, &streams.DeleteReq{Options: &streams.DeleteReq_Options{
		StreamIdentifier: named("s"), ExpectedStreamRevision: &streams.DeleteReq_Options_Any{Any: &shared.Empty{}},
	}}); err != nil {
		t.Error(err)
	}
}

func TestGossipNamesWhatTheClientDialled(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	_, port, err := net.SplitHostPort(n.Addr())
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, n, grpc.WithAuthority("localhost:"+port))
	info, err := gossip.NewGossipClient(conn).Read(patient(t), &shared.Empty{})
	if err != nil {
		t.Fatal(err)
	}
	if len(info.GetMembers()) != 1 {
		t.Fatalf("%d members", len(info.GetMembers()))
	}
	if m := info.GetMembers()[0]; m.GetState() != gossip.MemberInfo_Leader || !m.GetIsAlive() || m.GetHttpEndPoint().GetAddress() != "localhost" ||
		m.GetInstanceId().GetStructured() == nil || m.GetTimeStamp() == 0 {
		t.Errorf("member = %v", m)
	}
}

// TestPingsWithoutCallsAreTolerated speaks HTTP/2 by hand: the client library cannot be made to ping often enough to meet the
// default policy, which closes the connection at the third ping without a call.
func TestPingsWithoutCallsAreTolerated(t *testing.T) {
	t.Parallel()
	conn, err := (&net.Dialer{}).DialContext(patient(t), "tcp", start(t, nil).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(waitTimeout)); err != nil {
		t.Fatal(err)
	}
	const settings, ping, goAway, ack = 4, 6, 7, 1
	frame := func(kind, flags byte, payload ...byte) []byte {
		return append([]byte{0, 0, byte(len(payload)), kind, flags, 0, 0, 0, 0}, payload...)
	}
	if _, err := conn.Write(append([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(settings, 0)...)); err != nil {
		t.Fatal(err)
	}
	every := time.NewTicker(150 * time.Millisecond)
	defer every.Stop()
	for n := range byte(6) {
		<-every.C
		if _, err := conn.Write(frame(ping, 0, n, 0, 0, 0, 0, 0, 0, 0)); err != nil {
			t.Fatalf("ping %d: %v", n, err)
		}
		for answered := false; !answered; {
			var header [9]byte
			if _, err := io.ReadFull(conn, header[:]); err != nil {
				t.Fatalf("ping %d: %v", n, err)
			}
			payload := make([]byte, int(header[0])<<16|int(header[1])<<8|int(header[2]))
			if _, err := io.ReadFull(conn, payload); err != nil {
				t.Fatalf("ping %d: %v", n, err)
			}
			if header[3] == goAway {
				t.Fatalf("ping %d was answered with GOAWAY %q", n, payload)
			}
			answered = header[3] == ping && header[4] == ack && payload[0] == n
		}
	}
}

func TestStopEndsOpenCallsAsUnavailable(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	client := streams.NewStreamsClient(dial(t, n))
	subscription, err := client.Read(patient(t), subscribeAll())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := subscription.Recv(); err != nil {
		t.Fatal(err)
	}
	batch, err := client.BatchAppend(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.Send(&streams.BatchAppendReq{}); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	for err = nil; err == nil; {
		_, err = subscription.Recv()
	}
	if status.Code(err) != codes.Unavailable {
		t.Errorf("subscription ended with %v, want UNAVAILABLE", err)
	}
	if err := n.Close(); err != nil {
		t.Errorf("second close: %v", err)
	}
}

func TestSlowSubscriberHoldsNothingUp(t *testing.T) {
	t.Parallel()
	n := start(t, nil)
	client := streams.NewStreamsClient(dial(t, n))
	slow, err := client.Read(patient(t), subscribeAll())
	if err != nil {
		t.Fatal(err)
	}
	const writes = 60
	for range writes { // far more than the connection buffers
		write(t, client, "big-1", 1<<19)
	}
	fast, err := client.Read(patient(t), subscribeAll())
	if err != nil {
		t.Fatal(err)
	}
	for name, subscription := range map[string]streams.Streams_ReadClient{"fast": fast, "slow": slow} {
		last := uint64(0)
		for seen := 0; seen < writes; {
			message, err := subscription.Recv()
			if name == "slow" && nodetest.Line(t) == node.Line23 && status.Code(err) == codes.Aborted {
				break // TestSlowLiveReader
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			event := message.GetEvent().GetEvent()
			if event == nil || string(event.GetStreamIdentifier().GetStreamName()) != "big-1" {
				continue
			}
			if event.GetStreamRevision() != uint64(seen) || event.GetCommitPosition() <= last {
				t.Fatalf("%s: revision %d after %d events", name, event.GetStreamRevision(), seen)
			}
			last = event.GetCommitPosition()
			seen++
		}
	}
}

func TestIdleSubscriptionsCostNothing(t *testing.T) { //nolint:paralleltest // It measures the process.
	n := start(t, nil)
	client := streams.NewStreamsClient(dial(t, n))
	write(t, client, "s-1", 1)
	before := runtime.NumGoroutine()
	ctx, cancel := context.WithCancel(patient(t))
	defer cancel()
	for range 200 {
		subscription, err := client.Read(ctx, subscribeAll())
		if err != nil {
			t.Fatal(err)
		}
		for caughtUp := false; !caughtUp; {
			message, err := subscription.Recv()
			if err != nil {
				t.Fatal(err)
			}
			caughtUp = message.GetCaughtUp() != nil
		}
	}
	used := func() time.Duration {
		var usage syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
			t.Fatal(err)
		}
		return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	for giveUp := time.Now().Add(waitTimeout); ; { // what their beginning has left to do may come first
		begin := used()
		<-time.After(400 * time.Millisecond)
		spent := used() - begin
		if spent <= 100*time.Millisecond {
			break
		}
		if time.Now().After(giveUp) {
			t.Fatalf("200 idle subscriptions use %s of processor time in 400 ms", spent)
		}
	}
	cancel()
	for deadline := time.Now().Add(waitTimeout); runtime.NumGoroutine() > before+20; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d goroutines are left of 200 cancelled subscriptions, %d were there before", runtime.NumGoroutine(), before)
		}
	}
}

func TestFullDiskIsAnErrorToTheWriter(t *testing.T) {
	t.Parallel()
	n := start(t, func(c *node.Config) { c.Store = store.Options{MaxPages: 60} })
	client := streams.NewStreamsClient(dial(t, n))
	call, err := client.Append(patient(t))
	if err != nil {
		t.Fatal(err)
	}
	for _, request := range []*streams.AppendReq{appendAny("s"), proposed(500_000)} {
		if err := call.Send(request); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := call.CloseAndRecv(); status.Code(err) != codes.ResourceExhausted {
		t.Errorf("append to a full store = %v, want RESOURCE_EXHAUSTED", err)
	}
	request := subscribeAll()
	request.GetOptions().CountOption = &streams.ReadReq_Options_Count{Count: 10}
	read, err := client.Read(patient(t), request)
	if err != nil {
		t.Fatal(err)
	}
	if message, err := read.Recv(); err != nil || message.GetEvent() == nil {
		t.Errorf("read of a full store = %v, %v", message, err)
	}
}
