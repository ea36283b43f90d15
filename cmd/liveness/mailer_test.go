package main

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pas-ta/liveness/adapters/mail"
)

func TestAddressOfTheSMTPServer(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]mail.SMTPSettings{
		"smtp://mx.example.com":                              {Host: "mx.example.com"},
		"smtp://mx.example.com:25/":                          {Host: "mx.example.com", Port: 25},
		"smtps://mx.example.com":                             {Host: "mx.example.com", TLS: mail.TLSImplicit},
		"smtps://mx.example.com?tls=implicit":                {Host: "mx.example.com", TLS: mail.TLSImplicit},
		"smtp://[::1]:25?tls=none":                           {Host: "::1", Port: 25, TLS: mail.TLSNone},
		"smtp://mx?tls=opportunistic&hello=mail.example.com": {Host: "mx", TLS: mail.TLSOpportunistic, Hello: "mail.example.com"},
		"smtp://mx?hello=[192.0.2.1]&tls=required":           {Host: "mx", TLS: mail.TLSRequired, Hello: "[192.0.2.1]"},
		"smtp://ada:p%40ss%2Fw%25rd@mx":                      {Host: "mx", Username: "ada", Password: "p@ss/w%rd"},
		"smtp://ada@example.com:p@ss@mx:587":                 {Host: "mx", Port: 587, Username: "ada@example.com", Password: "p@ss"},
	} {
		got, err := smtpSettings(address)
		if err != nil || got != want {
			t.Errorf("%s: %+v, %v", address, got, err)
		}
	}
}

// What cannot be meant is refused by its name, and a secret is never quoted.
func TestRefusedAddressesOfTheSMTPServer(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	for address, says := range map[string]string{
		"":                                "no address",
		"mx.example.com:25":               "no address",
		"http://mx":                       "no address",
		"smtp://":                         "no address",
		"smtp://user:seCret/7@mx":         "percent-encoded",
		"smtp://user:seCret?7@mx":         "percent-encoded",
		"smtp://user:seCret#7@mx":         "percent-encoded",
		"smtp://user:12#seCret@mx":        "percent-encoded",
		"smtp://user:12/seCret@mx:25":     "percent-encoded",
		"smtp://user:seCret%@mx":          "percent-encoded",
		"smtp://user:seC ret@mx":          "percent-encoded",
		"smtp://user:seCret@mx/path":      "only options",
		"smtp://user:seCret@mx:99999":     "port 99999",
		"smtp://user:seCret@mx?timeout=3": `option "timeout"`,
		"smtp://mx?TLS=none":              `option "TLS"`,
		"smtp://mx?tls=perhaps":           "option tls",
		"smtp://mx?tls=none&tls=required": "option tls takes one",
		"smtp://mx?tls=":                  "option tls takes one",
		"smtps://mx?tls=none":             "smtps://",
		"smtp://mx?ca=/does/not/exist":    "option ca",
		"smtp://mx?ca=" + empty:           "no certificate",
		"smtp://mx?hello=two%20names":     "option hello",
		"smtp://mx?hello=a%0d%0aMAIL":     "option hello",
		"smtp://mx?%zz":                   "options cannot be read",
	} {
		_, err := smtpSettings(address)
		if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "seCret") {
			t.Errorf("%s: %v, want %q", address, err, says)
		}
	}
}

func TestOwnAuthorityOfTheSMTPServer(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, testAuthority(t), 0o600); err != nil {
		t.Fatal(err)
	}
	settings, err := smtpSettings("smtp://mx?ca=" + file)
	if err != nil || settings.RootCAs == nil {
		t.Errorf("%+v, %v", settings, err)
	}
	if _, err := smtpSettings("smtp://mx?tls=none&ca=" + file); err == nil || !strings.Contains(err.Error(), "leave one out") {
		t.Errorf("without TLS: %v", err)
	}
}

// testAuthority is a certificate in PEM form: that of net/http's test server.
func testAuthority(t *testing.T) []byte {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
}
