package eventstoredb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/commands"
)

// Client is a connection to the log that outlives failures of the node. The official client closes itself for good when
// it finds no node for a while; this one then makes a new one.
type Client struct {
	settings *esdb.Configuration
	log      *slog.Logger

	mu      sync.Mutex
	current *esdb.Client
	closed  bool

	copied atomic.Pointer[Copied] // what the log says of having been copied; nil before it was asked
}

// Discovery of the official client: long enough to sit out a restart of the node, short enough that a client that gave
// up is replaced soon.
const (
	discoveryAttempts = 50
	discoveryInterval = 100 // milliseconds
)

// Connect prepares a connection to uri (esdb://host:port?tls=false, or a cluster's). It does not wait for the node: the
// first call does. Ping tells whether it answers.
func Connect(uri string, log *slog.Logger) (*Client, error) {
	settings, err := esdb.ParseConnectionString(uri)
	if err != nil {
		// The error is not wrapped: it may quote the address, and that may hold a password.
		return nil, errors.New("the event store address is not valid: write it as esdb://host:port?tls=false or esdb://user:password@host:port")
	}
	settings.MaxDiscoverAttempts, settings.DiscoveryInterval = discoveryAttempts, discoveryInterval
	settings.Logger = func(level esdb.LogLevel, format string, args ...any) {
		if level == esdb.LogError || level == esdb.LogWarn {
			log.Debug("event store client", "message", fmt.Sprintf(format, args...))
		}
	}
	first, err := esdb.NewClient(settings)
	if err != nil {
		return nil, fmt.Errorf("event store client: %w", err)
	}
	return &Client{settings: settings, log: log, current: first}, nil
}

// Close ends the connection. Calls under way fail as unavailable.
func (c *Client) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	return c.current.Close()
}

// Ping asks the node for the end of the log.
func (c *Client) Ping(ctx context.Context) error {
	_, err := c.Head(ctx)
	return err
}

// Head is the commit position of the newest event in the log, 0 when it is empty.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	return call(ctx, c, func(ctx context.Context, client *esdb.Client) (uint64, error) {
		stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
		if err != nil {
			return 0, err
		}
		defer stream.Close()
		event, err := stream.Recv()
		if err != nil {
			if IsEnd(err) {
				return 0, nil
			}
			return 0, err
		}
		return event.OriginalEvent().Position.Commit, nil
	})
}

func (c *Client) inner() (*esdb.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, fmt.Errorf("%w: the connection is closed", commands.ErrStoreUnavailable)
	}
	return c.current, nil
}

// replace puts a new client in the place of one that has given up.
func (c *Client) replace(dead *esdb.Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || c.current != dead {
		return
	}
	fresh, err := esdb.NewClient(c.settings)
	if err != nil {
		c.log.Error("event store client cannot be replaced", "error", err)
		return
	}
	c.current = fresh
	// Callers that wait inside the dead client wait on its channel for ever; closing it frees them.
	_ = dead.Close()
}

// Do runs one operation of the official client; errors are those of commands.EventStore.
func Do[T any](ctx context.Context, c *Client, operation func(context.Context, *esdb.Client) (T, error)) (T, error) {
	return call(ctx, c, operation)
}

// call runs one operation of the official client and honours the context, which the client itself does not while it
// looks for a node: its callers queue on a channel that nobody may read any more. The operation therefore runs beside
// the caller. When the caller leaves first, the operation ends with its own context, or by a panic of the closed
// channel, which is the client's way of saying that it is gone.
func call[T any](ctx context.Context, c *Client, operation func(context.Context, *esdb.Client) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	client, err := c.inner()
	if err != nil {
		return none, err
	}
	done := make(chan outcome, 1)
	go func() {
		defer func() {
			if recovered := recover(); recovered != nil {
				done <- outcome{err: fmt.Errorf("%w: the client has closed: %v", commands.ErrStoreUnavailable, recovered)}
			}
		}()
		value, err := operation(ctx, client)
		done <- outcome{value, err}
	}()
	select {
	case o := <-done:
		if o.err != nil {
			if closed := (*esdb.Error)(nil); errors.As(o.err, &closed) && closed.Code() == esdb.ErrorCodeConnectionClosed {
				c.replace(client)
			}
			return o.value, storeError(o.err)
		}
		return o.value, nil
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, ctx.Err())
	}
}

// storeError says in terms of the port what went wrong. What the node refuses for good stays an error of its own;
// everything else may or may not have happened.
func storeError(err error) error {
	if errors.Is(err, commands.ErrStoreUnavailable) || errors.Is(err, commands.ErrConflict) {
		return err
	}
	failure := (*esdb.Error)(nil)
	if !errors.As(err, &failure) {
		return fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, err)
	}
	switch failure.Code() {
	case esdb.ErrorCodeWrongExpectedVersion:
		return conflictError(failure)
	case esdb.ErrorCodeStreamDeleted, esdb.ErrorCodeAccessDenied, esdb.ErrorCodeUnauthenticated,
		esdb.ErrorCodeUnsupportedFeature, esdb.ErrorCodeParsing:
		return err
	case esdb.ErrorCodeUnknown:
		switch status.Code(failure.Err()) {
		case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.ResourceExhausted: // its disk is full
			return err
		}
	}
	return fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, err)
}

// readDeadline bounds one page of a read; the client sets none for streaming calls.
const readDeadline = 10 * time.Second
