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
	accepted []user
}

// user is who may call, with the digest of "user:password".
type user struct {
	name   string
	digest [sha256.Size]byte
}

func newGate(credentials Credentials) *gate {
	g := &gate{}
	for name, password := range credentials {
		g.accepted = append(g.accepted, user{name: name, digest: sha256.Sum256([]byte(name + ":" + password))})
	}
	return g
}

// open lists the methods that clients call before they send credentials.
func open(method string) bool {
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	return service == serverfeatures.ServerFeatures_ServiceDesc.ServiceName || service == gossip.Gossip_ServiceDesc.ServiceName
}

// check returns the name of the caller, "" where nobody is asked.
func (g *gate) check(ctx context.Context, method string) (caller string, err error) {
	if len(g.accepted) == 0 || open(method) {
		return "", nil
	}
	md, _ := metadata.FromIncomingContext(ctx)
	headers := md.Get("authorization")
	if len(headers) != 1 {
		return "", status.Error(codes.Unauthenticated, "basic credentials are needed")
	}
	scheme, encoded, _ := strings.Cut(headers[0], " ")
	presented, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil || !strings.EqualFold(scheme, "Basic") {
		return "", status.Error(codes.Unauthenticated, "basic credentials are needed")
	}
	digest, known := sha256.Sum256(presented), false
	for i := range g.accepted {
		if subtle.ConstantTimeCompare(digest[:], g.accepted[i].digest[:]) == 1 {
			caller, known = g.accepted[i].name, true
		}
	}
	if !known {
		return "", status.Error(codes.Unauthenticated, "unknown user or wrong password")
	}
	return caller, nil
}
