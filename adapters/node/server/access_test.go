package server_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/nodetest"
	"github.com/pas-ta/liveness/adapters/node/server"
)

// secured is a node with users: admin, ops, and reader and writer in no group.
type secured struct {
	t      *testing.T
	node   *node.Node
	caFile string
}

func startSecured(t *testing.T, line node.Line) *secured {
	t.Helper()
	s := &secured{t: t}
	config := node.Config{
		Like: line, Credentials: server.Credentials{"admin": "a", "ops": "o", "keeper": "k", "writer": "w"}, Groups: server.Groups{"$ops": {"keeper"}},
	}
	s.caFile = nodetest.Secure(t, &config)
	s.node = nodetest.Start(t, config)
	return s
}

func (s *secured) client(user string) *esdb.Client {
	s.t.Helper()
	config, err := esdb.ParseConnectionString(nodetest.ConnectionString(s.node, user, user[:1], s.caFile))
	if err != nil {
		s.t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = client.Close() })
	return client
}

func (s *secured) want(code esdb.ErrorCode, what string, err error) {
	s.t.Helper()
	var found *esdb.Error
	switch {
	case code == 0 && err == nil:
	case errors.As(err, &found) && found.Code() == code && code != 0:
	default:
		s.t.Errorf("%s: %v, want code %d", what, err, code)
	}
}

// metadata writes the metadata of a stream, as an administrator.
func (s *secured) metadata(ctx context.Context, stream, json string) {
	s.t.Helper()
	_, err := s.client("admin").AppendToStream(ctx, "$$"+stream, esdb.AppendToStreamOptions{},
		esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(json)})
	if err != nil {
		s.t.Fatal(err)
	}
}

func readAll(ctx context.Context, client *esdb.Client) error {
	read, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.Start{}}, 1)
	if err != nil {
		return err
	}
	defer read.Close()
	_, err = read.Recv()
	return err
}

func TestRights(t *testing.T) {
	t.Parallel()
	for _, line := range node.Lines() {
		s, ctx := startSecured(t, line), patient(t)
		group := func(user string) error {
			return s.client(user).CreatePersistentSubscriptionToAll(ctx, "group-"+user, esdb.PersistentAllSubscriptionOptions{})
		}
		appendTo := func(user, stream string) error {
			_, err := s.client(user).AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "T", ContentType: esdb.ContentTypeJson, Data: []byte(`{}`)})
			if errors.Is(err, io.EOF) {
				// Refused while the event was still being sent: the client reads why only of an append that has sent everything.
				_, err = s.client(user).AppendToStream(ctx, stream, esdb.AppendToStreamOptions{})
			}
			return err
		}
		s.want(0, "admin reads $all", readAll(ctx, s.client("admin")))
		s.want(esdb.ErrorCodeAccessDenied, "ops reads $all", readAll(ctx, s.client("ops")))
		s.want(esdb.ErrorCodeAccessDenied, "writer reads $all", readAll(ctx, s.client("writer")))
		s.metadata(ctx, "$all", `{"$acl":{"$r":["writer"]}}`)
		s.want(0, "writer reads $all by its metadata", readAll(ctx, s.client("writer")))

		s.want(0, "admin makes a group", group("admin"))
		s.want(0, "ops makes a group", group("ops"))
		s.want(0, "a member of $ops makes a group", group("keeper"))
		s.want(esdb.ErrorCodeAccessDenied, "writer makes a group", group("writer"))

		s.want(0, "writer appends", appendTo("writer", "orders-1"))
		s.want(esdb.ErrorCodeAccessDenied, "writer appends to a system stream", appendTo("writer", "$orders"))
		s.metadata(ctx, "orders-1", `{"$acl":{"$w":"keeper"}}`)
		s.want(esdb.ErrorCodeAccessDenied, "writer appends to a stream of somebody else", appendTo("writer", "orders-1"))
		s.want(0, "its owner appends", appendTo("keeper", "orders-1"))
		s.metadata(ctx, "$all", `{"$acl":{"$r":"keeper"}}`)
		s.want(esdb.ErrorCodeAccessDenied, "writer reads $all no more", readAll(ctx, s.client("writer")))
	}
}

// Who loses the right to what they are subscribed to is dropped on 24.
func TestRightIsRevokedWhileLive(t *testing.T) {
	t.Parallel()
	s, ctx := startSecured(t, node.Line24), patient(t)
	s.metadata(ctx, "$all", `{"$acl":{"$r":"writer"}}`)
	subscription, err := s.client("writer").SubscribeToAll(ctx, esdb.SubscribeToAllOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	for e := subscription.Recv(); e.CaughtUp == nil; e = subscription.Recv() {
		if e.SubscriptionDropped != nil {
			t.Fatal(e.SubscriptionDropped.Error)
		}
	}
	s.metadata(ctx, "$all", `{"$acl":{"$r":"keeper"}}`)
	e := subscription.Recv()
	for e.SubscriptionDropped == nil {
		e = subscription.Recv()
	}
	if status.Code(e.SubscriptionDropped.Error) != codes.PermissionDenied {
		t.Errorf("after the right was revoked: %v, want a denied permission", e.SubscriptionDropped.Error)
	}
}
