package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"strings"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/server"
)

// NodeCmd runs the embedded event store alone, for tools and tests. Any EventStoreDB client can use it.
type NodeCmd struct {
	Addr        string `help:"Address to listen on, host:port; port 0 takes a free one. Beyond loopback it needs TLS and credentials." default:"127.0.0.1:2113" env:"LIVENESS_NODE_ADDR"`
	Data        string `help:"Directory of the event store; created when missing." default:"data/events" type:"path" env:"LIVENESS_NODE_DATA"`
	Like        string `help:"Version line of EventStoreDB that the node behaves like, 23.10 or 24; nothing for the node as it is. For tests." default:"" env:"LIVENESS_NODE_LIKE"`
	TLSCert     string `help:"Certificate chain, PEM." name:"tls-cert" type:"existingfile" and:"tls" env:"LIVENESS_NODE_TLS_CERT"`
	TLSKey      string `help:"Private key of the certificate, PEM." name:"tls-key" type:"existingfile" and:"tls" env:"LIVENESS_NODE_TLS_KEY"`
	Credentials string `help:"File with one user:password a line; asked for on TLS connections." type:"existingfile" env:"LIVENESS_NODE_CREDENTIALS_FILE"`
}

// Help shows how the command is used.
func (*NodeCmd) Help() string {
	return `Examples:
  liveness node --addr 127.0.0.1:2113 --data ./data/events
  liveness node --addr 0.0.0.0:2113 --tls-cert node.crt --tls-key node.key --credentials users.txt
  liveness node --like 24 --data /tmp/events

Prints one line when it serves and stops on SIGTERM.`
}

// Run serves until the program is told to stop.
func (c *NodeCmd) Run(ctx context.Context, app *App) error {
	config := node.Config{Addr: c.Addr, Dir: c.Data, Like: node.Line(c.Like), Logger: app.Log}
	if c.TLSCert != "" {
		certificate, err := tls.LoadX509KeyPair(c.TLSCert, c.TLSKey)
		if err != nil {
			return fmt.Errorf("load the node's certificate: %w", err)
		}
		config.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	if c.Credentials != "" {
		if config.TLS == nil {
			return fmt.Errorf("credentials are asked for on TLS connections only: set --tls-cert and --tls-key too")
		}
		credentials, err := readCredentials(c.Credentials)
		if err != nil {
			return err
		}
		config.Credentials = credentials
	}
	n, err := node.Start(ctx, config)
	if err != nil {
		return explainStore(explainAddress(err, c.Addr, "--addr"))
	}
	fmt.Fprintf(app.Out, "event store node serves %s at %s\n", c.Data, n.ConnectionString())
	<-ctx.Done()
	return n.Close()
}

// readCredentials reads user:password lines; empty lines and those that begin with # are left out.
func readCredentials(path string) (server.Credentials, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	defer file.Close()
	credentials := server.Credentials{}
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		user, password, found := strings.Cut(line, ":")
		if !found || user == "" || password == "" {
			return nil, fmt.Errorf("read credentials: %s:%d is not of the form user:password", path, number)
		}
		credentials[user] = password
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read credentials: %w", err)
	}
	if len(credentials) == 0 {
		return nil, fmt.Errorf("read credentials: %s names nobody", path)
	}
	return credentials, nil
}
