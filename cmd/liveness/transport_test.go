package main

import (
	"net/url"
	"strings"
	"testing"
)

func TestTransportIsProtected(t *testing.T) {
	t.Parallel()
	const store, database, remoteStore, remoteDatabase = "esdb://127.0.0.1:2113?tls=false", "postgres://localhost/liveness",
		"esdb://store.internal:2113?tls=false", "postgres://db.internal/liveness?sslmode=require"
	for _, c := range []struct {
		flags                  TransportFlags
		public, store, dataset string
		refusedFor             string // the flag that accepts it; "" when nothing is refused
	}{
		{TransportFlags{}, "https://liveness.example.com", store, database, ""},
		{TransportFlags{}, "http://localhost:8080", store, database, ""},
		{TransportFlags{}, "http://127.0.0.1:8080", store, database, ""},
		{TransportFlags{}, "http://[::1]:8080", store, database, ""},
		{TransportFlags{}, "http://liveness.example.com", store, database, "--insecure-public-url"},
		{TransportFlags{}, "http://:8080", store, database, "--insecure-public-url"},
		{TransportFlags{}, "http://0.0.0.0:8080", store, database, "--insecure-public-url"},
		{TransportFlags{InsecureEventStore: true, InsecurePostgres: true}, "http://10.0.0.7", store, database, "--insecure-public-url"},
		{TransportFlags{InsecurePublicURL: true}, "http://10.0.0.7", store, database, ""},
		{TransportFlags{InsecurePublicURL: true}, "https://a.example", remoteStore, database, "--insecure-eventstore"},
		{TransportFlags{InsecureEventStore: true}, "https://a.example", remoteStore, database, ""},
		{TransportFlags{InsecureEventStore: true}, "https://a.example", remoteStore, remoteDatabase, "--insecure-postgres"},
		{TransportFlags{InsecurePostgres: true}, "https://a.example", store, remoteDatabase, ""},
	} {
		public, err := url.Parse(c.public)
		if err != nil {
			t.Fatal(err)
		}
		err = c.flags.check(public, c.store, c.dataset)
		if (c.refusedFor == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.refusedFor) {
			t.Errorf("%+v: %v, want %q", c, err, c.refusedFor)
		}
	}
}
