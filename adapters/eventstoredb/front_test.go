package eventstoredb_test

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/encoding"
	"google.golang.org/grpc/mem"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// front passes every call on to a node, unless refuse has something against it, and can end those under way.
type front struct {
	addr   string
	refuse func(method string, header metadata.MD) error // set before the first call

	mu     sync.Mutex
	denied error
	ended  chan struct{} // closed when the calls under way end with denied
}

func newFront(t *testing.T, node string, refuse func(method string, header metadata.MD) error) *front {
	t.Helper()
	target, err := grpc.NewClient(node, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.ForceCodecV2(raw{})))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &front{addr: listener.Addr().String(), refuse: refuse, ended: make(chan struct{})}
	server := grpc.NewServer(grpc.ForceServerCodecV2(raw{}), grpc.UnknownServiceHandler(func(_ any, down grpc.ServerStream) error {
		return f.pass(down, target)
	}))
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		_ = target.Close()
	})
	return f
}

func (f *front) url() string { return "esdb://" + f.addr + "?tls=false" }

// deny ends the calls under way, as a server does that no longer allows what they do.
func (f *front) deny(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.denied = err
	close(f.ended)
	f.ended = make(chan struct{})
}

func (f *front) pass(down grpc.ServerStream, target *grpc.ClientConn) error {
	method, _ := grpc.MethodFromServerStream(down)
	header, _ := metadata.FromIncomingContext(down.Context())
	var first []byte
	if err := down.RecvMsg(&first); err != nil { // what the call is about, which rights depend on
		return err
	}
	if err := f.refuse(method, header); err != nil {
		return err
	}
	f.mu.Lock()
	ended := f.ended
	f.mu.Unlock()
	ctx, cancel := context.WithCancel(metadata.NewOutgoingContext(down.Context(), header))
	defer cancel()
	up, err := target.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, method)
	if err != nil {
		return err
	}
	go func() {
		for message := first; up.SendMsg(&message) == nil; {
			message = nil
			if down.RecvMsg(&message) != nil {
				_ = up.CloseSend()
				return
			}
		}
	}()
	answered := make(chan error, 1)
	go func() {
		for {
			var message []byte
			err := up.RecvMsg(&message)
			if err == nil {
				err = down.SendMsg(&message)
			}
			if err != nil {
				answered <- err
				return
			}
		}
	}()
	select {
	case err := <-answered:
		down.SetTrailer(up.Trailer())
		if errors.Is(err, io.EOF) {
			return nil
		}
		return err
	case <-ended:
		f.mu.Lock()
		defer f.mu.Unlock()
		return f.denied
	}
}

// accessDenied is what a server with users answers to who lacks a right.
var accessDenied = status.Error(codes.PermissionDenied, "Access Denied")

// raw leaves messages as they are.
type raw struct{}

var _ encoding.CodecV2 = raw{}

func (raw) Name() string { return "proto" }

func (raw) Marshal(v any) (mem.BufferSlice, error) {
	return mem.BufferSlice{mem.SliceBuffer(*v.(*[]byte))}, nil
}

func (raw) Unmarshal(data mem.BufferSlice, v any) error {
	*v.(*[]byte) = data.Materialize()
	return nil
}
