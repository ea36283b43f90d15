// Package node is the embedded event-store node: a durable log behind the EventStoreDB gRPC protocol, for one machine and for
// tests. Any EventStoreDB client can use it. It knows no event of the product, and the product reaches it
// through the official client alone.
package node

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/pas-ta/liveness/adapters/node/persistent"
	"github.com/pas-ta/liveness/adapters/node/server"
	"github.com/pas-ta/liveness/adapters/node/store"
)

// closeTimeout bounds how long the parts of a closing node wait for calls to end.
const closeTimeout = 5 * time.Second

// Config says where a node listens and keeps its data.
type Config struct {
	// Addr is host:port; port 0 takes a free one. Beyond loopback TLS and Credentials are needed.
	Addr string
	// Dir is the directory of the log.
	Dir string
	// Like is the version line of EventStoreDB that the node behaves like; OwnLine by default.
	Like Line
	// TLS makes the node speak TLS; nil = plain text.
	TLS *tls.Config
	// Credentials are the users and passwords that are asked for on TLS connections.
	Credentials server.Credentials
	// Groups are the users of each group, such as $admins and $ops. Like a version line the node enforces rights with them.
	Groups server.Groups
	// Store tunes the log; its logger is Logger when nil.
	Store  store.Options
	Logger *slog.Logger
}

// Node is a running node.
type Node struct {
	store      *store.Store
	persistent *persistent.Service
	server     *server.Server
	system     *systemEvents // nil = none are written
	faults     Faults
	config     Config

	closing  sync.Once
	closeErr error
}

// Start opens the log and serves it; when it returns, clients can connect. Errors: those of store.Open, and of listening.
func Start(ctx context.Context, config Config) (_ *Node, err error) {
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Store.Logger == nil {
		config.Store.Logger = config.Logger
	}
	if err := config.check(ctx); err != nil {
		return nil, err
	}
	n := &Node{config: config}
	n.faults.node = n
	config.Like.tune(&config.Store)
	config.Store.HoldCommit = n.faults.holdCommit(config.Store.HoldCommit)
	if n.store, err = store.Open(ctx, config.Dir, config.Store); err != nil {
		return nil, err
	}
	if err := firstStart(ctx, n.store); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if n.persistent, err = persistent.NewService(ctx, n.store, config.Like.persistent(config.Logger)); err != nil {
		return nil, errors.Join(err, n.store.Close())
	}
	if n.server, err = n.listen(ctx, config.Addr); err != nil {
		return nil, errors.Join(err, n.persistent.Close(ctx), n.store.Close())
	}
	n.faults.servers = append(n.faults.servers, n.server)
	if config.Like.writesSystemEvents() {
		n.system = startSystemEvents(n.store, config.Logger, n.Addr())
	}
	return n, nil
}

// listen serves the log at an address.
func (n *Node) listen(ctx context.Context, addr string) (*server.Server, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for event store clients: %w", err)
	}
	return server.Start(listener, n.store, server.Options{
		Logger: n.config.Logger, TLS: n.config.TLS, Credentials: n.config.Credentials, Groups: n.config.Groups, Persistent: n.persistent,
		Line: n.config.Like.server(),
	}), nil
}

// firstStart writes what a new log begins with: clients that wait for a fresh server look for an event in $users.
func firstStart(ctx context.Context, s *store.Store) error {
	if s.Head() > 0 {
		return nil
	}
	id, err := uuid.NewRandom()
	if err != nil {
		return fmt.Errorf("make event id: %w", err)
	}
	_, err = s.Append(ctx, store.Write{Stream: "$users", Expected: store.ExpectAny, Events: []store.NewEvent{
		{ID: id, Type: "$User", ContentType: store.ContentTypeJSON, Data: []byte(`"admin"`)},
	}})
	return err
}

// check refuses a line that there is not, and to offer the log to other machines in plain text or to anyone.
func (c *Config) check(ctx context.Context) error {
	if _, err := ParseLine(string(c.Like)); err != nil {
		return err
	}
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("event store address %q: %w", c.Addr, err)
	}
	if c.TLS != nil && len(c.Credentials) > 0 {
		return nil
	}
	if host != "" {
		addresses, err := (&net.Resolver{}).LookupNetIP(ctx, "ip", host)
		if err != nil {
			return fmt.Errorf("event store address %q: %w", c.Addr, err)
		}
		local := len(addresses) > 0
		for _, address := range addresses {
			local = local && address.Unmap().IsLoopback()
		}
		if local {
			return nil
		}
	}
	return fmt.Errorf("event store address %q is not on loopback: other machines are served with TLS and credentials only; set both, or listen on 127.0.0.1", c.Addr)
}

// Addr is where the node listens.
func (n *Node) Addr() string { return n.server.Addr() }

// ConnectionString is what clients connect with, without credentials.
func (n *Node) ConnectionString() string {
	return fmt.Sprintf("esdb://%s?tls=%t", n.Addr(), n.config.TLS != nil)
}

// Store is the node's log, for what is done to it beside the protocol, such as a backup.
func (n *Node) Store() *store.Store { return n.store }

// Close ends open calls with UNAVAILABLE, finishes what was accepted and releases port and directory.
func (n *Node) Close() error {
	n.closing.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		// The two wait for each other: calls end when their groups do, groups when their calls do.
		ended := make(chan error, 1)
		go func() { ended <- n.persistent.Close(ctx) }()
		n.system.close()
		n.closeErr = errors.Join(n.faults.stop(ctx), <-ended, n.store.Close())
	})
	return n.closeErr
}
