package eventstoredb_test

import (
	"testing"

	"github.com/pas-ta/liveness/adapters/eventstoredb"
)

func TestCheckTransport(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"esdb://store.internal:2113?tls=false":                     "the event store on store.internal is reached without TLS (tls=false)",
		"kurrentdb://127.0.0.1:2113,10.0.0.7:2113?tls=false":       "the event store on 10.0.0.7 is reached without TLS (tls=false)",
		"esdb+discover://[2001:db8::1]?tls=false":                  "the event store on 2001:db8::1 is reached without TLS (tls=false)",
		"esdb://u:p@store.internal?tlsVerifyCert=false":            "the certificate of the event store on store.internal is not verified (tlsVerifyCert=false)",
		"esdb://store.internal":                                    "",
		"esdb://u:p@a,b,c?tls=true":                                "",
		"esdb://localhost:2113?tls=false":                          "",
		"esdb://127.0.0.1:2113,[::1]:2113?tls=false":               "",
		"esdb://LOCALHOST?tlsVerifyCert=false":                     "",
		"http://store.internal (no connection string of any kind)": "",
	} {
		err := eventstoredb.CheckTransport(text)
		if got := said(err); got != want {
			t.Errorf("%s: %q, want %q", text, got, want)
		}
	}
}

func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
