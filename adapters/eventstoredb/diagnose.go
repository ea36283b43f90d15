package eventstoredb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// diagnose looks at every endpoint of the connection string, step by step, because the official client tells name, network,
// TLS and protocol apart in the text of its errors only. It returns nil when one of them, and in a cluster its leader,
// answers as an event store.
func (c *Client) diagnose(ctx context.Context) error {
	endpoints := c.namedServers()
	discover := c.settings.DnsDiscover || len(c.settings.GossipSeeds) > 0
	found := make([]*ConnectionError, len(endpoints))
	var looking sync.WaitGroup
	for i, endpoint := range endpoints {
		looking.Go(func() {
			host := strings.TrimSuffix(strings.TrimPrefix(endpoint.Host, "["), "]")
			found[i] = c.examine(ctx, host, strconv.Itoa(int(endpoint.Port)), discover)
		})
	}
	looking.Wait()
	worst := found[0]
	for _, problem := range found {
		if problem == nil {
			return nil
		}
		if worst.Transient && !problem.Transient {
			worst = problem // what never passes by itself is what to mend first
		}
	}
	return worst
}

// namedServers returns the servers that the connection string names.
func (c *Client) namedServers() []*esdb.EndPoint {
	if seeds := c.settings.GossipSeeds; len(seeds) > 0 {
		return seeds
	}
	host, port, _ := net.SplitHostPort(c.settings.Address)
	number, _ := strconv.ParseUint(port, 10, 16)
	return []*esdb.EndPoint{{Host: host, Port: uint16(number)}}
}

// examine returns what is wrong with one endpoint; nil when nothing is.
func (c *Client) examine(ctx context.Context, host, port string, discover bool) *ConnectionError {
	e := examination{client: c, host: host, address: net.JoinHostPort(host, port)}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.address)
	if err != nil {
		return e.unreachable(err)
	}
	defer func() { _ = conn.Close() }()
	transport := insecure.NewCredentials()
	if !c.settings.DisableTLS {
		config, err := c.tlsConfig()
		if err != nil {
			return e.says("the client certificate cannot be read", "Correct userCertFile and userKeyFile in the connection string", false, err)
		}
		transport = credentials.NewTLS(config.Clone())
		config.ServerName, config.NextProtos = host, []string{"h2"}
		if err := tls.Client(conn, config).HandshakeContext(ctx); err != nil {
			return e.insecure(ctx, err)
		}
	}
	connection, err := grpc.NewClient(e.address, grpc.WithTransportCredentials(transport))
	if err != nil {
		return e.says("it cannot be dialled", correctAddress, false, err)
	}
	defer func() { _ = connection.Close() }()
	if _, err := serverfeatures.NewServerFeaturesClient(connection).GetSupportedMethods(ctx, &shared.Empty{}); err != nil {
		return e.silent(ctx, err)
	}
	if !discover {
		return nil
	}
	return e.discovery(ctx, gossip.NewGossipClient(connection))
}

// tlsConfig returns what the official client uses.
func (c *Client) tlsConfig() (*tls.Config, error) {
	config := &tls.Config{InsecureSkipVerify: c.settings.SkipCertificateVerification, RootCAs: c.settings.RootCAs}
	if c.settings.UserCertFile != "" {
		certificate, err := tls.LoadX509KeyPair(c.settings.UserCertFile, c.settings.UserKeyFile)
		if err != nil {
			return nil, err
		}
		config.Certificates = []tls.Certificate{certificate}
	}
	return config, nil
}

// examination names what is wrong with one endpoint.
type examination struct {
	client        *Client
	host, address string
}

func (e examination) says(problem, advice string, transient bool, err error) *ConnectionError {
	return &ConnectionError{Endpoint: e.address, Problem: problem, Advice: advice, Transient: transient, Err: err}
}

func (e examination) unreachable(err error) *ConnectionError {
	var name *net.DNSError
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return e.says("the name "+e.host+" does not resolve", "Correct the host in the connection string", false, err)
	case errors.As(err, &name):
		return e.says("the name "+e.host+" cannot be looked up now", "Look at this machine's DNS, or correct the host in the connection string", true, err)
	case errors.Is(err, syscall.ECONNREFUSED):
		return e.says("nothing listens there", "Start the event store, or correct host:port in the connection string", true, err)
	}
	return e.says("it cannot be reached over the network", "Look at routes and firewalls, or correct host:port in the connection string", true, err)
}

// insecure names why the TLS handshake failed.
func (e examination) insecure(ctx context.Context, err error) *ConnectionError {
	const trust = "Name its certificate with tlsCaFile=FILE in the connection string (tlsVerifyCert=false checks nothing, for tests only)"
	var (
		unknown  x509.UnknownAuthorityError
		names    x509.HostnameError
		invalid  x509.CertificateInvalidError
		refused  tls.AlertError
		noRecord tls.RecordHeaderError
	)
	switch {
	case errors.As(err, &unknown):
		return e.says("its certificate is signed by an authority that this machine does not know", trust, false, err)
	case errors.As(err, &names):
		return e.says("its certificate is for other names: "+strings.Join(certifiedNames(names.Certificate), ", "),
			"Use one of them as the host in the connection string (tlsVerifyCert=false checks nothing, for tests only)", false, err)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return e.says("its certificate has expired or is not valid yet", "Renew it, and look at the clocks", false, err)
	case errors.As(err, &invalid):
		return e.says("its certificate is not valid", trust, false, err)
	case errors.As(err, &refused):
		return e.refusesCertificate(err)
	case errors.As(err, &noRecord):
		return e.plaintext(err)
	case ctx.Err() == nil && e.answersPlaintext(ctx):
		return e.plaintext(err) // it closed the connection instead of answering in plain text
	case errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET):
		return e.says("it closes TLS connections", "If it speaks no TLS, say tls=false in the connection string; else look at its own log", true, err)
	}
	return e.says("it does not answer over TLS", "Look whether it hangs, or correct host:port and tls= in the connection string", true, err)
}

func (e examination) plaintext(err error) *ConnectionError {
	return e.says("it speaks no TLS, which the connection string asks for", "Say tls=false in the connection string, or name the port with TLS", false, err)
}

func (e examination) refusesCertificate(err error) *ConnectionError {
	return e.says("it refuses the TLS connection",
		"Give it a client certificate that it accepts with userCertFile= and userKeyFile= in the connection string", false, err)
}

func (e examination) answersPlaintext(ctx context.Context) bool {
	connection, err := grpc.NewClient(e.address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return false
	}
	defer func() { _ = connection.Close() }()
	_, err = serverfeatures.NewServerFeaturesClient(connection).GetSupportedMethods(ctx, &shared.Empty{})
	return err == nil
}

// brokenOff returns whether the other side has closed the connection. gRPC keeps of the cause no more than its text, which
// depends on whether the client was reading, writing or between the two.
func brokenOff(err error) bool {
	return slices.ContainsFunc([]string{"EOF", "reset by peer", "broken pipe", "use of closed network connection", "transport is closing"},
		func(text string) bool { return strings.Contains(err.Error(), text) })
}

// silent names why the first call of the protocol failed on a connection that stands.
func (e examination) silent(ctx context.Context, err error) *ConnectionError {
	if e.client.settings.DisableTLS && ctx.Err() == nil && e.answersTLS(ctx) {
		return e.says("it speaks TLS, which tls=false in the connection string turns off", "Say tls=true", false, err)
	}
	switch {
	case strings.Contains(err.Error(), "remote error: tls"): // TLS 1.3 tells after the handshake
		return e.refusesCertificate(err)
	case ctx.Err() != nil || status.Code(err) == codes.DeadlineExceeded:
		return e.says("it accepts connections and does not answer", "It hangs or is overloaded, or host:port names another service: look at its own log", true, err)
	case brokenOff(err):
		return e.says("it closes every connection", "Look at its own log, or correct host:port in the connection string", true, err)
	case status.Code(err) == codes.Unavailable && strings.Contains(err.Error(), "server preface"),
		status.Code(err) != codes.Unavailable:
		return e.says(noEventStore, correctAddress, false, err)
	}
	return e.says("it is not ready", "Look at its own log", true, err)
}

func (e examination) answersTLS(ctx context.Context) bool {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", e.address)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }()
	// Nothing is sent: all that is asked is whether the other side speaks TLS.
	handshake := tls.Client(conn, &tls.Config{InsecureSkipVerify: true}).HandshakeContext(ctx)
	var refused tls.AlertError
	return handshake == nil || errors.As(handshake, &refused)
}

// discovery names what keeps the client from finding the leader.
func (e examination) discovery(ctx context.Context, cluster gossip.GossipClient) *ConnectionError {
	info, err := cluster.Read(ctx, &shared.Empty{})
	if err != nil {
		return e.says("it does not say which nodes its cluster has", "Without a cluster write esdb://host:port, without +discover and with one host", true, err)
	}
	for _, member := range info.GetMembers() {
		if member.GetState() != gossip.MemberInfo_Leader || !member.GetIsAlive() {
			continue
		}
		host, port := member.GetHttpEndPoint().GetAddress(), strconv.Itoa(int(member.GetHttpEndPoint().GetPort()))
		if net.JoinHostPort(host, port) == e.address {
			return nil
		}
		if problem := e.client.examine(ctx, host, port, false); problem != nil {
			problem.Problem = fmt.Sprintf("the cluster's leader (named by %s): %s", e.address, problem.Problem)
			return problem
		}
		return nil
	}
	return e.says("the cluster has no leader", "It elects one once a majority of its nodes runs: look at their own logs", true, nil)
}

func certifiedNames(certificate *x509.Certificate) []string {
	names := append([]string{}, certificate.DNSNames...)
	for _, ip := range certificate.IPAddresses {
		names = append(names, ip.String())
	}
	return names
}
