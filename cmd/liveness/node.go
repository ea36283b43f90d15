package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/pas-ta/liveness/adapters/node"
	"github.com/pas-ta/liveness/adapters/node/server"
)

// NodeCmd runs the embedded event store alone, for tools and tests. Any EventStoreDB client can use it.
type NodeCmd struct {
	Addr        string `help:"Address to listen on, host:port; port 0 takes a free one. Beyond loopback it needs TLS and credentials." default:"127.0.0.1:2113" env:"LIVENESS_NODE_ADDR"`
	Data        string `help:"Data directory, created when missing: the event store is in its folder events. That folder may be named as well." default:"./data" type:"path" env:"LIVENESS_NODE_DATA,LIVENESS_DATA"`
	Like        string `help:"Version line of EventStoreDB that the node behaves like, 23.10 or 24; nothing for the node as it is. For tests." default:"" env:"LIVENESS_NODE_LIKE"`
	TLSCert     string `help:"Certificate chain, PEM." name:"tls-cert" type:"existingfile" and:"tls" env:"LIVENESS_NODE_TLS_CERT"`
	TLSKey      string `help:"Private key of the certificate, PEM." name:"tls-key" type:"existingfile" and:"tls" env:"LIVENESS_NODE_TLS_KEY"`
	Credentials string `help:"File with one user:password a line, asked for on TLS connections; lines such as $ops = user user put users into groups, whose rights count with --like." type:"existingfile" env:"LIVENESS_NODE_CREDENTIALS_FILE"`

	MetricsFlags `embed:""`
}

// Help shows how the command is used.
func (*NodeCmd) Help() string {
	return `Examples:
  liveness node --addr 127.0.0.1:2113 --data ./data
  liveness node --addr 0.0.0.0:2113 --tls-cert node.crt --tls-key node.key --credentials users.txt
  liveness node --like 24 --data /tmp/events

Prints one line when it serves and stops on SIGTERM.`
}

// Run serves until the program is told to stop.
func (c *NodeCmd) Run(ctx context.Context, app *App) (err error) {
	config := node.Config{Addr: c.Addr, Dir: eventsDir(c.Data), Like: node.Line(c.Like), Logger: app.Log}
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
		if config.Credentials, config.Groups, err = readCredentials(c.Credentials); err != nil {
			return err
		}
	}
	if err := c.MetricsFlags.check(); err != nil {
		return err
	}
	observed, err := c.observe(ctx, "node", app.Log)
	if err != nil {
		return err
	}
	defer observed.close(app.Log)
	n, err := node.Start(ctx, config)
	if err != nil {
		return explainStore(explainAddress(err, c.Addr, "--addr"))
	}
	if err := n.Register(observed.registry); err != nil {
		return errors.Join(err, n.Close())
	}
	fmt.Fprintf(app.Announcements(), "event store node serves %s at %s\n", eventsDir(c.Data), n.ConnectionString())
	return errors.Join(observed.serve(ctx, app.Log), n.Close())
}

// readCredentials reads lines of the form user:password, which say who may call, and of the form group = user user, which put
// some of them into a group. Empty lines and those that begin with # are left out.
func readCredentials(path string) (server.Credentials, server.Groups, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, fmt.Errorf("read credentials: %w", err)
	}
	defer file.Close()
	credentials, groups := server.Credentials{}, server.Groups{}
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if user, password, found := strings.Cut(line, ":"); found && user != "" && password != "" {
			credentials[user] = password
			continue
		}
		group, members, found := strings.Cut(line, "=")
		users := strings.Fields(members)
		if group = strings.TrimSpace(group); !found || group == "" || len(users) == 0 {
			return nil, nil, fmt.Errorf("read credentials: %s:%d is not of the form user:password, nor $ops = user user", path, number)
		}
		groups[group] = append(groups[group], users...)
	}
	if err := lines.Err(); err != nil {
		return nil, nil, fmt.Errorf("read credentials: %w", err)
	}
	if len(credentials) == 0 {
		return nil, nil, fmt.Errorf("read credentials: %s names nobody", path)
	}
	for group, users := range groups {
		for _, user := range users {
			if _, known := credentials[user]; !known {
				return nil, nil, fmt.Errorf("read credentials: %s puts %s into %s, but has no password for them", path, user, group)
			}
		}
	}
	return credentials, groups, nil
}
