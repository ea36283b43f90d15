// Package server speaks the EventStoreDB gRPC protocol for the embedded event-store node: streams, server features, gossip and
// the health page, all on one port. It translates: what is durable, and in which order, the store decides.
package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"slices"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/adapters/node/store"
)

const (
	// maxMessage is the largest request; an append beyond its own limit is answered, not cut off.
	maxMessage = 17 << 20
	// maxCalls bounds the calls, subscriptions included, of one connection.
	maxCalls = 8192
	// streamWorkers is how many goroutines are kept for calls; more calls than that get one of their own.
	streamWorkers = 64
	// window is how much a client may send ahead of what has been read, in bytes.
	window = 4 << 20
	// stopTimeout is how long calls get to end by themselves when the server stops.
	stopTimeout = 2 * time.Second
)

// Options of a server.
type Options struct {
	Logger *slog.Logger
	// TLS makes the server speak TLS; nil = plain text, where no call is authenticated.
	TLS *tls.Config
	// Credentials, with TLS, are asked for of every call but the first ones of a connection.
	Credentials Credentials
	// Groups are the groups of the users; they matter where Line enforces rights.
	Groups Groups
	// Line is what the node does as the servers of a version line do; nil = as it does by itself.
	Line *Line
	// Persistent serves persistent subscriptions; nil = they are not announced.
	Persistent persistent.PersistentSubscriptionsServer
}

// Server serves one store on one listener.
type Server struct {
	log      *slog.Logger
	address  net.Addr
	grpc     *grpc.Server
	plain    *http.Server
	splitter *splitter
	faults   Faults
	streams  *Streams
	stopping context.Context
	stop     context.CancelCauseFunc
	running  errgroup.Group
}

// Start serves the store on a listener, which it closes when it stops.
func Start(listener net.Listener, s *store.Store, options Options) *Server {
	server := &Server{log: options.Logger, address: listener.Addr()}
	server.stopping, server.stop = context.WithCancelCause(context.Background())
	gate := &gate{}
	var config *tls.Config
	if options.TLS != nil {
		gate = newGate(options.Credentials)
		config = overOnePort(options.TLS)
	}
	server.splitter = newSplitter(listener, config, &server.faults)
	access := newAccess(s, options.Line, &options)
	admit := func(ctx context.Context, method string) (context.Context, error) {
		caller, err := gate.check(ctx, method)
		if err == nil {
			err = server.faults.admit(ctx, method)
		}
		if access != nil {
			ctx = context.WithValue(ctx, userKey{}, caller)
		}
		return ctx, err
	}
	server.grpc = grpc.NewServer(
		grpc.MaxRecvMsgSize(maxMessage),
		grpc.MaxConcurrentStreams(maxCalls),
		grpc.WriteBufferSize(128<<10),
		// Goroutines that are kept have grown their stacks already; a new one per call grows it anew.
		grpc.NumStreamWorkers(streamWorkers),
		// Fixed windows spare the pings that would measure how large they had better be.
		grpc.InitialWindowSize(window), grpc.InitialConnWindowSize(window),
		// The clients ping every 10 s, also with no call open; the default policy would close their connections.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 100 * time.Millisecond, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: 30 * time.Second, Timeout: 20 * time.Second}),
		grpc.UnaryInterceptor(func(ctx context.Context, request any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (response any, err error) {
			if ctx, err = admit(ctx, info.FullMethod); err != nil {
				return nil, err
			}
			if err := access.check(ctx, request); err != nil {
				return nil, answer(ctx, err)
			}
			defer server.recover(info.FullMethod, &err)
			return handler(ctx, request)
		}),
		grpc.StreamInterceptor(func(service any, call grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
			ctx, err := admit(call.Context(), info.FullMethod)
			if err != nil {
				return err
			}
			defer server.recover(info.FullMethod, &err)
			ctx, cancel := context.WithCancelCause(ctx)
			defer cancel(nil)
			defer context.AfterFunc(server.stopping, func() { cancel(errStopping) })()
			return handler(service, &stoppableCall{ServerStream: call, ctx: ctx, cancel: cancel, access: access})
		}),
	)
	server.streams = &Streams{store: s, line: options.Line, faults: &server.faults}
	streams.RegisterStreamsServer(server.grpc, server.streams)
	serverfeatures.RegisterServerFeaturesServer(server.grpc, &features{version: options.Line.serverVersion(), persistent: options.Persistent != nil})
	gossip.RegisterGossipServer(server.grpc, &gossipService{instance: s.Instance(), address: listener.Addr(), faults: &server.faults})
	if options.Persistent != nil {
		persistent.RegisterPersistentSubscriptionsServer(server.grpc, options.Persistent)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	server.plain = &http.Server{
		Handler: mux, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10,
		ErrorLog: slog.NewLogLogger(options.Logger.Handler(), slog.LevelDebug),
	}
	server.run("accept", func() error { return server.splitter.run(server.stopping) })
	server.run("grpc", func() error { return server.grpc.Serve(server.splitter.grpc) })
	server.run("http", func() error {
		if err := server.plain.Serve(server.splitter.plain); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	return server
}

// overOnePort lets clients of gRPC speak HTTP/2 and all others HTTP/1.1, which alone answers them: browsers, curl and load balancers
// that ask for the health offer both, and would choose HTTP/2 themselves.
func overOnePort(config *tls.Config) *tls.Config {
	calls, requests := config.Clone(), config.Clone()
	calls.NextProtos, requests.NextProtos = []string{"h2"}, []string{"http/1.1"}
	calls.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if slices.Contains(hello.SupportedProtos, "http/1.1") {
			return requests, nil
		}
		return calls, nil
	}
	return calls
}

// Addr is where the server listens.
func (s *Server) Addr() string { return s.address.String() }

// Subscriptions returns how many subscriptions clients follow, those of groups not included.
func (s *Server) Subscriptions() int64 { return s.streams.subscriptions.Load() }

// Faults are the server's, to be used by tests.
func (s *Server) Faults() *Faults { return &s.faults }

// run keeps a part of the server going until Stop.
func (s *Server) run(part string, serve func() error) {
	s.running.Go(func() error {
		err := serve()
		if err != nil && s.stopping.Err() == nil {
			s.log.Error("event store node: stopped serving", "part", part, "error", err)
		}
		return err
	})
}

// stoppableCall is a call whose context ends also when the server stops.
type stoppableCall struct {
	grpc.ServerStream

	ctx    context.Context
	cancel context.CancelCauseFunc
	access *access
}

// Context is the context of the call.
func (c *stoppableCall) Context() context.Context { return c.ctx }

// RecvMsg receives a message that the caller has a right to send.
func (c *stoppableCall) RecvMsg(message any) error {
	if err := c.ServerStream.RecvMsg(message); err != nil || c.access == nil {
		return err
	}
	if err := c.access.check(c.ctx, message); err != nil {
		return answer(c.ctx, err)
	}
	c.access.watch(c.ctx, message, c.cancel)
	return nil
}

// recover keeps a defect in one call from ending the process with everyone else's.
func (s *Server) recover(method string, err *error) {
	if cause := recover(); cause != nil {
		s.log.Error("event store node: call failed", "method", method, "cause", cause, "stack", string(debug.Stack()))
		*err = status.Error(codes.Unknown, "the node failed to carry out the call")
	}
}

// Stop ends open calls with UNAVAILABLE, gives the rest a moment and returns when nothing runs any more. The caller closes the
// store afterwards.
func (s *Server) Stop(ctx context.Context) error {
	s.faults.resume()
	listenErr := s.splitter.listener.Close()
	s.stop(errStopping)
	done := make(chan struct{})
	go func() {
		s.grpc.GracefulStop()
		close(done)
	}()
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	s.grpc.Stop()
	<-done
	plainErr := s.plain.Close()
	if err := errors.Join(listenErr, plainErr, s.running.Wait()); err != nil {
		return fmt.Errorf("stop event store server: %w", err)
	}
	return nil
}
