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
	"google.golang.org/grpc/metadata"

	"github.com/pas-ta/liveness/commands"
)

// Client is a connection to the log that outlives failures of the node. The official client closes itself for good when
// it finds no node for a while; this one then makes a new one.
type Client struct {
	settings *esdb.Configuration
	log      *slog.Logger

	availability availability
	metrics      *metrics

	mu      sync.Mutex
	current *esdb.Client
	closed  bool

	copied atomic.Pointer[Copied] // what the log says of having been copied; nil before it was asked
}

const (
	// Discovery of the official client: long enough to sit out a restart of the node, short enough that a client that gave
	// up is replaced soon.
	discoveryAttempts = 50
	discoveryInterval = 100 // milliseconds
	// gossipTimeout, in seconds, is how long the official client waits for a node that accepts and does not answer, while
	// every call waits for it.
	gossipTimeout = 3
	// keepAliveTimeout is how long a connection without any call stays when the node hangs.
	keepAliveTimeout = 3 * time.Second
	// readTimeout bounds one page of a read; the client sets none for streaming calls.
	readTimeout = 3 * time.Second
	// appendTimeout bounds one attempt of an append, so that there is time for another one with the next leader.
	appendTimeout = 3 * time.Second
)

// checkTimeout is how long Check looks for what is wrong: a person waits for it. Tests on a busy machine give it longer.
var checkTimeout = 1900 * time.Millisecond

// Connect prepares a connection to what a connection string names: esdb://host:port?tls=false, or a cluster's. It does not
// wait for the node: the first call does. Check tells whether it can be used.
func Connect(connectionString string, log *slog.Logger) (*Client, error) {
	settings, err := parseConnectionString(connectionString, log)
	if err != nil {
		return nil, invalidAddress(err)
	}
	settings.Logger = func(level esdb.LogLevel, format string, args ...any) {
		if level == esdb.LogError || level == esdb.LogWarn {
			log.Debug("event store client", "message", fmt.Sprintf(format, args...))
		}
	}
	first, err := esdb.NewClient(settings)
	if err != nil {
		return nil, fmt.Errorf("event store client: %w", err)
	}
	return &Client{settings: settings, log: log, metrics: newMetrics(), current: first}, nil
}

// CheckAddress returns what is wrong with a connection string, nil when it can be read.
func CheckAddress(connectionString string) error {
	if _, err := parseConnectionString(connectionString, slog.New(slog.DiscardHandler)); err != nil {
		return invalidAddress(err)
	}
	return nil
}

func invalidAddress(err error) error {
	return fmt.Errorf("the event store address is not valid: %w. Write it as esdb://host:port?tls=false or esdb://user:password@host:port", err)
}

// Close ends the connection. Calls under way fail as unavailable.
func (c *Client) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	err := closeClient(c.current)
	c.mu.Unlock()
	c.availability.close()
	return err
}

// Check says within two seconds whether the log can be read, and otherwise why, as a ConnectionError or a RightsError.
func (c *Client) Check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	// Side by side: the official client goes on looking for a node long after it is clear that there is none.
	asking, stop := context.WithCancel(ctx)
	defer stop()
	diagnosis := make(chan error, 1)
	go func() {
		err := c.diagnose(ctx)
		if err != nil {
			stop()
		}
		diagnosis <- err
	}()
	_, err := run(asking, c, head)
	if err == nil || !errors.Is(err, commands.ErrStoreUnavailable) {
		return lacks(readAll, err)
	}
	if found := <-diagnosis; found != nil {
		return found
	}
	return &ConnectionError{
		Endpoint: c.endpoints(), Problem: "it does not let the log be read now", Advice: "It starts, has no leader or is overloaded: look at its own log",
		Transient: true, Err: err,
	}
}

// Ping fails unless the node answers, and takes appends as far as is known.
func (c *Client) Ping(ctx context.Context) error {
	if _, err := c.Head(ctx); err != nil {
		return err
	}
	return c.availability.trouble()
}

// Trouble returns, without asking the node, why it does not do what it is for: it hangs, takes no appends or has no room; nil while
// nothing says so.
func (c *Client) Trouble() error { return c.availability.trouble() }

// Version returns the version of the node that the client is connected to.
func (c *Client) Version(ctx context.Context) (string, error) {
	return call(ctx, c, func(_ context.Context, client *esdb.Client) (string, error) {
		version, err := client.GetServerVersion()
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d.%d.%d", version.Major, version.Minor, version.Patch), nil
	})
}

// Head is the commit position of the newest event in the log, 0 when it is empty.
func (c *Client) Head(ctx context.Context) (uint64, error) {
	position, err := call(ctx, c, head)
	return position, lacks(readAll, err)
}

const readAll = "read $all"

func head(ctx context.Context, client *esdb.Client) (uint64, error) {
	newest, err := newestEvent(ctx, client)
	if err != nil || newest == nil {
		return 0, err
	}
	return newest.Position.Commit, nil
}

// newestEvent returns the newest event in the log, nil when it is empty.
func newestEvent(ctx context.Context, client *esdb.Client) (*esdb.RecordedEvent, error) {
	stream, err := client.ReadAll(ctx, esdb.ReadAllOptions{From: esdb.End{}, Direction: esdb.Backwards}, 1)
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	event, err := stream.Recv()
	if err != nil {
		if IsEnd(err) {
			return nil, nil
		}
		return nil, err
	}
	return event.OriginalEvent(), nil
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
	_ = closeClient(dead)
}

// Do runs one operation of the official client; errors are those of commands.EventStore.
func Do[T any](ctx context.Context, c *Client, operation func(context.Context, *esdb.Client) (T, error)) (T, error) {
	return call(ctx, c, operation)
}

// call runs one operation of the official client, unless the store is known to be down.
func call[T any](ctx context.Context, c *Client, operation func(context.Context, *esdb.Client) (T, error)) (T, error) {
	if err := c.availability.begin(); err != nil {
		var none T
		return none, err
	}
	defer c.availability.end()
	value, err := run(ctx, c, operation)
	c.availability.observe(c, err)
	return value, err
}

// run runs one operation of the official client and honours the context, which the client itself does not while it
// looks for a node: its callers queue on a channel that nobody may read any more. The operation therefore runs beside
// the caller. When the caller leaves first, the operation ends with its own context, or by a panic of the closed
// channel, which is the client's way of saying that it is gone.
//
// Every call asks for the leader: what another node answers may be out of date. The official client puts the header on the
// incoming context, where it is never sent.
func run[T any](ctx context.Context, c *Client, operation func(context.Context, *esdb.Client) (T, error)) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	var none T
	client, err := c.inner()
	if err != nil {
		return none, err
	}
	ctx = metadata.AppendToOutgoingContext(ctx, "requires-leader", "true")
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
			return o.value, c.storeError(o.err)
		}
		return o.value, nil
	case <-ctx.Done():
		return none, fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, ctx.Err())
	}
}
