package node_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
)

func start(tb testing.TB, dir string) (*node.Node, *esdb.Client) {
	tb.Helper()
	n := nodetest.Start(tb, node.Config{Dir: dir})
	return n, connect(tb, n.ConnectionString())
}

func connect(tb testing.TB, address string) *esdb.Client {
	tb.Helper()
	config, err := esdb.ParseConnectionString(address)
	if err != nil {
		tb.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = client.Close() })
	return client
}

func TestOfficialClientAppendsReadsAndSubscribes(t *testing.T) {
	t.Parallel()
	_, client := start(t, t.TempDir())
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	subscription, err := client.SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	written, err := client.AppendToStream(ctx, "account-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
		esdb.EventData{EventType: "Opened", ContentType: esdb.ContentTypeJson, Data: []byte(`{"a":1}`)},
		esdb.EventData{EventType: "Renamed", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)})
	if err != nil {
		t.Fatal(err)
	}
	if written.NextExpectedVersion != 1 || written.CommitPosition == 0 {
		t.Errorf("append = %+v, want revision 1 and a position", written)
	}
	for seen := 0; seen < 3; {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
		if message.EventAppeared != nil {
			seen++
		}
	}
	read, err := client.ReadStream(ctx, "account-1", esdb.ReadStreamOptions{Direction: esdb.Backwards, From: esdb.End{}}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	var types []string
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		types = append(types, event.Event.EventType)
	}
	if len(types) != 2 || types[0] != "Renamed" {
		t.Errorf("read backwards = %v", types)
	}
}

// A log may be opened like another line than before: what has links keeps them, and the rest gets its own.
func TestLogChangesItsLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for i, like := range []node.Line{node.OwnLine, node.Line24, node.OwnLine, node.Line23, node.Line24} {
		n, err := node.Start(t.Context(), node.Config{Addr: "127.0.0.1:0", Dir: dir, Like: like})
		if err != nil {
			t.Fatalf("like %q: %v", like, err)
		}
		client := connect(t, n.ConnectionString())
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := client.AppendToStream(ctx, "account-1", esdb.AppendToStreamOptions{},
			esdb.EventData{EventType: "Opened", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)}); err != nil {
			t.Fatal(err)
		}
		links, err := client.SubscribeToStream(ctx, "$ce-account", esdb.SubscribeToStreamOptions{From: esdb.Start{}, ResolveLinkTos: true})
		if err != nil {
			t.Fatal(err)
		}
		for next := 0; next <= i; {
			message := links.Recv()
			if message.SubscriptionDropped != nil {
				t.Fatal(message.SubscriptionDropped.Error)
			}
			if e := message.EventAppeared; e != nil {
				if e.Event == nil || e.Event.EventNumber != uint64(next) || e.Link == nil || e.Link.EventNumber != uint64(next) {
					t.Errorf("like %q link %d leads to %v", like, next, e.Event)
				}
				next++
			}
		}
		cancel()
		_ = links.Close()
		if err := n.Close(); err != nil {
			t.Errorf("like %q: %v", like, err)
		}
	}
}
