package eventstoredb_test

import (
	"bytes"
	"log"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
)

// What a connection string means: where the client goes, whether it discovers, whether it speaks TLS and as whom.
func TestConnectionString(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"esdb://host":                              "host:2113 discover=false tls=true user= password=",
		"esdb://host:2114/?tls=false":              "host:2114 discover=false tls=false user= password=",
		"esdb+discover://admin:changeit@cluster":   "cluster:2113 discover=true tls=true user=admin password=changeit",
		"kurrentdb://host:2113?tls=false":          "host:2113 discover=false tls=false user= password=",
		"kurrentdb+discover://cluster:2113":        "cluster:2113 discover=true tls=true user= password=",
		"KurrentDB://host?TLS=FALSE":               "host:2113 discover=false tls=false user= password=",
		"esdb://u:p@a:1,b:2,c":                     "a:1,b:2,c:2113 discover=false tls=true user=u password=p",
		"esdb+discover://u:p@a:1,b:2":              "a:1,b:2 discover=false tls=true user=u password=p",
		"esdb://[::1]:2113?tls=false":              "[::1]:2113 discover=false tls=false user= password=",
		"esdb://[2001:db8::7]":                     "[2001:db8::7]:2113 discover=false tls=true user= password=",
		"kurrentdb://u:p@[::1]:1,[::2],192.0.2.1":  "[::1]:1,[::2]:2113,192.0.2.1:2113 discover=false tls=true user=u password=p",
		"esdb://[fe80::1%25eth0]:2113":             "[fe80::1%eth0]:2113 discover=false tls=true user= password=",
		"esdb://u:s%40f%3Fe%2F%25@host":            "host:2113 discover=false tls=true user=u password=s@f?e/%",
		"esdb://u:p@ss/w#rd:@host?tls=true":        "host:2113 discover=false tls=true user=u password=p@ss/w#rd:",
		"esdb://user%3Aname:p@host":                "host:2113 discover=false tls=true user=user:name password=p",
		" esdb://host:2113?tlsVerifyCert=false \n": "host:2113 discover=false tls=true user= password= unverified", //nolint:gocritic // the spaces are the case
	} {
		if got, err := eventstoredb.Parsed(text, slog.New(slog.DiscardHandler)); err != nil || got != want {
			t.Errorf("%q:\n got %s, %v\nwant %s", text, got, err, want)
		}
	}
}

// A string that means nothing is refused, with the part to change, and never quotes what may be a password.
func TestConnectionStringThatMeansNothing(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(noPEM, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for text, want := range map[string]string{
		"":                                    "esdb://",
		"host:2113":                           "esdb://",
		"http://admin:hunter2@host":           "esdb://",
		"esdb://":                             "host",
		"esdb://admin:hunter2@":               "host",
		"esdb://:hunter2@host":                "user",
		"esdb://admin:hunter2?x@host":         "percent-encode",
		"esdb://admin:hunter2/x":              "port",
		"esdb://admin:hunter2":                "port",
		"esdb://admin:100%hunter2@host":       "percent-encode",
		"esdb://host:70000":                   "port",
		"esdb://host:0":                       "port",
		"esdb://a,,b":                         "host",
		"esdb://::1":                          "[2001:db8::1]:2113",
		"esdb://[hunter2:]:2113":              "IPv6",
		"esdb://host/path":                    "path",
		"esdb://host?tls=perhaps":             "tls",
		"esdb://host?tlsVerifyCert=perhaps":   "tlsVerifyCert",
		"esdb://host?tlsCaFile=/no/such/file": "tlsCaFile",
		"esdb://host?tlsCaFile=" + noPEM:      "tlsCaFile",
		"esdb://host?userCertFile=a.crt":      "userKeyFile",
		"esdb://host?userCertFile=a.crt&userKeyFile=b.key": "userCertFile",
		"esdb://host?nodePreference=boss":                  "NodePreference",
		"esdb://host?keepAliveInterval=soon":               "keepAliveInterval",
		"esdb://host?defaultDeadline=never":                "defaultDeadline",
		"esdb://host?gossipTimeout=0":                      "gossipTimeout",
	} {
		_, err := eventstoredb.Connect(text, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v, want a word about %s", text, err, want)
		}
	}
}

// What the client has to say about a string goes to our log, and names the setting.
func TestUnknownSettingsAreLogged(t *testing.T) { //nolint:paralleltest // it looks at the standard logger
	var standard, ours bytes.Buffer
	log.SetOutput(&standard)
	defer log.SetOutput(os.Stderr)
	_, err := eventstoredb.Parsed("esdb://admin:hunter2@host?tlsVerfyCert=false&keepAliveInterval=500&connectionName=x",
		slog.New(slog.NewTextHandler(&ours, nil)))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"tlsVerfyCert", "connectionName", "keepAliveInterval"} {
		if !strings.Contains(ours.String(), name) {
			t.Errorf("our log does not name %s:\n%s", name, ours.String())
		}
	}
	if standard.Len() > 0 || strings.Contains(ours.String(), "hunter2") {
		t.Errorf("standard log: %s\nours: %s", standard.String(), ours.String())
	}
}
