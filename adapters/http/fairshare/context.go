package fairshare

import (
	"context"
	"errors"
)

// Request is what the server knows of a request that may have to give way.
type Request struct {
	connection *Claim
	giveWay    func()
}

type requestKey struct{}

// With returns a context for a request on a connection. giveWay ends the request: its context is cancelled, its body not read
// any further.
func With(ctx context.Context, connection *Claim, giveWay func()) context.Context {
	return context.WithValue(ctx, requestKey{}, Request{connection, giveWay})
}

// From returns the request that a context belongs to. What is served without a server of ours, by a test, has no connection
// and never gives way.
func From(ctx context.Context) Request {
	request, _ := ctx.Value(requestKey{}).(Request)
	return request
}

// BelongsTo says whose request it is, and so whose connection.
func (r Request) BelongsTo(holder Holder) {
	if r.connection != nil {
		r.connection.Move(holder)
	}
}

// GiveWay returns what a claim of the request calls to give way; see Pool.Claim.
func (r Request) GiveWay() func() { return r.giveWay }

// GaveWay returns whether the request that a context belongs to had to give way.
func GaveWay(ctx context.Context) bool { return errors.Is(context.Cause(ctx), ErrGaveWay) }
