package server

import (
	"context"
	"encoding/binary"
	"net"
	"strconv"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"
)

// protocolVersion is the version of the real server whose protocol this node speaks. Clients parse it.
const protocolVersion = "24.10.0"

const (
	streamsService    = "event_store.client.streams.streams"
	persistentService = "event_store.client.persistent_subscriptions.persistentsubscriptions"
)

// features is the ServerFeatures service: the first call on every connection.
type features struct {
	serverfeatures.UnimplementedServerFeaturesServer

	version    string
	persistent bool
}

// GetSupportedMethods announces what this node serves, and nothing else.
func (f *features) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	supported := &serverfeatures.SupportedMethods{EventStoreServerVersion: f.version}
	add := func(service, method string, features ...string) {
		supported.Methods = append(supported.Methods, &serverfeatures.SupportedMethod{ServiceName: service, MethodName: method, Features: features})
	}
	add(streamsService, "read", "position", "events")
	add(streamsService, "append")
	add(streamsService, "delete")
	add(streamsService, "tombstone")
	add(streamsService, "batchappend", "deadline_duration")
	if f.persistent {
		for _, method := range []string{"create", "update", "delete", "read", "getinfo", "list", "replayparked", "restartsubsystem"} {
			add(persistentService, method, "stream", "all")
		}
	}
	return supported, nil
}

// gossipService answers as the only member, and leader, of a cluster.
type gossipService struct {
	gossip.UnimplementedGossipServer

	instance uuid.UUID
	address  net.Addr
	faults   *Faults
}

// Read names this node. Its address is the one the client has dialled, since that can be dialled.
func (g *gossipService) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	host, port := splitAddress(g.address.String())
	if md, ok := metadata.FromIncomingContext(ctx); ok {
		if dialled := md.Get(":authority"); len(dialled) == 1 {
			if h, p := splitAddress(dialled[0]); p > 0 {
				host, port = h, p
			}
		}
	}
	this := &gossip.MemberInfo{
		InstanceId: &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
			MostSignificantBits:  int64(binary.BigEndian.Uint64(g.instance[:8])),
			LeastSignificantBits: int64(binary.BigEndian.Uint64(g.instance[8:])),
		}}},
		TimeStamp:    time.Now().UnixNano() / 100,
		State:        gossip.MemberInfo_Leader,
		IsAlive:      true,
		HttpEndPoint: &gossip.EndPoint{Address: host, Port: port},
	}
	if resigned := g.faults.resigned.Load(); resigned != nil {
		this.State = gossip.MemberInfo_Follower
		leader := &gossip.MemberInfo{
			InstanceId: &shared.UUID{Value: &shared.UUID_String_{String_: uuid.NewSHA1(g.instance, []byte("leader")).String()}},
			TimeStamp:  this.GetTimeStamp(), State: gossip.MemberInfo_Leader, IsAlive: true,
			HttpEndPoint: &gossip.EndPoint{Address: resigned.host, Port: resigned.port},
		}
		return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{this, leader}}, nil
	}
	return &gossip.ClusterInfo{Members: []*gossip.MemberInfo{this}}, nil
}

func splitAddress(address string) (host string, port uint32) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0
	}
	number, err := strconv.ParseUint(text, 10, 16)
	if err != nil {
		return "", 0
	}
	return host, uint32(number)
}
