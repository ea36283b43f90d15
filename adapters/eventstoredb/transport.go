package eventstoredb

import (
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// CheckTransport returns an error when a connection string reaches another machine without TLS, or without looking at its
// certificate: whoever is on the way could read personal data and change what is counted.
func CheckTransport(connectionString string) error {
	config, err := parseConnectionString(connectionString, slog.New(slog.DiscardHandler))
	if err != nil || !config.DisableTLS && !config.SkipCertificateVerification {
		return nil // who connects is told what is wrong with the string
	}
	for _, host := range hostsOf(config) {
		switch {
		case isLoopback(host):
		case config.DisableTLS:
			return fmt.Errorf("the event store on %s is reached without TLS (tls=false)", host)
		default:
			return fmt.Errorf("the certificate of the event store on %s is not verified (tlsVerifyCert=false)", host)
		}
	}
	return nil
}

// hostsOf returns the names of the machines that a configuration names.
func hostsOf(config *esdb.Configuration) (hosts []string) {
	for _, seed := range config.GossipSeeds {
		hosts = append(hosts, seed.Host)
	}
	if host, _, err := net.SplitHostPort(config.Address); err == nil {
		hosts = append(hosts, host)
	}
	return hosts
}

func isLoopback(host string) bool {
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || ip.IsLoopback()
}
