package eventstoredb

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/pas-ta/liveness/commands"
)

// ConnectionError says why the store cannot be used and which part of the connection string to change.
type ConnectionError struct {
	Endpoint  string // host:port, or all of them
	Problem   string
	Advice    string
	Transient bool // it may pass by itself, so that who can wait does
	Err       error
}

func (e *ConnectionError) Error() string {
	return fmt.Sprintf("event store at %s: %s. %s", e.Endpoint, e.Problem, e.Advice)
}

// Unwrap returns the cause and, for what may pass, commands.ErrStoreUnavailable.
func (e *ConnectionError) Unwrap() []error {
	errs := make([]error, 0, 2)
	if e.Transient {
		errs = append(errs, commands.ErrStoreUnavailable)
	}
	if e.Err != nil {
		errs = append(errs, e.Err)
	}
	return errs
}

// RightsError says that the store knows the user and does not let them do something.
type RightsError struct {
	User  string // "" when the connection string names none
	Right string // what is not allowed, as "read $all"
	Err   error
}

func (e *RightsError) Error() string {
	user := "user " + e.User
	if e.User == "" {
		user = "a connection without user and password"
	}
	right := e.Right
	if right == "" {
		right = "do this"
	}
	return fmt.Sprintf("event store: %s may not %s. An administrator gives the rights: see `liveness store prepare --help`", user, right)
}

// Unwrap returns the store's own error.
func (e *RightsError) Unwrap() error { return e.Err }

// lacks names the right in an error that says that one is missing.
func lacks(right string, err error) error {
	var missing *RightsError
	if errors.As(err, &missing) && missing.Right == "" {
		missing.Right = right
	}
	return err
}

// storeError says in terms of the port what went wrong. What the node refuses for good stays an error of its own;
// everything else may or may not have happened.
func (c *Client) storeError(err error) error {
	if err == nil || errors.Is(err, commands.ErrStoreUnavailable) || errors.Is(err, commands.ErrConflict) {
		return err
	}
	if failure := (*esdb.Error)(nil); errors.As(err, &failure) && failure.Code() == esdb.ErrorCodeWrongExpectedVersion {
		return conflictError(failure)
	}
	if hasCode(err, esdb.ErrorCodeStreamDeleted) || hasCode(err, esdb.ErrorCodeParsing) {
		return err
	}
	switch status.Code(err) {
	case codes.PermissionDenied:
		return &RightsError{User: c.settings.Username, Err: err}
	case codes.Unauthenticated:
		return c.unauthenticated(err)
	case codes.Unimplemented:
		return &ConnectionError{Endpoint: c.endpoints(), Problem: noEventStore, Advice: correctAddress, Err: err}
	case codes.InvalidArgument, codes.FailedPrecondition, codes.OutOfRange, codes.ResourceExhausted, // its disk is full
		codes.NotFound, codes.AlreadyExists:
		return err
	}
	if hasCode(err, esdb.ErrorCodeUnsupportedFeature) {
		return err
	}
	return fmt.Errorf("%w: %w", commands.ErrStoreUnavailable, err)
}

const (
	noEventStore   = "what answers there is no EventStoreDB"
	correctAddress = "Correct host:port in the connection string"
)

func (c *Client) unauthenticated(err error) error {
	e := &ConnectionError{
		Endpoint: c.endpoints(), Problem: "wrong user or password", Advice: "Correct user:password in the connection string", Err: err,
	}
	switch {
	case c.settings.Username == "":
		e.Problem, e.Advice = "it asks for a user and a password", "Write them into the connection string as esdb://user:password@host:port"
	case c.settings.DisableTLS:
		e.Problem, e.Advice = "it asks for a user and a password, which are not sent without TLS", "Remove tls=false from the connection string"
	}
	return e
}

// endpoints returns what the connection string names, for people.
func (c *Client) endpoints() string {
	if len(c.settings.GossipSeeds) == 0 {
		return c.settings.Address
	}
	names := make([]string, len(c.settings.GossipSeeds))
	for i, endpoint := range c.settings.GossipSeeds {
		names[i] = endpoint.String()
	}
	return strings.Join(names, ", ")
}

// IsEnd returns whether a read is through. A stream that does not exist has nothing to read; a call that is not found is
// something else, which must not pass for an empty stream.
func IsEnd(err error) bool {
	if errors.Is(err, io.EOF) {
		return true
	}
	missing := (*esdb.Error)(nil)
	if !errors.As(err, &missing) || missing.Code() != esdb.ErrorCodeResourceNotFound {
		return false
	}
	_, wire := status.FromError(missing.Err())
	return !wire
}

func hasCode(err error, code esdb.ErrorCode) bool {
	failure := (*esdb.Error)(nil)
	return errors.As(err, &failure) && failure.Code() == code
}
