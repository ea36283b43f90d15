package main

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
	"github.com/pas-ta/liveness/adapters/postgres"
)

// TransportFlags let a node of the service reach others unprotected. This machine's own addresses need none of them.
type TransportFlags struct {
	InsecurePublicURL  bool `name:"insecure-public-url" help:"Let --public-url be http://: passwords, keys and images cross the network readable." env:"LIVENESS_INSECURE_PUBLIC_URL"`
	InsecureEventStore bool `name:"insecure-eventstore" help:"Let the event store be on another machine and reached without verified TLS." env:"LIVENESS_INSECURE_EVENTSTORE"`
	InsecurePostgres   bool `name:"insecure-postgres" help:"Let Postgres be on another machine and reached without verified TLS." env:"LIVENESS_INSECURE_POSTGRES"`
}

// check refuses what can be read or changed on its way, unless a flag asks for it.
func (f TransportFlags) check(publicURL *url.URL, eventStore, database string) error {
	var errs []error
	if host, err := netip.ParseAddr(publicURL.Hostname()); publicURL.Scheme != "https" && !f.InsecurePublicURL &&
		publicURL.Hostname() != "localhost" && (err != nil || !host.IsLoopback()) {
		errs = append(errs, fmt.Errorf("the public address %s is not https://, so passwords, keys and images could be read on their way: write --public-url https://…, or --insecure-public-url to accept that",
			publicURL))
	}
	if err := eventstoredb.CheckTransport(eventStore); err != nil && !f.InsecureEventStore {
		errs = append(errs, fmt.Errorf("%w (--eventstore); --insecure-eventstore accepts that", err))
	}
	if err := postgres.CheckTransport(database); err != nil && !f.InsecurePostgres {
		errs = append(errs, fmt.Errorf("%w (--postgres); --insecure-postgres accepts that", err))
	}
	return errors.Join(errs...)
}
