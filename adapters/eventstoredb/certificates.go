package eventstoredb

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// Certificates returns the certificates that a connection rests on: what the servers of the connection string show, and what the client
// shows them. There are none without TLS. Servers that are not reached are left out; health tells of them.
func (c *Client) Certificates(ctx context.Context) ([]*x509.Certificate, error) {
	if c.settings.DisableTLS {
		return nil, nil
	}
	config, err := c.tlsConfig()
	if err != nil {
		return nil, fmt.Errorf("read the client certificate of the event store: %w", err)
	}
	var all []*x509.Certificate
	for _, own := range config.Certificates {
		leaf, err := x509.ParseCertificate(own.Certificate[0])
		if err != nil {
			return nil, fmt.Errorf("read the client certificate of the event store: %w", err)
		}
		all = append(all, leaf)
	}
	for _, endpoint := range c.namedServers() {
		all = append(all, shown(ctx, endpoint)...)
	}
	return all, nil
}

// shown returns the certificates that a server shows. They are looked at whether they are trusted or not: one that has run out is
// what is looked for.
func shown(ctx context.Context, endpoint *esdb.EndPoint) []*x509.Certificate {
	host := strings.Trim(endpoint.Host, "[]")
	dialer := tls.Dialer{Config: &tls.Config{ServerName: host, InsecureSkipVerify: true, NextProtos: []string{"h2"}}}
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(host, fmt.Sprint(endpoint.Port)))
	if err != nil {
		return nil
	}
	defer func() { _ = connection.Close() }()
	return connection.(*tls.Conn).ConnectionState().PeerCertificates
}
