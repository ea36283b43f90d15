package server

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// Credentials are the users that may call the node, with their passwords. They are asked for on TLS connections only:
// without TLS the clients send none.
type Credentials map[string]string

// gate lets calls pass that name a known user.
type gate struct {
	accepted [][sha256.Size]byte // of "user:password"
}

func newGate(credentials Credentials) *gate {
	g := &gate{}
	for user, password := range credentials {
		g.accepted = append(g.accepted, sha256.Sum256([]byte(user+":"+password)))
	}
	return g
}

// open lists the methods that clients call before they send credentials.
func open(method string) bool {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return service == serverfeatures.ServerFeatures_ServiceDesc.ServiceName || service == gossip.Gossip_ServiceDesc.ServiceName
}

func (g *gate) check(ctx context.Context, method string) error {
	if len(g.accepted) == 0 || open(method) {
		return nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	headers := md.Get("authorization")
	if len(headers) != 1 {
		return status.Error(codes.Unauthenticated, "basic credentials are needed")
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	presented, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return status.Error(codes.Unauthenticated, "basic credentials are needed")
	}
	digest, known := sha256.Sum256(presented), 0
	for _, accepted := range g.accepted {
		known |= subtle.ConstantTimeCompare(digest[:], accepted[:])
	}
	if known == 0 {
		return status.Error(codes.Unauthenticated, "unknown user or wrong password")
	}
	return nil
}
