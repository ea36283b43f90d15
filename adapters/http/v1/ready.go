package v1

import (
	"time"

	"github.com/pas-ta/liveness/adapters/http/server"
	"github.com/pas-ta/liveness/domain"
)

// ErrDraining is what a server that is on its way down says when it is asked whether it is ready.
var ErrDraining = &domain.Error{
	Kind: domain.KindUnavailable, Code: "draining", RetryAfter: time.Second, Message: "This server is about to stop. Send requests to another; what still comes here is answered.",
}

// readiness is the whole answer of a server that is ready.
type readiness struct {
	Status string `json:"status"`
}

// reportReady answers GET /v1/ready: whether a balancer should send requests to this server. What it depends on does not matter:
// all servers depend on it, and one that misses it answers so by itself. Health tells that.
func reportReady(x *exchange) (answer, error) {
	if server.Draining(x.request.Context()) {
		return nil, ErrDraining
	}
	return bare{readiness{Status: "ready"}}, nil
}
