package eventstoredb

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// schemes are what a connection string may begin with, and whether the nodes are then found by discovery. The vendor's
// newer documents write kurrentdb for esdb.
var schemes = map[string]bool{
	"esdb": false, "esdb+discover": true,
	"kurrentdb": false, "kurrentdb+discover": true,
	"kurrent": false, "kurrent+discover": true,
	"kdb": false, "kdb+discover": true,
}

// settingNames are the settings of a connection string, as they are written in messages.
var settingNames = []string{
	"tls", "tlsVerifyCert", "tlsCaFile", "userCertFile", "userKeyFile", "nodePreference", "discoveryInterval", "gossipTimeout",
	"maxDiscoverAttempts", "keepAliveInterval", "keepAliveTimeout", "defaultDeadline",
}

const (
	defaultPort = 2113
	// leastKeepAlive is the shortest keep-alive interval that gRPC allows.
	leastKeepAlive = 10 * time.Second
)

// parseConnectionString returns the configuration of the official client. The client's own parser takes the settings only:
// it knows neither the newer schemes nor IPv6 addresses, and it writes its warnings to the standard logger. No error quotes
// what may be a part of a password.
func parseConnectionString(text string, log *slog.Logger) (*esdb.Configuration, error) {
	scheme, rest, found := strings.Cut(strings.TrimSpace(text), "://")
	discover, known := schemes[strings.ToLower(scheme)]
	if !found || !known {
		return nil, errors.New("it does not begin with esdb:// or esdb+discover:// (or kurrentdb://, which means the same)")
	}
	authority, query, _ := strings.Cut(rest, "?")
	if strings.Contains(query, "@") && !strings.Contains(authority, "@") {
		return nil, errors.New("percent-encode the special characters of user and password: ? is %3F, @ is %40, / is %2F")
	}
	config, err := parseSettings(query, log)
	if err != nil {
		return nil, err
	}
	hosts := authority
	if at := strings.LastIndex(authority, "@"); at >= 0 {
		hosts = authority[at+1:]
		if config.Username, config.Password, err = parseCredentials(authority[:at]); err != nil {
			return nil, err
		}
	}
	var endpoints []*esdb.EndPoint
	for host := range strings.SplitSeq(strings.TrimSuffix(hosts, "/"), ",") {
		endpoint, err := parseEndpoint(host)
		if err != nil {
			return nil, err
		}
		endpoints = append(endpoints, endpoint)
	}
	config.Address, config.DnsDiscover = "", false
	if len(endpoints) > 1 {
		config.GossipSeeds = endpoints // discovery as well; with both, the client would look for a node without a name
		return config, nil
	}
	config.Address, config.DnsDiscover = endpoints[0].String(), discover
	if !discover {
		// There is no node to choose. With any other preference the client makes a header for each call that it never sends.
		config.NodePreference = esdb.NodePreferenceRandom
	}
	return config, nil
}

func parseCredentials(text string) (user, password string, err error) {
	user, password, _ = strings.Cut(text, ":")
	user, userErr := url.PathUnescape(user)
	password, passwordErr := url.PathUnescape(password)
	switch {
	case userErr != nil || passwordErr != nil:
		return "", "", errors.New("percent-encode the special characters of user and password: % is %25, @ is %40")
	case user == "":
		return "", "", errors.New("the user before the @ is missing: write user:password@host:port")
	}
	return user, password, nil
}

// parseEndpoint returns the endpoint that host[:port] names. An IPv6 address keeps its brackets: the client writes the port
// behind what it is given.
func parseEndpoint(text string) (*esdb.EndPoint, error) {
	host, port := text, strconv.Itoa(defaultPort)
	if !strings.HasSuffix(text, "]") && strings.Contains(text, ":") {
		var err error
		if host, port, err = net.SplitHostPort(text); err != nil {
			return nil, errors.New("write each host as name:port, 192.0.2.1:2113 or [2001:db8::1]:2113")
		}
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil || number == 0 {
		return nil, errors.New("the port behind a host is no number from 1 to 65535; percent-encode a / or : in user or password")
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.Contains(host, ":") {
		unescaped, err := url.PathUnescape(host)
		if err == nil {
			_, err = netip.ParseAddr(unescaped)
		}
		if err != nil {
			return nil, errors.New("what stands in brackets is no IPv6 address: write it as [2001:db8::1]:2113")
		}
		host = "[" + unescaped + "]"
	}
	if host == "" || strings.ContainsAny(host, "/ #") {
		return nil, errors.New("a host is missing or has a path: write esdb://host:port, or esdb://host1:port,host2:port for a cluster")
	}
	return &esdb.EndPoint{Host: host, Port: uint16(number)}, nil
}

// parseSettings returns a configuration with the settings of the part behind the question mark.
func parseSettings(query string, log *slog.Logger) (*esdb.Configuration, error) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, errors.New("the settings behind the ? are not written as name=value&name=value")
	}
	settings := url.Values{}
	for name, given := range values {
		known := false
		for _, canonical := range settingNames {
			if known = strings.EqualFold(name, canonical); known {
				settings.Set(canonical, given[0])
				break
			}
		}
		if !known {
			log.Warn("event store connection string has an unknown setting, which is ignored", "setting", name, "known", strings.Join(settingNames, ", "))
		}
	}
	roots, err := readAuthorities(settings.Get("tlsCaFile"))
	if err != nil {
		return nil, err
	}
	settings.Del("tlsCaFile")
	for _, name := range []string{"discoveryInterval", "gossipTimeout", "maxDiscoverAttempts", "defaultDeadline"} {
		if n, err := strconv.Atoi(settings.Get(name)); settings.Has(name) && (err != nil || n < 1) {
			return nil, fmt.Errorf("%s must be a whole number above 0", name)
		}
	}
	if ms, err := strconv.Atoi(settings.Get("keepAliveInterval")); err == nil && ms >= 0 && ms < int(leastKeepAlive.Milliseconds()) {
		log.Warn("event store connection string has a keepAliveInterval below the least there is, which is taken", "least", leastKeepAlive)
		settings.Set("keepAliveInterval", strconv.FormatInt(leastKeepAlive.Milliseconds(), 10))
	}
	config, err := esdb.ParseConnectionString("esdb://localhost?" + settings.Encode())
	if err != nil {
		return nil, err
	}
	config.RootCAs = roots
	if err := config.Validate(); err != nil {
		return nil, err
	}
	if config.UserCertFile != "" {
		if _, err := tls.LoadX509KeyPair(config.UserCertFile, config.UserKeyFile); err != nil {
			return nil, fmt.Errorf("userCertFile and userKeyFile: %w", err)
		}
	}
	setDefault(settings, "discoveryInterval", &config.DiscoveryInterval, discoveryInterval)
	setDefault(settings, "maxDiscoverAttempts", &config.MaxDiscoverAttempts, discoveryAttempts)
	setDefault(settings, "gossipTimeout", &config.GossipTimeout, gossipTimeout)
	setDefault(settings, "keepAliveTimeout", &config.KeepAliveTimeout, keepAliveTimeout)
	return config, nil
}

func setDefault[T any](settings url.Values, name string, field *T, value T) {
	if !settings.Has(name) {
		*field = value
	}
}

// readAuthorities returns the certificates of a tlsCaFile; nil, which stands for the machine's own, when there is none.
func readAuthorities(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("tlsCaFile: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		return nil, fmt.Errorf("tlsCaFile: %s holds no certificate in PEM form", file)
	}
	return pool, nil
}
